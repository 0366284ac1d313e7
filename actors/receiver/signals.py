"""Owns the words between the session machine and its shell: signals in, actions out. No logic.

A line is one connection from the first try to its end, numbered by the machine; a session is one
that the gateway acknowledged. At most two lines are open, the newer one about to replace the older.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from actors.messages.control import ControlRecord

Mark: TypeAlias = tuple[int, int]  # (gateway epoch, sequence) that a shard has committed


# Signals: what happened.


@dataclass(frozen=True, slots=True)
class Opened:
    """The handshake is done. `marks`: what each shard has committed."""

    line: int
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The handshake was answered with an HTTP status other than 101."""

    line: int
    status: int
    retry_after_s: float | None = None
    at: str = ""  # host, and proxy if there is one


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No handshake: name, network, proxy, TLS, timeout, or no HTTP at all."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class TokenMissing:
    """There is no token to connect with before `retry_s` are over. `is_refused`: who we are was."""

    line: int
    reason: str
    retry_s: float
    is_refused: bool


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The subscription stands. `watermark`: the highest sequence that we had routed when we asked
    for it. Another line may have routed more since, beyond the `newest` of that moment."""

    line: int
    newest: int
    epoch_name: str
    watermark: int


@dataclass(frozen=True, slots=True)
class NotAcknowledged:
    """The first frame was something else."""

    line: int


@dataclass(frozen=True, slots=True)
class EventSeen:
    """The first event of a session that can be judged; 0: no sequence that can be."""

    line: int
    sequence: int
    is_history: bool


@dataclass(frozen=True, slots=True)
class GapSeen:
    """The gateway cannot replay these."""

    line: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class HistorySeen:
    """The gateway says that its history is complete, up to a sequence (0: it did not say which)."""

    line: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is gone. 1005: closed without a code; 1006: without a close frame.

    `is_ours`: we closed it over a frame that breaks the protocol, behind event `highest`. What was
    replayed up to `unbroken` came one after the other, so that none of it was overtaken.
    """

    line: int
    code: int
    is_ours: bool = False
    highest: int = 0
    unbroken: int = 0


@dataclass(frozen=True, slots=True)
class TokenRenewed:
    """The token of the open lines ends soon; a new one is at hand."""


@dataclass(frozen=True, slots=True)
class HistoryWanted:
    """A shard has missed (a part of) the history."""


@dataclass(frozen=True, slots=True)
class Overflowed:
    """More was spilled than is allowed."""

    marks: tuple[Mark, ...]


class Signs(NamedTuple):
    """Signs of life of a line, counted since it opened."""

    frames: int
    history_frames: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passes. `is_reading`: frames can arrive at all."""

    signs: dict[int, Signs] = field(default_factory=dict)
    is_reading: bool = True


@dataclass(frozen=True, slots=True)
class StopAsked:
    """We are to end."""


Signal: TypeAlias = (
    Opened
    | Refused
    | Unreachable
    | TokenMissing
    | Acknowledged
    | NotAcknowledged
    | EventSeen
    | GapSeen
    | HistorySeen
    | Lost
    | TokenRenewed
    | HistoryWanted
    | Overflowed
    | Tick
    | StopAsked
)


# Actions: what is to be done, in this order.


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a line; with a token that no one has used yet, if `fresh_token`."""

    line: int
    fresh_token: bool


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Send the first frame. `resume_after` None: ask for no replay."""

    line: int
    resume_after: int | None
    epoch_name: str


@dataclass(frozen=True, slots=True)
class Number:
    """Keep the number of the session that is about to begin, before anything bears it."""

    session: int


@dataclass(frozen=True, slots=True)
class Write:
    """A control record for every ring."""

    record: ControlRecord


@dataclass(frozen=True, slots=True)
class Stream:
    """Events of this line belong to a session of this gateway epoch; publish, then keep the epoch.

    `watermark`: where it starts anew; None: where it stands.
    """

    line: int
    epoch: int
    epoch_name: str
    newest: int
    watermark: int | None


@dataclass(frozen=True, slots=True)
class GoFast:
    """The start of the session is understood: usual frames need no parser any more."""

    line: int


@dataclass(frozen=True, slots=True)
class StopHistory:
    """The line's history is over; everything up to `sequence` is routed or a gap (0: unsaid)."""

    line: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Ping:
    """Ask for a sign of life."""

    line: int


@dataclass(frozen=True, slots=True)
class Close:
    """End a line with a close frame."""

    line: int
    code: int


@dataclass(frozen=True, slots=True)
class Abort:
    """End a line that nobody answers on."""

    line: int


@dataclass(frozen=True, slots=True)
class DropSpill:
    """Forget what found no room; the watermark falls to `mark`."""

    mark: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """End the process with this code."""

    exit_code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Tell:
    """A line for the log."""

    event: str
    fields: tuple[tuple[str, object], ...] = ()
    level: str = "info"


Action: TypeAlias = (
    Connect
    | Subscribe
    | Number
    | Write
    | Stream
    | GoFast
    | StopHistory
    | Ping
    | Close
    | Abort
    | DropSpill
    | GiveUp
    | Tell
)

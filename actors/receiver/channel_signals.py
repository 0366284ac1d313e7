"""Owns the words between a channel's machine and its shell: signals in, actions out. No logic.
Pure.

A channel is what the gateway made for us, a line one socket on it; both are numbered by the machine
in the process-wide `Numbers`. What the machine of the other dialect says alike is in `signals`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from actors.messages.control import Unwatches, Watches
from actors.receiver.signals import (
    Abort,
    Close,
    HistoryWanted,
    Number,
    Ping,
    Refused,
    StopAsked,
    Tell,
    Unreachable,
    Write,
)


@dataclass(slots=True)
class Numbers:
    """What all machines of a process count together. `session`: the last one that was used."""

    session: int = 0
    channel: int = 0
    line: int = 0

    def next_session(self) -> int:
        self.session += 1
        return self.session

    def next_channel(self) -> int:
        self.channel += 1
        return self.channel

    def next_line(self) -> int:
        self.line += 1
        return self.line


# Signals: what happened.


@dataclass(frozen=True, slots=True)
class Planned:
    """Who belongs to this slot. `moved`: who does not any more, but to another slot."""

    users: frozenset[str]
    moved: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Created:
    """The gateway has made the channel, and it is recorded as ours. `left_s`: until the token ends
    that made it, and perhaps the channel with it; None: nobody knows."""

    channel: int
    left_s: float | None = None


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The channel listens to these users now, without those that were refused, and why. `invalid`:
    those of them who may not exist any more, or not yet."""

    channel: int
    users: frozenset[str]
    refused: Mapping[str, str] = field(default_factory=dict)
    invalid: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class CallFailed:
    """A channel could not be made or subscribed. `is_gone`: the gateway does not know it;
    `is_refused`: it knows it, and takes nothing on it."""

    channel: int
    reason: str
    is_gone: bool = False
    retry_after_s: float | None = None
    is_refused: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """The handshake is done."""

    line: int


@dataclass(frozen=True, slots=True)
class ClosingAnnounced:
    """The gateway will close this socket within a minute."""

    line: int


@dataclass(frozen=True, slots=True)
class TopicsChanged:
    """The gateway says on the socket that the channel's topics were changed, by whomever."""

    line: int


@dataclass(frozen=True, slots=True)
class ChannelGone:
    """The gateway says on its socket that the channel is lost."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class LineLost:
    """The connection is gone; 1005: closed without a code, 1006: without a close frame."""

    line: int
    code: int


@dataclass(frozen=True, slots=True)
class Named:
    """These users of a snapshot have been answered for: whoever is active is in the rings."""

    session: int
    users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; how many frames each line has brought since it opened."""

    frames: Mapping[int, int] = field(default_factory=dict)
    is_reading: bool = True


@dataclass(frozen=True, slots=True)
class RotateAsked:
    """It is this channel's turn to be replaced by a younger one."""


@dataclass(frozen=True, slots=True)
class RosterRead:
    """The planner has read anew who exists."""


@dataclass(frozen=True, slots=True)
class Doubted:
    """What this session holds is older than what the roster shows: it brings no events, or not
    all. Said again and again until another session begins."""

    session: int


@dataclass(frozen=True, slots=True)
class Overflowed:
    """Too much is spilled, and was dropped."""


SlotSignal: TypeAlias = (
    Planned
    | Tick
    | HistoryWanted
    | RotateAsked
    | RosterRead
    | Doubted
    | Overflowed
    | StopAsked
    | Named
)
CallSignal: TypeAlias = Created | Subscribed | CallFailed
LineSignal: TypeAlias = (
    Opened | Refused | Unreachable | ClosingAnnounced | TopicsChanged | ChannelGone | LineLost
)
Signal: TypeAlias = SlotSignal | CallSignal | LineSignal


# Actions: what is to be done.


@dataclass(frozen=True, slots=True)
class Create:
    """Have a channel made, and record it before anything else is done with it."""

    channel: int


@dataclass(frozen=True, slots=True)
class Subscribe:
    """From now on the channel is to listen to these users and no others."""

    channel: int
    users: frozenset[str]


@dataclass(frozen=True, slots=True)
class LetGo:
    """The channel is not needed any more."""

    channel: int


@dataclass(frozen=True, slots=True)
class Forget:
    """The channel is gone."""

    channel: int


@dataclass(frozen=True, slots=True)
class Connect:
    line: int
    channel: int


@dataclass(frozen=True, slots=True)
class WriteOf:
    """Into the ring of the agent's owner."""

    record: Watches | Unwatches


@dataclass(frozen=True, slots=True)
class Stream:
    """From now on what the line brings belongs to this session."""

    line: int
    session: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Ask for these users as they are now until all of them are answered for; for nobody else of
    the slot any more."""

    session: int
    users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StopSnapshot:
    """Nobody of the slot is to be asked for any more."""


Action: TypeAlias = (
    Create
    | Subscribe
    | LetGo
    | Forget
    | Connect
    | Ping
    | Close
    | Abort
    | Write
    | WriteOf
    | Number
    | Stream
    | Snapshot
    | StopSnapshot
    | Tell
)

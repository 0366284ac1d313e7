"""Owns the words between the line machine and the sender's loop: signals in, actions out. No logic.
Pure.

A line is one connection of the presence socket from the first try to its end, numbered by the
machine. What the actor is told stands among the actions as the actor's own words: LineUp, LineDown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from actors.sender.signals import LineDown, LineUp

# Signals: what happened.


class Opened(NamedTuple):
    """The handshake is done."""

    line: int


class Refused(NamedTuple):
    """The handshake was answered with an HTTP status that says no."""

    line: int
    status: int
    retry_after_s: float | None = None
    at: str = ""  # host, and proxy if there is one


class Unreachable(NamedTuple):
    """No handshake: name, network, proxy, TLS, timeout, or no HTTP at all."""

    line: int
    reason: str


class TokenMissing(NamedTuple):
    """There is no token to connect with before `retry_s` are over."""

    line: int
    reason: str
    retry_s: float


class ChannelBound(NamedTuple):
    """The gateway took our binding: updates may be sent."""

    line: int


class NotBound(NamedTuple):
    """The first frame was something else."""

    line: int
    reason: str


class Lost(NamedTuple):
    """The connection is gone. 1005: closed without a code; 1006: without a close frame.

    `is_ours`: we closed it over a frame that breaks the protocol.
    """

    line: int
    code: int
    is_ours: bool = False


class Sent(NamedTuple):
    """An update left over this line, and waits for its answer."""

    line: int
    correlation: str


class Answered(NamedTuple):
    """An acknowledgement came over this line."""

    line: int
    correlation: str


class TokenRenewed(NamedTuple):
    """The token of the open lines ends soon; a new one is at hand."""


class TokenDoubted(NamedTuple):
    """An update over this line was answered with 401."""

    line: int


class Tick(NamedTuple):
    """Time passes. `frames`: how many each open line has brought, of any kind."""

    frames: Mapping[int, int]


class StopAsked(NamedTuple):
    """Say goodbye."""


Signal: TypeAlias = (
    Opened
    | Refused
    | Unreachable
    | TokenMissing
    | ChannelBound
    | NotBound
    | Lost
    | Sent
    | Answered
    | TokenRenewed
    | TokenDoubted
    | Tick
    | StopAsked
)

# Actions: what to do.


class Connect(NamedTuple):
    """`fresh_token`: the gateway may have refused the last one."""

    line: int
    fresh_token: bool


class Bind(NamedTuple):
    """Send the frame that binds the channel."""

    line: int


class Ping(NamedTuple):
    line: int


class Close(NamedTuple):
    """With a close frame; it hands on nothing any more."""

    line: int
    code: int


class Abort(NamedTuple):
    """Without a word: nobody hears it."""

    line: int


class Tell(NamedTuple):
    """One line of the log."""

    event: str
    fields: tuple[tuple[str, object], ...]
    level: str


Action: TypeAlias = Connect | Bind | Ping | Close | Abort | LineUp | LineDown | Tell

"""Owns the vocabulary that receiver and shards share: states, limits, control records. Pure.

It knows no ring, no gateway and no clock: a record is a value, its payload the bytes of it. How an
event of the wire looks stands in `actors.genesys.wsp`, what a shard makes of it in `actors.shard`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from actors.messages.codec import Vocabulary

Dialect: TypeAlias = Literal["wsp", "cloud"]

STATES = ("Available", "Not Available", "Talking", "Wrapped Up", "Reserved")
UNKNOWN = "Unknown"  # ours: a history did not confirm the agent. Never on the wire.

STATE_EVENT = "routing.agents.state"
APPOINTMENT_EVENT = "routing.agents.apptent"  # not a state change: may be shed
SCOPE_ALL = "all"  # the one scope of the wsp dialect
GAP_ANEW = "the gateway numbers anew"  # reason of a gap whose end nobody knows
GAP_RESTART = "the runtime starts"  # reason of a gap between two runs
END_EXHAUSTED = "exhausted"  # reason of a session's end: we gave up, every agent becomes Unknown

SEQUENCE_END = 1 << 62  # a sequence is an integer, 0 < n < SEQUENCE_END …
SEQUENCE_STEP_MAX = 1_000_000  # … and at most this far above the highest known
RESUME_MARGIN = 1_000  # how far neighbours may change places, and how far behind the mark we resume
USER_ID_BYTES_MAX = 128
REJECTED_BYTES_MAX = 4096
FLAG_TRUNCATED = 1  # a rejected record holds the first REJECTED_BYTES_MAX bytes only


class SessionBegins(NamedTuple):
    """A subscription was acknowledged; what follows in the ring belongs to it."""

    session: int
    scope: str
    epoch: int
    epoch_name: str
    newest: int  # the gateway's newest sequence at the acknowledgement
    resumed_after: int | None  # None: no replay was asked for
    at_us: int


class HistoryEnds(NamedTuple):
    """Every agent's current state was sent (complete), or the session ended before that."""

    session: int
    scope: str
    complete: bool
    at_us: int


class SessionEnds(NamedTuple):
    """The connection is gone. Session 0: whatever session was up (a receiver starts); then the
    scope may be that of one OAuth client, `c0`, and stands for all of its slots, `c0/0`, `c0/1`, …
    """

    session: int
    scope: str
    reason: str
    at_us: int


class Gap(NamedTuple):
    """The sequences first..last were not received and will not be.

    `last` is SEQUENCE_END - 1 if nobody can know it: the gateway numbers anew.
    """

    session: int
    scope: str
    epoch: int
    first: int
    last: int
    reason: str
    at_us: int


class Watermark(NamedTuple):
    """Everything of this gateway epoch up to this sequence has been routed to some ring."""

    epoch: int
    sequence: int


class Shed(NamedTuple):
    """So many events that are no state changes were dropped since the last such record."""

    events: int


class Watches(NamedTuple):
    """Cloud: this agent belongs to this scope now, whichever it belonged to before.

    Sent after each `SessionBegins` for each agent of the scope, and when an agent joins or moves;
    in either case before its snapshot, which confirms it.
    """

    scope: str
    user_id: str


class Unwatches(NamedTuple):
    """Cloud: nobody watches this agent any more: it becomes Unknown.

    Nothing happens if another scope than this one watches it by now.
    """

    scope: str
    user_id: str
    reason: str
    at_us: int


class Vacates(NamedTuple):
    """Cloud: nobody is watched in this scope any more: whoever still is becomes Unknown.

    Told of every scope that the first plan of a receiver does not have: of one that vanished while
    no receiver lived nobody else could tell.
    """

    scope: str
    at_us: int


def session_flags(session: int) -> int:
    """The flags of an event's record: which session brought it, as far as a byte can say. 0: none
    is told."""
    return session % 255 + 1


ControlRecord: TypeAlias = (
    SessionBegins
    | HistoryEnds
    | SessionEnds
    | Gap
    | Watermark
    | Shed
    | Watches
    | Unwatches
    | Vacates
)

_CONTROL: Vocabulary[ControlRecord] = Vocabulary(
    {
        SessionBegins: "session begins",
        HistoryEnds: "history ends",
        SessionEnds: "session ends",
        Gap: "gap",
        Watermark: "watermark",
        Shed: "shed",
        Watches: "watches",
        Unwatches: "unwatches",
        Vacates: "vacates",
    }
)

encode_control = _CONTROL.encode
"""The payload of a record of kind control."""
decode_control = _CONTROL.decode
"""Its inverse; ValueError for every payload that it did not write."""

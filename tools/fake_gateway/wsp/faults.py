"""WspFault: the faults of the wsp dialect, and its profiles of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from tools.fake_gateway.fault_plan import FaultProfile
from tools.fake_gateway.faults import BREAKING, Fault, frame_breakers, text_of

_BREAKERS = frame_breakers(
    key=b'"state"',
    state=b'"state":"',
    other_state=b"Levitating",
    end=b"}}",
    stranger=b'{"type":"routing.agents.weather","data":{"sun":true}}',
)
FRAME_FAULTS = tuple(_BREAKERS)
HISTORY_FAULTS = (
    "no-history-end",  # the next `count` histories lack their history.complete
    "slow-history",  # the next `count` histories come in parts of `events`, `seconds` apart
    "omit-agents",  # the next history does not name `count` agents
)
# Of presence updates and their acknowledgements; they wait for the next `count` of them.
ACK_FAULTS = (
    "update-lost",  # neither applied nor answered
    "ack-missing",
    "ack-late",  # by `seconds`
    "ack-duplicate",
    "ack-malformed",  # a malformed one comes before it
    "ack-negative",  # with `status` instead, and not applied; retryAfterMs from `seconds`
)
PRESENCE_FAULTS = (
    "presence-close",  # with `code`, or with none
    "presence-drop",  # without a close frame
    "presence-stall",  # half-open for `seconds`: what comes is lost, and nothing goes out
    "bind-missing",  # the next `count` bindings are not answered
)
GATE_FAULTS = {  # by kind: the gate that refuses the next `count`, with `status`, or 0 = hang
    "refuse": "handshake",
    "refuse-tokens": "token",
    "refuse-presence": "presence",  # handshakes of presence sockets
    "refuse-users": "users",  # user look-ups
    "refuse-webhooks": "webhooks",  # webhook messages
}
NEGATIVE = (400, 401, 403, 404, 429, 500)


@dataclass(frozen=True, slots=True, kw_only=True)
class WspFault(Fault):
    """`socket`: the one that it meets; None = all."""

    KINDS: ClassVar[tuple[str, ...]] = (
        "close",  # with `code`, or with none (the client sees 1005)
        "drop",  # without a close frame (1006)
        "stall",  # half-open: nothing is sent, not even a pong, for `seconds`
        "pause",  # no event is sent for `seconds`; pings are answered
        "trickle",  # for `seconds` no more than `events` every 50 ms
        "expire-tokens",  # all; their sockets are closed with 1005 after `seconds` of grace
        "renumber",  # a new gateway epoch from `first_sequence` on, `named` anew or not
        "retention",  # from now on (for `seconds`, if given) only `events` can be replayed
        "ignore-sequence",  # the next `count` subscriptions get neither replay nor gap frame
        "poison",  # a `frame` at one place of the stream, for all who resume from before it
        "slow-users",  # the next `count` user look-ups take `seconds`
        *FRAME_FAULTS,  # `count` of them
        *HISTORY_FAULTS,
        *ACK_FAULTS,
        *PRESENCE_FAULTS,
        *GATE_FAULTS,
    )
    STATUSES: ClassVar[tuple[int, ...]] = (0, 401, 403, 429, 500, 502, 503, 504)

    first_sequence: int | None = None
    events: int = 0
    named: bool = True
    frame: str = "oversized"
    socket: int | None = None

    def __post_init__(self) -> None:
        self.check(NEGATIVE if self.kind == "ack-negative" else self.STATUSES)
        if self.frame not in BREAKING:
            raise ValueError(f"a poison is one of {', '.join(BREAKING)}, not {self.frame!r}")
        if self.events < 0:
            raise ValueError(f"events must not be negative: {self.events}")


def broken_frame(kind: str, event: bytes) -> bytes:
    """What a frame fault puts on the socket, made of a whole, healthy frame of the 16-bit form."""
    return _BREAKERS[kind](text_of(event))


_FLAKY = (
    WspFault(kind="drop"),
    WspFault(kind="close", code=1012),
    WspFault(kind="close", code=1001),
    WspFault(kind="expire-tokens", seconds=0.5),
    WspFault(kind="presence-drop"),
    WspFault(kind="presence-close", code=1012),
    WspFault(kind="ack-missing"),
    WspFault(kind="update-lost"),
    WspFault(kind="ack-negative", status=429, seconds=0.5),
)
_HOSTILE = (
    *_FLAKY,
    WspFault(kind="close", code=None),
    WspFault(kind="stall", seconds=3.0),
    WspFault(kind="pause", seconds=1.0),
    WspFault(kind="trickle", seconds=2.0, events=20),
    *(WspFault(kind="refuse", status=status, count=2) for status in (401, 403, 429, 500)),
    WspFault(kind="refuse", status=429, retry_after_s=1),
    WspFault(kind="refuse", status=0),
    WspFault(kind="refuse-tokens", status=500, count=2),
    WspFault(kind="refuse-tokens", status=429, retry_after_s=1),
    WspFault(kind="renumber", first_sequence=20_000_001),
    WspFault(kind="renumber", named=False),
    WspFault(kind="retention", events=100, seconds=5.0),
    WspFault(kind="ignore-sequence"),
    WspFault(kind="no-history-end"),
    WspFault(kind="slow-history", events=500, seconds=0.2),
    WspFault(kind="omit-agents", count=5),
    WspFault(kind="poison", frame="oversized"),
    WspFault(kind="presence-stall", seconds=3.0),
    WspFault(kind="bind-missing"),
    WspFault(kind="refuse-presence", status=500, count=2),
    WspFault(kind="refuse-presence", status=429, retry_after_s=1),
    WspFault(kind="ack-late", seconds=7.0),
    WspFault(kind="ack-duplicate"),
    WspFault(kind="ack-malformed", count=2),
    WspFault(kind="ack-negative", status=500),
    WspFault(kind="slow-users", seconds=1.0),
    WspFault(kind="refuse-users", status=500),
    WspFault(kind="refuse-users", status=429, retry_after_s=1),
    WspFault(kind="refuse-webhooks", status=500, count=2),
    WspFault(kind="refuse-webhooks", status=0),
    *(WspFault(kind=kind, count=3) for kind in FRAME_FAULTS if kind not in BREAKING),
    *(WspFault(kind=kind) for kind in BREAKING),
)
PROFILES: Mapping[str, FaultProfile[WspFault]] = {
    "none": FaultProfile(),
    "flaky": FaultProfile(
        faults=_FLAKY, mean_s=2.5, duplicates=0.005, reorder=20, token_life_s=40.0
    ),
    # All kinds of fault within a minute, reconnects included.
    "hostile": FaultProfile(
        faults=_HOSTILE, mean_s=0.5, duplicates=0.02, reorder=100, token_life_s=25.0
    ),
}

"""Faults: what goes wrong, and when. Pure: values in, values out; the server carries them out.

A fault comes from a control call (`parse_fault`) or from a plan (`profiles`). A
malformed frame is always additional: the event itself is also sent whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from tools.fake_gateway.wire import BINARY, CONTINUATION, TEXT, server_frame

FRAME_FAULTS = (
    "malformed",
    "truncated",
    "binary",
    "fragmented",
    "unknown-type",
    "unknown-state",
    "non-utf8",
    "oversized",
    "reserved-bits",
    "bad-continuation",
)
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
GATE_FAULTS = (
    "refuse",  # the next `count` handshakes, with `status`, or 0 = hang
    "refuse-tokens",  # the next `count` token calls, likewise
    "refuse-presence",  # … handshakes of presence sockets
    "refuse-users",  # … user look-ups
    "refuse-webhooks",  # … webhook messages
)
BREAKING = ("oversized", "reserved-bits", "bad-continuation")  # a client ends its session over them
KINDS = (
    "close",  # with `code`, or with none (the client sees 1005)
    "drop",  # without a close frame (1006)
    "stall",  # half-open: nothing is sent, not even a pong, for `seconds`
    "pause",  # no event is sent for `seconds`; pings are answered
    "trickle",  # for `seconds` no more than `events` every 50 ms
    "expire-tokens",  # all; their sockets are closed with 1005 after `seconds` of grace
    "renumber",  # a new gateway epoch from `first_sequence` on, `named` anew or not; sockets drop
    "retention",  # from now on (for `seconds`, if given) no more than `events` can be replayed
    "ignore-sequence",  # the next `count` subscriptions get neither replay nor gap frame
    "poison",  # a `frame` at one place of the stream, for everybody who resumes from before it
    "slow-users",  # the next `count` user look-ups take `seconds`
    *FRAME_FAULTS,  # `count` of them
    *HISTORY_FAULTS,
    *ACK_FAULTS,
    *PRESENCE_FAULTS,
    *GATE_FAULTS,
)
NEGATIVE = (400, 401, 403, 404, 429, 500)
REFUSALS = (0, 401, 403, 429, 500, 502, 503, 504)
OVERSIZED_BYTES = 2 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    kind: str
    code: int | None = None
    seconds: float = 0.0
    count: int = 1
    status: int = 429
    retry_after_s: int | None = None
    first_sequence: int | None = None
    events: int = 0
    named: bool = True
    frame: str = "oversized"
    socket: int | None = None  # None = all

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no such fault: {self.kind!r}; there are {', '.join(KINDS)}")
        if self.code is not None and not 1000 <= self.code <= 4999:
            raise ValueError(f"a close code is 1000 to 4999, or null: {self.code}")
        statuses = NEGATIVE if self.kind == "ack-negative" else REFUSALS
        if self.status not in statuses:
            raise ValueError(f"status is one of {statuses} (0 = hang), not {self.status}")
        if self.frame not in BREAKING:
            raise ValueError(f"a poison is one of {', '.join(BREAKING)}, not {self.frame!r}")
        if self.seconds < 0 or self.count < 1 or self.events < 0:
            raise ValueError("seconds and events must not be negative, count must be at least 1")

    @property
    def detail(self) -> dict[str, Any]:
        """What was asked for beside the kind, where it is not the usual."""
        usual = Fault(kind=self.kind)
        names = (field.name for field in fields(Fault) if field.name != "kind")
        return {
            name: getattr(self, name)
            for name in names
            if getattr(self, name) != getattr(usual, name)
        }


_TYPES: Mapping[str, tuple[type, ...]] = {
    "kind": (str,),
    "code": (int, type(None)),
    "seconds": (int, float),
    "count": (int,),
    "status": (int,),
    "retry_after_s": (int, type(None)),
    "first_sequence": (int, type(None)),
    "events": (int,),
    "named": (bool,),
    "frame": (str,),
    "socket": (int, type(None)),
}


def parse_fault(asked: Any) -> Fault:
    """Of a control call's JSON. Raises ValueError that names what is wrong."""
    if not isinstance(asked, dict):
        raise ValueError("a fault is a JSON object")
    known = {field.name for field in fields(Fault)}
    unknown = asked.keys() - known
    if unknown:
        raise ValueError(
            f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}"
        )
    if "kind" not in asked:
        raise ValueError(f"kind is missing: one of {', '.join(KINDS)}")
    for name, value in asked.items():
        is_flag = bool in _TYPES[name]
        if isinstance(value, bool) is not is_flag or not isinstance(value, _TYPES[name]):
            raise ValueError(f"{name} has the wrong type: {value!r}")
    return Fault(**asked)


def broken_frame(kind: str, event: bytes) -> bytes:
    """What a frame fault puts on the socket, made of a whole, healthy frame of the 16-bit form."""
    assert event[1] == 126, event[:4]
    return _BROKEN[kind](event[4:])


def _fragmented(text: bytes) -> bytes:
    third = len(text) // 3
    return (
        server_frame(text[:third], final=False)
        + server_frame(text[third : 2 * third], CONTINUATION, final=False)
        + server_frame(text[2 * third :], CONTINUATION)
    )


def _unknown_state(text: bytes) -> bytes:
    begin = text.index(b'"state":"') + 9
    return server_frame(text[:begin] + b"Levitating" + text[text.index(b'"', begin) :])


_BROKEN: Mapping[str, Callable[[bytes], bytes]] = {
    "malformed": lambda text: server_frame(text.replace(b'"state":', b'"state";', 1)),
    "truncated": lambda text: server_frame(text[: len(text) * 2 // 3]),
    "binary": lambda text: server_frame(text, BINARY),
    "fragmented": _fragmented,
    "unknown-type": lambda _: server_frame(
        b'{"type":"routing.agents.weather","data":{"sun":true}}'
    ),
    "unknown-state": _unknown_state,
    "non-utf8": lambda text: server_frame(text.replace(b'"state":"', b'"state":"\xff\xfe', 1)),
    "oversized": lambda text: server_frame(
        text[:-2] + b',"pad":"' + b"x" * OVERSIZED_BYTES + b'"}}'
    ),
    "reserved-bits": lambda text: server_frame(text, 0x40 | TEXT),
    "bad-continuation": lambda text: server_frame(text, CONTINUATION),
}
assert _BROKEN.keys() == set(FRAME_FAULTS)

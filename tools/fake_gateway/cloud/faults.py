"""Faults of the cloud dialect: what goes wrong, and when. Pure: values in, values out.

A fault comes from a control call (`parse_fault`) or from a plan. A malformed frame is always
additional: the event itself is also sent whole.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import orjson

from tools.fake_gateway.wire import BINARY, CONTINUATION, TEXT, server_frame

FRAME_FAULTS = (
    "malformed",
    "truncated",
    "binary",
    "fragmented",
    "unknown-topic",
    "unknown-status",
    "foreign-user",
    "non-utf8",
    "oversized",
    "reserved-bits",
    "bad-continuation",
)
BREAKING = ("oversized", "reserved-bits", "bad-continuation")  # a client ends its session over them
GATE_FAULTS = (
    "refuse-rest",  # the next `count` REST calls, with `status`, or 0 = never answered
    "refuse-writes",  # … that change somebody
    "refuse-tokens",  # … token calls
    "refuse-sockets",  # … handshakes of sockets
    "refuse-webhooks",  # … webhook messages
)
SOCKET_FAULTS = (
    "close",  # with `code`, or with none (the client sees 1005)
    "drop",  # without a close frame (1006)
    "stall",  # half-open: nothing is sent, not even a pong, for `seconds`; then all of it
    "pause",  # no event is sent for `seconds`; pings are answered
    "closing",  # v2.system.socket_closing now, closed `seconds` later
)
CHANNEL_FAULTS = (
    "expire-channel",  # its life is over: the socket is told no_longer_subscribed
    "evict-channel",  # as if a newer one had replaced it
    "unsubscribe",  # no_longer_subscribed; the channel is gone
    "revoke-channel",  # token_revoked; the channel is gone
    "lose-channel",  # {"result":"404"}; the channel is gone
    "forget-channel",  # the channel is gone, and its socket is cut without a word
)
KINDS = (
    *SOCKET_FAULTS,
    *CHANNEL_FAULTS,
    *FRAME_FAULTS,  # `count` of them
    *GATE_FAULTS,
    "expire-tokens",  # all of them: the next calls are told 401
    "slow-rest",  # the next `count` REST calls take `seconds`
)
REFUSALS = (0, 400, 401, 403, 404, 408, 429, 500, 502, 503, 504)
OVERSIZED_BYTES = 2 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    kind: str
    code: int | None = None
    seconds: float = 0.0
    count: int = 1
    status: int = 503
    retry_after_s: int | None = None
    channel: int | None = None  # serial; None = all, or `some` of them at random
    some: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no such fault: {self.kind!r}; there are {', '.join(KINDS)}")
        if self.code is not None and not 1000 <= self.code <= 4999:
            raise ValueError(f"a close code is 1000 to 4999, or null: {self.code}")
        if self.status not in REFUSALS:
            raise ValueError(f"status is one of {REFUSALS} (0 = hang), not {self.status}")
        if self.seconds < 0 or self.count < 1 or (self.some is not None and self.some < 1):
            raise ValueError("seconds must not be negative, count and some must be at least 1")


_TYPES: Mapping[str, tuple[type, ...]] = {
    "kind": (str,),
    "code": (int, type(None)),
    "seconds": (int, float),
    "count": (int,),
    "status": (int,),
    "retry_after_s": (int, type(None)),
    "channel": (int, type(None)),
    "some": (int, type(None)),
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
        if isinstance(value, bool) or not isinstance(value, _TYPES[name]):
            raise ValueError(f"{name} has the wrong type: {value!r}")
    return Fault(**asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Faults in turn, at random times with a mean distance; and how the gateway is all the time,
    unless it is told otherwise. `late`: every so-manieth step's frames come again, so many later.
    """

    faults: tuple[Fault, ...] = ()
    mean_s: float = 0.0
    late: tuple[int, int] = (0, 0)


_FLAKY = (
    Fault(kind="drop", some=1),
    Fault(kind="close", code=1012, some=1),
    Fault(kind="close", code=1001, some=2),
    Fault(kind="closing", seconds=5.0, some=1),
    Fault(kind="expire-channel", some=1),
    Fault(kind="evict-channel", some=1),
    Fault(kind="unsubscribe", some=1),
    Fault(kind="refuse-writes", status=429, retry_after_s=1),
)
_HOSTILE = (
    *_FLAKY,
    Fault(kind="close", code=None, some=3),
    Fault(kind="drop", some=5),
    Fault(kind="revoke-channel", some=1),
    Fault(kind="lose-channel", some=1),
    Fault(kind="forget-channel", some=1),
    Fault(kind="stall", seconds=3.0, some=1),
    Fault(kind="pause", seconds=1.0, some=2),
    Fault(kind="expire-tokens"),
    Fault(kind="slow-rest", seconds=1.0, count=3),
    Fault(kind="refuse-rest", status=500, count=2),
    Fault(kind="refuse-rest", status=503),
    Fault(kind="refuse-rest", status=429, retry_after_s=2),
    Fault(kind="refuse-tokens", status=500, count=2),
    Fault(kind="refuse-tokens", status=429, retry_after_s=1),
    Fault(kind="refuse-sockets", status=500, count=2),
    Fault(kind="refuse-sockets", status=429, retry_after_s=1),
    Fault(kind="refuse-writes", status=500),
    Fault(kind="refuse-webhooks", status=500, count=2),
    *(
        Fault(kind=kind, count=3, some=2)
        for kind in FRAME_FAULTS
        if kind not in (*BREAKING, "foreign-user")
    ),
    *(Fault(kind=kind, some=1) for kind in BREAKING),
)
PROFILES: Mapping[str, Profile] = {
    "none": Profile(),
    "flaky": Profile(faults=_FLAKY, mean_s=6.0, late=(200, 997)),
    "hostile": Profile(faults=_HOSTILE, mean_s=2.0, late=(50, 997)),
}


class FaultPlan:
    """The timeline of a profile: at random times with a mean distance, every fault in turn."""

    def __init__(self, profile: str, seed: int) -> None:
        if profile not in PROFILES:
            raise ValueError(f"no such fault profile: {profile!r}; there are {', '.join(PROFILES)}")
        self._faults, self._mean_s = PROFILES[profile].faults, PROFILES[profile].mean_s
        self.rng = random.Random(f"cloud faults {seed}")
        self._deck: list[Fault] = []
        self._next_s = self._distance_s()

    @property
    def kinds(self) -> list[str]:
        """That will come, if there is time."""
        return sorted({fault.kind for fault in self._faults})

    def due(self, elapsed_s: float) -> list[Fault]:
        """What has to happen since the last question."""
        due: list[Fault] = []
        while self._faults and elapsed_s >= self._next_s:
            if not self._deck:
                self._deck = list(self._faults)
                self.rng.shuffle(self._deck)
            due.append(self._deck.pop())
            self._next_s += self._distance_s()
        return due

    def _distance_s(self) -> float:
        return self.rng.expovariate(1 / self._mean_s) if self._mean_s else float("inf")


def parse_schedule(asked: Any) -> list[tuple[float, Fault]]:
    """Of a list of faults that each have an `at_s`. Raises ValueError that names what is wrong."""
    if not isinstance(asked, list):
        raise ValueError("a timeline is a list of faults, each with at_s")
    entries = []
    for number, each in enumerate(asked, start=1):
        at_s = each.get("at_s") if isinstance(each, dict) else None
        if isinstance(at_s, bool) or not isinstance(at_s, int | float) or not at_s >= 0:
            raise ValueError(f"number {number} of the timeline has no at_s of 0 or more")
        try:
            fault = parse_fault({name: value for name, value in each.items() if name != "at_s"})
        except ValueError as error:
            raise ValueError(f"number {number} of the timeline: {error}") from None
        entries.append((float(at_s), fault))
    return sorted(entries, key=lambda entry: entry[0])


def broken_frames(kind: str, event: bytes) -> bytes:
    """What a frame fault puts on the socket, made of a whole, healthy activity event of the 16-bit
    form."""
    assert event[1] == 126, event[:4]
    return _BROKEN[kind](event[4:])


def _fragmented(text: bytes) -> bytes:
    third = len(text) // 3
    return (
        server_frame(text[:third], final=False)
        + server_frame(text[third : 2 * third], CONTINUATION, final=False)
        + server_frame(text[2 * third :], CONTINUATION)
    )


def _unknown_status(text: bytes) -> bytes:
    begin = text.index(b'"status":"') + 10
    return server_frame(text[:begin] + b"LEVITATING" + text[text.index(b'"', begin) :])


def _foreign_user(text: bytes) -> bytes:
    """Of somebody whom nobody has subscribed."""
    event = orjson.loads(text)
    stranger = "00000000-0000-4000-8000-00000000beef"
    event["topicName"] = f"v2.users.{stranger}.activity"
    event["eventBody"]["id"] = stranger
    return server_frame(orjson.dumps(event))


_BROKEN: Mapping[str, Callable[[bytes], bytes]] = {
    "malformed": lambda text: server_frame(text.replace(b'"eventBody":', b'"eventBody";', 1)),
    "truncated": lambda text: server_frame(text[: len(text) * 2 // 3]),
    "binary": lambda text: server_frame(text, BINARY),
    "fragmented": _fragmented,
    "unknown-topic": lambda _: server_frame(
        b'{"topicName":"v2.weather","version":"2","eventBody":{"sun":true},"metadata":{}}'
    ),
    "unknown-status": _unknown_status,
    "foreign-user": _foreign_user,
    "non-utf8": lambda text: server_frame(text.replace(b'"status":"', b'"status":"\xff\xfe', 1)),
    "oversized": lambda text: server_frame(
        text[:-1] + b',"pad":"' + b"x" * OVERSIZED_BYTES + b'"}'
    ),
    "reserved-bits": lambda text: server_frame(text, 0x40 | TEXT),
    "bad-continuation": lambda text: server_frame(text, CONTINUATION),
}
assert _BROKEN.keys() == set(FRAME_FAULTS)

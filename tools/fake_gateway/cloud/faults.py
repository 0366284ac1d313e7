"""CloudFault: the faults of the cloud dialect, and its profiles of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import orjson

from tools.fake_gateway.fault_plan import FaultProfile
from tools.fake_gateway.faults import BREAKING, Fault, frame_breakers, text_of
from tools.fake_gateway.wire import server_frame


def _foreign_user(text: bytes) -> bytes:
    """Of somebody whom nobody has subscribed."""
    event = orjson.loads(text)
    stranger = "00000000-0000-4000-8000-00000000beef"
    event["topicName"] = f"v2.users.{stranger}.activity"
    event["eventBody"]["id"] = stranger
    return server_frame(orjson.dumps(event))


_BREAKERS = frame_breakers(
    key=b'"eventBody"',
    state=b'"status":"',
    other_state=b"LEVITATING",
    end=b"}",
    stranger=b'{"topicName":"v2.weather","version":"2","eventBody":{"sun":true},"metadata":{}}',
    names=("unknown-topic", "unknown-status"),
    more={"foreign-user": _foreign_user},
)
FRAME_FAULTS = tuple(_BREAKERS)
GATE_FAULTS = {  # by kind: the gate that refuses the next `count`, with `status`, or 0 = hang
    "refuse-rest": "rest",
    "refuse-writes": "rest",  # calls that change somebody
    "refuse-tokens": "token",
    "refuse-sockets": "handshake",
    "refuse-webhooks": "webhooks",
}
CHANNEL_FAULTS = {  # by kind: how the channel is lost
    "expire-channel": "expired",  # its life is over: the socket is told no_longer_subscribed
    "evict-channel": "evicted",  # as if a newer one had replaced it
    "unsubscribe": "unsubscribed",  # no_longer_subscribed; the channel is gone
    "revoke-channel": "revoked",  # token_revoked; the channel is gone
    "lose-channel": "lost",  # {"result":"404"}; the channel is gone
    "forget-channel": "forgotten",  # the channel is gone, and its socket is cut without a word
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudFault(Fault):
    """`channel`: the serial of the one that it meets; None = all, or `some` of them at random."""

    KINDS: ClassVar[tuple[str, ...]] = (
        "close",  # with `code`, or with none (the client sees 1005)
        "drop",  # without a close frame (1006)
        "stall",  # half-open: nothing is sent, not even a pong, for `seconds`; then all of it
        "pause",  # no event is sent for `seconds`; pings are answered
        "closing",  # v2.system.socket_closing now, closed `seconds` later
        *CHANNEL_FAULTS,
        *FRAME_FAULTS,  # `count` of them
        *GATE_FAULTS,
        "expire-tokens",  # all of them: the next calls are told 401
        "slow-rest",  # the next `count` REST calls take `seconds`
    )
    STATUSES: ClassVar[tuple[int, ...]] = (0, 400, 401, 403, 404, 408, 429, 500, 502, 503, 504)

    status: int = 503
    channel: int | None = None
    some: int | None = None

    def __post_init__(self) -> None:
        self.check(self.STATUSES)
        if self.some is not None and self.some < 1:
            raise ValueError(f"some must be at least 1: {self.some}")


def broken_frame(kind: str, event: bytes) -> bytes:
    """What a frame fault puts on the socket, made of a whole, healthy activity event of the 16-bit
    form."""
    return _BREAKERS[kind](text_of(event))


_FLAKY = (
    CloudFault(kind="drop", some=1),
    CloudFault(kind="close", code=1012, some=1),
    CloudFault(kind="close", code=1001, some=2),
    CloudFault(kind="closing", seconds=5.0, some=1),
    CloudFault(kind="expire-channel", some=1),
    CloudFault(kind="evict-channel", some=1),
    CloudFault(kind="unsubscribe", some=1),
    CloudFault(kind="refuse-writes", status=429, retry_after_s=1),
)
_HOSTILE = (
    *_FLAKY,
    CloudFault(kind="close", code=None, some=3),
    CloudFault(kind="drop", some=5),
    CloudFault(kind="revoke-channel", some=1),
    CloudFault(kind="lose-channel", some=1),
    CloudFault(kind="forget-channel", some=1),
    CloudFault(kind="stall", seconds=3.0, some=1),
    CloudFault(kind="pause", seconds=1.0, some=2),
    CloudFault(kind="expire-tokens"),
    CloudFault(kind="slow-rest", seconds=1.0, count=3),
    CloudFault(kind="refuse-rest", status=500, count=2),
    CloudFault(kind="refuse-rest", status=503),
    CloudFault(kind="refuse-rest", status=429, retry_after_s=2),
    CloudFault(kind="refuse-tokens", status=500, count=2),
    CloudFault(kind="refuse-tokens", status=429, retry_after_s=1),
    CloudFault(kind="refuse-sockets", status=500, count=2),
    CloudFault(kind="refuse-sockets", status=429, retry_after_s=1),
    CloudFault(kind="refuse-writes", status=500),
    CloudFault(kind="refuse-webhooks", status=500, count=2),
    *(
        CloudFault(kind=kind, count=3, some=2)
        for kind in FRAME_FAULTS
        if kind not in (*BREAKING, "foreign-user")
    ),
    *(CloudFault(kind=kind, some=1) for kind in BREAKING),
)
PROFILES: Mapping[str, FaultProfile[CloudFault]] = {
    "none": FaultProfile(),
    "platform": FaultProfile(is_varied=True),
    "flaky": FaultProfile(faults=_FLAKY, mean_s=6.0, late=(200, 997), is_varied=True),
    "hostile": FaultProfile(faults=_HOSTILE, mean_s=2.0, late=(50, 997), is_varied=True),
}

"""CloudFaultInjector: carries faults out, when a plan, a timeline or a control call wants them.

Decides neither which nor when (faults). The plan's time goes on only while a load runs.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass

from tools.fake_gateway.cloud.api_middleware import ApiMiddleware
from tools.fake_gateway.cloud.broadcast import Broadcast, Line
from tools.fake_gateway.cloud.channel_calls import ChannelListener
from tools.fake_gateway.cloud.channels import Channel, Channels
from tools.fake_gateway.cloud.faults import (
    CHANNEL_FAULTS,
    FRAME_FAULTS,
    GATE_FAULTS,
    Fault,
    FaultPlan,
)
from tools.fake_gateway.cloud.oauth import OAuth
from tools.fake_gateway.cloud.sockets import Sockets
from tools.fake_gateway.gates import Gate
from tools.fake_gateway.ledger import Ledger

STALL_FOREVER_S = 86400.0
_LOST_AS = {
    "expire-channel": "expired",
    "evict-channel": "evicted",
    "unsubscribe": "unsubscribed",
    "revoke-channel": "revoked",
    "lose-channel": "lost",
    "forget-channel": "forgotten",
}
assert _LOST_AS.keys() == set(CHANNEL_FAULTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Harmed:
    """What faults are done to."""

    channels: Channels
    broadcast: Broadcast
    sockets: Sockets
    door: ApiMiddleware
    oauth: OAuth
    gates: dict[str, Gate]  # by the kind of fault that refuses there
    listener: ChannelListener


class CloudFaultInjector:
    def __init__(
        self,
        harmed: Harmed,
        ledger: Ledger,
        plan: FaultPlan,
        schedule: list[tuple[float, Fault]],
    ) -> None:
        self._harmed = harmed
        self._ledger = ledger
        self._plan = plan
        self._schedule = sorted(schedule, key=lambda entry: entry[0])
        self._load_began_s: float | None = None
        self.counts: Counter[str] = Counter()

    @property
    def kinds_planned(self) -> list[str]:
        return self._plan.kinds

    def left(self) -> int:
        return len(self._schedule)

    def schedule(self, entries: list[tuple[float, Fault]]) -> None:
        self._schedule = sorted([*self._schedule, *entries], key=lambda entry: entry[0])
        self._harmed.broadcast.wake()

    def load_begins(self) -> None:
        self._load_began_s = time.monotonic()

    def carry_out_plan(self) -> None:
        broadcast = self._harmed.broadcast
        while broadcast.drops_due:
            broadcast.drops_due -= 1
            self.carry_out(Fault(kind="drop"))
        if broadcast.load is None or self._load_began_s is None:
            return
        elapsed_s = time.monotonic() - self._load_began_s
        due = [fault for at_s, fault in self._schedule if at_s <= elapsed_s]
        del self._schedule[: len(due)]
        for fault in (*due, *self._plan.due(elapsed_s)):
            self.carry_out(fault)

    def carry_out(self, fault: Fault) -> None:
        harmed = self._harmed
        harmed.broadcast.settle()
        self.counts[fault.kind] += 1
        channels = self._met(fault)
        self._ledger.write(
            "fault",
            what=fault.kind,
            channels=[channel.serial for channel in channels],
            at_us=time.time_ns() // 1000,
        )
        if fault.kind in GATE_FAULTS:
            harmed.gates[fault.kind].order(fault)
        elif fault.kind == "slow-rest":
            harmed.door.slow_s.extend([fault.seconds] * fault.count)
        elif fault.kind == "expire-tokens":
            for client in harmed.oauth.clients:
                client.tokens.expire_all()
        elif fault.kind in CHANNEL_FAULTS:
            for channel in channels:
                harmed.channels.remove(channel)
                harmed.listener.lost(channel, _LOST_AS[fault.kind])
        else:
            for channel in channels:
                line = harmed.sockets.line_of(channel)
                if line is not None:
                    self._disturb(fault, line)
        harmed.broadcast.wake()

    def _met(self, fault: Fault) -> list[Channel]:
        channels = [one for one in self._harmed.channels if fault.channel in (None, one.serial)]
        if fault.some is not None and fault.some < len(channels):
            return self._plan.rng.sample(channels, fault.some)
        return channels

    def _disturb(self, fault: Fault, line: Line) -> None:
        sockets = self._harmed.sockets
        if fault.kind in FRAME_FAULTS:
            line.broken.extend([fault.kind] * fault.count)
        elif fault.kind == "close":
            sockets.close(line, fault.code)
        elif fault.kind == "drop":
            sockets.drop(line)
        elif fault.kind == "closing":
            sockets.announce_closing(line, fault.seconds)
        else:
            assert fault.kind in ("stall", "pause"), fault
            line.paused_until_s = time.monotonic() + (fault.seconds or STALL_FOREVER_S)
            line.is_silent = fault.kind == "stall"

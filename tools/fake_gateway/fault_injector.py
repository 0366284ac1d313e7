"""FaultInjector: carries faults out, when a plan, a timeline or a control call wants them.

Decides neither which nor when (faults, profiles). The plan's time goes on only while a load runs.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections import Counter
from dataclasses import dataclass

from tools.fake_gateway.faults import (
    ACK_FAULTS,
    FRAME_FAULTS,
    GATE_FAULTS,
    HISTORY_FAULTS,
    PRESENCE_FAULTS,
    Fault,
)
from tools.fake_gateway.gates import Gate
from tools.fake_gateway.ledger import Ledger
from tools.fake_gateway.notifications import Notifications
from tools.fake_gateway.organisation import Organisation
from tools.fake_gateway.presence import Line, PresenceSockets
from tools.fake_gateway.profiles import FaultPlan, Schedule
from tools.fake_gateway.reception import Reception
from tools.fake_gateway.rest import Rest
from tools.fake_gateway.stream import Feed, Poison, Stream, Trickle
from tools.fake_gateway.tokens import Tokens

STALL_FOREVER_S = 86400.0
UNNAMED_FALL_MIN = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Harmed:
    """What faults are done to."""

    organisation: Organisation
    stream: Stream
    notifications: Notifications
    presence: PresenceSockets
    reception: Reception
    rest: Rest
    tokens: Tokens
    gates: dict[str, Gate]  # by the kind of fault that refuses there


class FaultInjector:
    def __init__(
        self,
        harmed: Harmed,
        ledger: Ledger,
        plan: FaultPlan,
        timeline: list[tuple[float, Fault]],
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._harmed = harmed
        self._ledger = ledger
        self._plan = plan
        self._schedule = Schedule()
        self._schedule.add(timeline)
        self._retention_events = harmed.organisation.retention_events
        self._load_began_s = 0.0
        self._plan_s = 0.0
        self._plan_looked_s = 0.0

    @property
    def kinds_planned(self) -> list[str]:
        return self._plan.kinds

    def load_begins(self) -> None:
        self._load_began_s = time.monotonic()

    def carry_out_plan(self) -> None:
        """The plan's time goes on only while a load runs and somebody listens: a client that was
        thrown out is not beaten further."""
        now_s = time.monotonic()
        if self._harmed.stream.load is not None:
            for fault in self._schedule.due(now_s - self._load_began_s):
                self.carry_out(fault)
        elif self._harmed.stream.load_state == "done":
            self._schedule.clear()  # the load has ended before their time
        if self._harmed.stream.load is not None and self._harmed.stream.feeds:
            self._plan_s += now_s - self._plan_looked_s
            for fault in self._plan.due(self._plan_s):
                if not self._would_pile_up(fault):
                    self.carry_out(fault)
        self._plan_looked_s = now_s

    def _would_pile_up(self, fault: Fault) -> bool:
        """A plan refuses a client that was thrown out, but does not keep it out for ever."""
        if fault.kind in ACK_FAULTS:
            return self._harmed.reception.is_ordered(fault.kind)
        return fault.kind in GATE_FAULTS and self._harmed.gates[fault.kind].is_ordered

    def left(self) -> int:
        """Those that are planned or not over yet; refusals wait for somebody to come."""
        now_s = time.monotonic()
        is_planned = bool(self._plan.kinds) and self._harmed.stream.load is not None
        held = sum(
            feed.paused_until_s > now_s or feed.trickle is not None
            for feed in self._harmed.stream.feeds.values()
        )
        return is_planned + held + len(self._schedule)

    def carry_out(self, fault: Fault) -> None:
        harmed = self._harmed
        feeds = [each for each in list(harmed.stream.feeds.values()) if _meets(fault, each)]
        lines = [each for each in list(harmed.presence.lines.values()) if _meets(fault, each)]
        met: list[Feed] | list[Line] = lines if fault.kind in PRESENCE_FAULTS else feeds
        if fault.kind not in (*FRAME_FAULTS, "poison"):  # those are noted when they are written
            self._ledger.write(
                "fault",
                what=fault.kind,
                sockets=[each.socket for each in met],
                seconds=fault.seconds,
                detail=fault.detail,
                at_us=time.time_ns() // 1000,
            )
        self.counts[fault.kind] += 1
        if fault.kind in PRESENCE_FAULTS:
            harmed.presence.carry_out(fault, lines)
        elif fault.kind in FRAME_FAULTS:
            for feed in feeds:
                feed.broken += [fault.kind] * fault.count
        elif not self._order(fault):
            self._disturb(fault, feeds, lines)
        harmed.stream.wake()

    def _order(self, fault: Fault) -> bool:
        """Whether it is one that waits for whom it will meet."""
        harmed, kind = self._harmed, fault.kind
        if kind in GATE_FAULTS:
            harmed.gates[kind].order(fault)
        elif kind in ACK_FAULTS:
            harmed.reception.order(fault)
        elif kind in HISTORY_FAULTS:
            harmed.notifications.odd_histories.extend(_each(fault))
        elif kind == "slow-users":
            harmed.rest.slow_users_s.extend([fault.seconds] * fault.count)
        elif kind == "ignore-sequence":
            harmed.notifications.ignored_sequences += fault.count
        elif kind == "retention":
            self._shorten_retention(fault)
        elif kind == "poison":
            place = harmed.organisation.order.whole(harmed.organisation.head)
            harmed.stream.poisons.append(Poison(place, fault.frame))
        else:
            return False
        return True

    def schedule(self, entries: list[tuple[float, Fault]]) -> None:
        self._schedule.add(entries)
        self._harmed.stream.wake()

    def _disturb(self, fault: Fault, feeds: list[Feed], lines: list[Line]) -> None:
        harmed, loop, now_s = self._harmed, asyncio.get_running_loop(), time.monotonic()
        if fault.kind == "renumber":
            self._renumber(fault)
            return
        if fault.kind == "expire-tokens":
            harmed.tokens.expire_all()
            for line in lines:
                loop.call_later(fault.seconds, harmed.presence.close, line, None)
        for feed in feeds:
            if fault.kind == "close":
                harmed.notifications.close(feed, fault.code)
            elif fault.kind == "drop":
                harmed.notifications.drop(feed)
            elif fault.kind == "expire-tokens":
                loop.call_later(fault.seconds, harmed.notifications.close, feed, None)
            elif fault.kind == "trickle":
                until_s = now_s + (fault.seconds or STALL_FOREVER_S)
                feed.trickle = Trickle(until_s=until_s, events=fault.events or 1)
            else:
                assert fault.kind in ("stall", "pause"), fault
                feed.paused_until_s = now_s + (fault.seconds or STALL_FOREVER_S)
                feed.is_silent = fault.kind == "stall"

    def _shorten_retention(self, fault: Fault) -> None:
        organisation = self._harmed.organisation
        if fault.seconds:
            usual = self._retention_events
            again = functools.partial(setattr, organisation, "retention_events", usual)
            asyncio.get_running_loop().call_later(fault.seconds, again)
        organisation.retention_events = fault.events

    def _renumber(self, fault: Fault) -> None:
        """As a gateway that starts again: no socket survives, and it numbers from near 1."""
        organisation = self._harmed.organisation
        organisation.end_block()
        first_sequence = fault.first_sequence or organisation.settings.agents + 1
        # Under the old name only what falls far enough can be told from the old numbering.
        falls = organisation.newest_sequence - first_sequence
        is_named = fault.named or falls < UNNAMED_FALL_MIN
        organisation.renumber(first_sequence, is_named=is_named)
        self._harmed.stream.poisons.clear()
        for feed in list(self._harmed.stream.feeds.values()):
            self._harmed.notifications.drop(feed)


def _meets(fault: Fault, one: Feed | Line) -> bool:
    return fault.socket in (None, one.socket)


def _each(fault: Fault) -> list[Fault]:
    """What `count` says: so many histories; but of the agents to be omitted it is the number."""
    return [fault] * (1 if fault.kind == "omit-agents" else fault.count)

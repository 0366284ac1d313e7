"""FaultInjector: carries faults out, when a plan, a timeline or a control call wants them.

Decides neither which nor when (`fault_plan.py`). What a kind of fault does is a dialect's business.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic

from tools.fake_gateway.connection import Connection
from tools.fake_gateway.fault_plan import F, FaultPlan, FaultProfile, FaultSchedule
from tools.fake_gateway.faults import Fault

if TYPE_CHECKING:
    from tools.fake_gateway.gateway import Gateway


class FaultInjector(ABC, Generic[F]):
    fault: ClassVar[type[Any]]  # the dialect's kind of fault
    profiles: ClassVar[Mapping[str, FaultProfile[Any]]]
    seed: ClassVar[str] = "faults"

    def __init__(self, gateway: Gateway[Any, F]) -> None:
        settings = gateway.settings
        self.counts: Counter[str] = Counter()
        self._ledger = gateway.ledger
        self._traffic = gateway.traffic
        self._gates = gateway.gates
        seed = f"{self.seed} {settings.script.seed}"
        self._plan: FaultPlan[F] = FaultPlan(self.profiles, settings.faults, seed)
        self._schedule: FaultSchedule[F] = FaultSchedule()
        self._schedule.add(list(settings.schedule))
        self._load_began_s = 0.0
        self._plan_s = 0.0
        self._plan_looked_s = 0.0

    @property
    def kinds_planned(self) -> list[str]:
        return self._plan.kinds

    def left(self) -> int:
        """Those of the timeline that are to come."""
        return len(self._schedule)

    def schedule(self, entries: list[tuple[float, F]]) -> None:
        self._schedule.add(entries)
        self._traffic.wake()

    def load_begins(self) -> None:
        self._load_began_s = time.monotonic()

    def carry_out_plan(self) -> None:
        """The plan's time goes on only while a load runs and somebody listens: a client that was
        thrown out is not beaten further."""
        traffic, now_s = self._traffic, time.monotonic()
        if traffic.load is not None:
            for fault in self._schedule.due(now_s - self._load_began_s):
                self.carry_out(fault)
        elif traffic.load_state == "done":
            self._schedule.clear()  # the load has ended before their time
        if traffic.load is not None and traffic.listening:
            self._plan_s += now_s - self._plan_looked_s
            for fault in self._plan.due(self._plan_s):
                if not self._is_ordered(fault):
                    self.carry_out(fault)
        self._plan_looked_s = now_s
        while traffic.drops_due:
            traffic.drops_due -= 1
            self.carry_out(self.fault(kind="drop"))

    def carry_out(self, fault: F) -> None:
        self.counts[fault.kind] += 1
        self._inject(fault)
        self._traffic.wake()

    def _is_ordered(self, fault: F) -> bool:
        """Whether one of its kind waits for somebody to come. A plan refuses a client that was
        thrown out, but does not keep it out for ever."""
        return fault.kind in self._gates and self._gates[fault.kind].is_ordered

    @abstractmethod
    def _inject(self, fault: F) -> None:
        """Notes it in the ledger, and does it."""


def disturb(fault: Fault, connection: Connection) -> None:
    """What both dialects do to a socket."""
    if fault.kind == "close":
        connection.close(fault.code)
    elif fault.kind == "drop":
        connection.drop()
    else:
        assert fault.kind in ("stall", "pause"), fault
        connection.pause(fault.seconds, is_silent=fault.kind == "stall")

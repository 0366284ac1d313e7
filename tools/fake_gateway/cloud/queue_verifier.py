"""QueueVerifier: holds what a runtime showed of its queues against who is a member of which. Pure.

What was shown is one JSON object, taken when all had come to rest:

queues      [{"id", "agents", "by_state": {state: number}}], as `/api/queues` tells
agents      [[id, state, [queue, …]], …]: everybody whom the page shows
unknown     agents whose queues the runtime said it did not know

The truth of a queue is made of the agents that were shown. Whoever was inactive for a while may be
missing from lists that were read then: what was shown of them is taken off the counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tools.fake_gateway.cloud.expectation import CloudExpectation
from tools.fake_gateway.findings import Findings

KIND = "queue_mismatches"
AVAILABLE = "Available"


class Counts(NamedTuple):
    """Of one queue."""

    members: int
    available: int


class QueueVerifier:
    def __init__(self, expectation: CloudExpectation, findings: Findings) -> None:
        self._expectation = expectation
        self._findings = findings
        self._shown_wrongly: list[tuple[str, dict[str, Any]]] = []
        self._number_of = {user: agent for agent, user in enumerate(expectation.users)}

    def check(self, shown: Mapping[str, Any]) -> dict[str, Any]:
        """Its figures."""
        if unknown := int(shown["unknown"]):
            self._findings.add(KIND, "agents whose queues are not known at the end", found=unknown)
        rightly, excused, left_out = self._truth(shown["agents"])
        found = {
            each["id"]: Counts(int(each["agents"]), int(each["by_state"].get(AVAILABLE, 0)))
            for each in shown["queues"]
        }
        for queue in sorted(rightly.keys() | found.keys() | excused.keys()):
            beside, told = excused.get(queue, Counts(0, 0)), found.get(queue, Counts(0, 0))
            counted = Counts(told.members - beside.members, told.available - beside.available)
            expected = rightly.get(queue, Counts(0, 0))
            if counted != expected:
                where = {"expected": expected._asdict(), "found": counted._asdict()}
                self._findings.add(KIND, "counts of a queue", queue=queue, **where)
        for what, where in self._shown_wrongly:
            self._findings.add(KIND, what, **where)
        return {
            "queues": len(rightly),
            "memberships": sum(each.members for each in rightly.values()),
            "agents_left_out": left_out,
            "agents_unknown": unknown,
        }

    def _truth(
        self, agents: Sequence[Sequence[Any]]
    ) -> tuple[dict[str, Counts], dict[str, Counts], int]:
        """By queue what must be counted of these agents, and what was shown of those whom nothing
        can be said of; and how many these are."""
        members, available = Counter[str](), Counter[str]()
        beside, beside_available = Counter[str](), Counter[str]()
        expectation, left_out = self._expectation, 0
        for user, state, queues in agents:
            agent = self._number_of.get(user.lower())
            if agent is None or expectation.away[agent] or expectation.is_left_out(agent):
                left_out += 1
                beside.update(queues)
                beside_available.update(queues if state == AVAILABLE else ())
                continue
            rightly = expectation.memberships(agent)
            members.update(rightly)
            last = expectation.last_number(agent, expectation.end_of(agent))
            rightful = expectation.fact(agent, last).state
            if rightful == AVAILABLE:
                available.update(rightly)
            if rightly != frozenset(queues) or len(rightly) != len(queues):
                self._tell_agent("queues", user, sorted(rightly), sorted(queues))
            if (rightful == AVAILABLE) != (state == AVAILABLE):
                self._tell_agent("state", user, rightful, state)
        return _counts(members, available), _counts(beside, beside_available), left_out

    def _tell_agent(self, what: str, user: str, expected: Any, found: Any) -> None:
        """Behind the counts: who was shown wrongly."""
        where = {"user": user, "expected": expected, "found": found}
        self._shown_wrongly.append((f"{what} of an agent as shown", where))


def _counts(members: Counter[str], available: Counter[str]) -> dict[str, Counts]:
    return {queue: Counts(number, available[queue]) for queue, number in members.items()}

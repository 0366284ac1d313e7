"""ChildrenStatus: how all children do together, in one line for people and programs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from runtime.child_spec import ChildSpec
from runtime.counters import DRAINING, LOADED, WAITING
from runtime.restart_plan import ChildFacts, Situation

NAMED_MAX: Final = 4


class ChildrenStatus(NamedTuple):
    """`is_up`: every child runs, and has loaded what it needs."""

    is_up: bool
    words: str


def children_status(specs: Sequence[ChildSpec], situation: Situation) -> ChildrenStatus:
    """What is true at this moment."""
    if situation.stopping is not None:
        return ChildrenStatus(False, f"stopping: {situation.stopping.reason}")
    children = [(spec.name, situation.children[spec.name]) for spec in specs]
    lacking = [f"{name} {why}" for name, facts in children if (why := _lacks(facts))]
    if lacking:
        up = len(children) - len(lacking)
        return ChildrenStatus(
            False, f"{up} of {len(children)} processes are up: {_listed(lacking)}"
        )
    waiting = [name for name, facts in children if facts.phase == WAITING]
    restarts = sum(facts.generation - 1 for _, facts in children)
    words = f"all {len(children)} processes are up"
    if restarts:
        words += f", after {restarts} restarts"
    if waiting:
        words += f"; waiting for disk or peer: {_listed(waiting)}"
    return ChildrenStatus(True, words)


def _lacks(facts: ChildFacts) -> str:
    """Why this child is not up; empty if it is."""
    if facts.generation == 0:
        return "has not started yet"
    if not facts.running:
        return str(facts.exits[-1])
    if facts.phase >= DRAINING:
        return "is stopping"
    return "" if facts.phase >= LOADED else "is starting"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    return ", ".join(names[:NAMED_MAX]) + more

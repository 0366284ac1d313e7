"""What is told of the whole: up or not, and what lacks."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.child_spec import ChildSpec
from runtime.children_status import children_status
from runtime.counters import DRAINING, LOADED, RUNNING, STARTING, WAITING, Counters
from runtime.exit import Exit
from runtime.restart_plan import ChildFacts, Situation, Stopping

UP = ChildFacts(generation=1, running=True, phase=RUNNING)
NAMES = ("web", "shard-0", "shard-1")


def told(*children: ChildFacts, **fields: Any) -> tuple[bool, str]:
    names = [*NAMES, *(f"shard-{index}" for index in range(2, len(children)))][: len(children)]
    specs = [
        ChildSpec(name=name, title="", entry=":", arguments=None, counters=Counters.create(name))
        for name in names
    ]
    facts = dict(zip(names, children, strict=True))
    return children_status(specs, Situation(children=facts, now_s=1.0, looked_s=1.0, **fields))


def test_all_are_up_when_each_runs_and_has_loaded() -> None:
    loaded = ChildFacts(generation=1, running=True, phase=LOADED)
    assert told(UP, UP, loaded) == (True, "all 3 processes are up")


def test_who_waits_for_its_disk_is_up_and_is_named() -> None:
    waiting = ChildFacts(generation=3, running=True, phase=WAITING)
    words = "all 2 processes are up, after 2 restarts; waiting for disk or peer: shard-0"
    assert told(UP, waiting) == (True, words)


@pytest.mark.parametrize(
    ("child", "why"),
    [
        (ChildFacts(), "has not started yet"),
        (ChildFacts(generation=2, running=True, phase=STARTING), "is starting"),
        (ChildFacts(generation=1, running=True, phase=DRAINING), "is stopping"),
        (ChildFacts(generation=1, exits=(Exit(0.0, 75),)), "exited with 75 (temporary)"),
        (ChildFacts(generation=1, exits=(Exit(0.0, -9),)), "was killed by SIGKILL"),
    ],
)
def test_who_is_not_up_is_named_with_the_reason(child: ChildFacts, why: str) -> None:
    assert told(UP, child) == (False, f"1 of 2 processes are up: shard-0 {why}")


def test_of_many_some_are_named_and_the_others_counted() -> None:
    _, words = told(*[ChildFacts()] * 7)
    assert words.startswith("0 of 7 processes are up: web has not started yet, shard-0 has")
    assert words.endswith(" and 3 more")


def test_what_stops_is_not_up_and_says_why() -> None:
    stopping = Stopping(reason="SIGTERM", exit_code=0, since_s=0.0)
    assert told(UP, stopping=stopping) == (False, "stopping: SIGTERM")

"""Profiles and timelines: which faults come by themselves, and when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tools.fake_gateway.fault_plan import (
    FaultPlan,
    FaultSchedule,
    parse_schedule,
    read_schedule,
)
from tools.fake_gateway.wsp.faults import PROFILES, WspFault


def test_a_plan_is_the_same_for_a_seed_and_uses_every_fault() -> None:
    once, again = (
        FaultPlan(PROFILES, "hostile", "faults 7"),
        FaultPlan(PROFILES, "hostile", "faults 7"),
    )
    planned = [once.due(second) for second in range(200)]
    assert planned == [again.due(second) for second in range(200)]
    assert {fault for due in planned for fault in due} == set(PROFILES["hostile"].faults)


@pytest.mark.parametrize("seed", range(20))
def test_a_minute_of_a_hostile_gateway_has_every_kind_of_fault(seed: int) -> None:
    came = {fault.kind for fault in FaultPlan(PROFILES, "hostile", f"faults {seed}").due(60.0)}
    assert came == set(WspFault.KINDS)


def test_a_plan_without_faults_has_none() -> None:
    assert FaultPlan(PROFILES, "none", "7").due(1e9) == []
    assert FaultPlan(PROFILES, "none", "7").kinds == []


def test_no_such_profile_is_refused() -> None:
    with pytest.raises(ValueError, match="flaky"):
        FaultPlan(PROFILES, "mean", "7")


def test_a_timeline_gives_each_fault_once_at_its_time() -> None:
    schedule: FaultSchedule[WspFault] = FaultSchedule()
    schedule.add(
        parse_schedule(WspFault, [{"at_s": 2, "kind": "drop"}, {"at_s": 1.5, "kind": "stall"}])
    )
    assert schedule.due(1.0) == []
    assert schedule.due(1.5) == [WspFault(kind="stall")]
    assert len(schedule) == 1
    assert schedule.due(9.0) == [WspFault(kind="drop")]
    assert schedule.due(9.0) == []


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ({"at_s": 1, "kind": "drop"}, "list of faults"),
        ([{"kind": "drop"}], "number 1 of the timeline has no at_s"),
        ([{"at_s": True, "kind": "drop"}], "no at_s"),
        ([{"at_s": -1, "kind": "drop"}], "no at_s"),
        ([{"at_s": 0, "kind": "drop"}, {"at_s": 1, "kind": "fire"}], "number 2.*Unknown fault"),
    ],
)
def test_a_timeline_that_makes_no_sense_is_told_why(asked: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_schedule(WspFault, asked)


def test_a_timeline_is_read_from_lines(tmp_path: Path) -> None:
    path = tmp_path / "timeline"
    path.write_text('{"at_s": 1, "kind": "drop"}\n\n{"at_s": 2, "kind": "close", "code": 1001}\n')
    assert read_schedule(WspFault, path) == (
        (1.0, WspFault(kind="drop")),
        (2.0, WspFault(kind="close", code=1001)),
    )
    path.write_text("at_s=1")
    with pytest.raises(ValueError, match="timeline does not hold a JSON object in each line"):
        read_schedule(WspFault, path)

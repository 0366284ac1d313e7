"""What a demo holds against the runtime although every event is right."""

from __future__ import annotations

from typing import Any

import pytest

from actors.demo.misconduct import ENDS, HAMMERED, IN_USE, misconduct
from tests.actors.demo.test_main import report


def cloud(ended: int = 0, **fields: Any) -> Any:
    return report(cloud={"variations": {ENDS: ended}}, fault_profile="platform", **fields)


@pytest.mark.parametrize(
    ("told", "beside"),
    [
        (cloud(), {HAMMERED: 1}),
        (cloud(ended=9), {IN_USE: 5}),
        (cloud(quarantined_by_reason={"a result that nobody knows": 1}), {}),
        (cloud(commands={"ends": {"refused: no-such-state": 2}}), {}),
    ],
)
def test_each_kind_is_a_problem(told: Any, beside: dict[str, int]) -> None:
    assert len(misconduct(told, beside)) == 1


@pytest.mark.parametrize(
    ("told", "beside"),
    [
        (report(), {}),
        (cloud(ended=9), {IN_USE: 4}),
        (cloud(ended=2), {IN_USE: 2}),
        (cloud(commands={"ends": {"refused: transition": 2}}), {}),
        (report(quarantined_by_reason={"not JSON": 3}, fault_profile="hostile"), {}),
    ],
)
def test_what_may_happen_is_none(told: Any, beside: dict[str, int]) -> None:
    assert misconduct(told, beside) == []

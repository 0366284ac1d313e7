"""The cost of an event in the merge does not hang on whether its presence bears a message.

Counted in calls, which no other work of the machine changes; `python -m tests.cases.message_shapes`
times the same.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cases.message_shapes import RATIO_MAX, SHAPES, calls_per_event, with_message

SLOW_PATH = pytest.mark.xfail(
    reason="R13: a presence without the usual message misses the hot path", raises=AssertionError
)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("without a message", marks=SLOW_PATH),
        pytest.param("message null", marks=SLOW_PATH),
    ],
)
def test_an_event_of_another_shape_goes_through_as_few_functions(tmp_path: Path, name: str) -> None:
    (tmp_path / "usual").mkdir()
    usual = calls_per_event(tmp_path / "usual", with_message)
    other = calls_per_event(tmp_path, SHAPES[name])
    assert usual >= 1.0, "nothing was counted"
    assert other <= RATIO_MAX * usual, f"{other:.1f} calls an event, usually {usual:.1f}"

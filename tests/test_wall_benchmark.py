"""The wall benchmark: a real web child, and readers who end with what the shard holds."""

from __future__ import annotations

import pytest

from benchmarks import wall
from benchmarks.harness import WrongResultError
from benchmarks.wall import CPU, SEEN, TOLD, Scenario
from benchmarks.wall_readers import View


def test_a_small_wall_is_measured_and_verified() -> None:
    figures = wall._measured(Scenario(agents=200, events_per_s=500, readers=4), 1.0)
    assert set(figures) == {SEEN, TOLD, CPU}
    assert all(figure > 0 for figure in figures.values())


def test_a_reader_that_misses_a_change_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(View, "apply", lambda *_: None)
    with pytest.raises(WrongResultError, match="a reader's view is what the shard holds"):
        wall._measured(Scenario(agents=20, events_per_s=100, readers=2), 0.5)

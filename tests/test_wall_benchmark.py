"""The wall benchmark: a real web child, and readers who end with what the shard holds."""

from __future__ import annotations

from contextlib import closing

import pytest

from benchmarks import wall
from benchmarks.crowd import Crowd, verify_told
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


def test_a_crowd_in_processes_of_its_own_reads_all_that_is_told() -> None:
    busy = Scenario(agents=50, events_per_s=200, readers=3)
    quiet = busy._replace(events_per_s=0)
    with wall._walls(busy) as told, closing(Crowd(told.port, busy.readers)) as crowd:
        wall._live(told, busy, 1.0)
        parts = crowd.leave(lambda seconds: wall._live(told, quiet, seconds))
    assert len(parts) == busy.readers  # each in a process
    assert all(part.frames and part.bytes and part.is_right for part in parts)


def test_a_crowd_whose_view_is_wrong_is_no_figure() -> None:
    busy = Scenario(agents=50, events_per_s=200, readers=1)
    quiet = busy._replace(events_per_s=0)
    with wall._walls(busy) as told, closing(Crowd(told.port, 1)) as crowd:
        wall._live(told, busy, 0.5)
        (part,) = crowd.leave(lambda seconds: wall._live(told, quiet, seconds))
    newest = max(part.frames)
    with pytest.raises(WrongResultError, match="views that are right"):
        verify_told([part._replace(is_right=False)], newest)
    with pytest.raises(WrongResultError, match="events read"):
        verify_told([part], newest + 1)
    with pytest.raises(WrongResultError, match="all read the same"):
        verify_told([part, part._replace(frames={**part.frames, newest: "other"})], newest)

"""The wall benchmark: a real web child, and readers who end with what the shard holds."""

from __future__ import annotations

import time
from contextlib import closing

import pytest

from benchmarks import wall
from benchmarks.crowd import Crowd, sleeping, verify_told
from benchmarks.harness import WrongResultError
from benchmarks.wall import CPU, SEEN, TOLD, Scenario
from benchmarks.wall_readers import PATIENCE_S, View

KEPT_FOR_IT_MAX = 8 << 20
"""Bytes told, and whoever read none of them was dropped: hub, answer and kernel keep less."""


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


def test_a_reader_that_sleeps_is_dropped_and_the_others_read_on() -> None:
    busy = Scenario(agents=2_000, events_per_s=10_000, readers=1)
    quiet = busy._replace(events_per_s=0)
    deadline_s = time.monotonic() + PATIENCE_S
    with wall._walls(busy) as told, sleeping(told.port), closing(Crowd(told.port, 1)) as crowd:
        while not told.page.get("stream_resyncs"):
            assert time.monotonic() < deadline_s, "it is not dropped"
            wall._live(told, busy, 0.2)
        (part,) = crowd.leave(lambda seconds: wall._live(told, quiet, seconds))
        assert told.page.get("stream_resyncs") == 1
    assert part.is_right
    assert part.bytes < KEPT_FOR_IT_MAX

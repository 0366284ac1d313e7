"""One sink's life: pulled, delivered, written down; failures, waits and stops."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import apsw
import pytest
from structlog.testing import capture_logs

from actors.sinks.arguments import SINKS, SINKS_WORDS
from actors.sinks.delivery_worker import DeliveryWorker, Thread
from actors.sinks.sink import Sink, UndeliveredError
from actors.sinks.sink_retry import SinkRetry
from actors.sinks.store import SinkStore, read_places, read_standings, sinks_path
from runtime.clock import SystemClock
from runtime.counters import Counters
from runtime.errors import ConfigurationError
from tests.actors.receiver.rig import in_loop, until
from tests.actors.sinks.rig import FakeShard, Other, all_events, prepared, shards, source_for

FAILED = UndeliveredError("answered with 500")
REFUSED = UndeliveredError("answered with 410", is_refused=True)


class Stage:
    """A pump between one journal and the other side."""

    def __init__(self, folder: Path, sink: Sink, *, rows_max: int = 10) -> None:
        self.folder = folder
        self.source, self.store = source_for(folder, rows_max=rows_max)
        self.counters = Counters.create(SINKS, SINKS_WORDS)
        self.thread = Thread("test")
        self.worker = DeliveryWorker(
            "lines",
            sink,
            self.source,
            self.store,
            SinkRetry(backoff_most_s=0.01, pause_s=0.02, rng=random.Random(1)),
            linger_s=0.0,
            clock=SystemClock(),
            counters=self.counters,
            in_thread=self.thread,
        )

    @property
    def row(self) -> int:
        (place,) = read_places(sinks_path(self.folder))["lines"].values()
        return place.row


@asynccontextmanager
async def running(stage: Stage) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.get_running_loop().create_task(stage.worker.run())
    try:
        yield task
        stage.worker.stop()
        await task
    finally:
        task.cancel()
        stage.thread.leave()


def journal(folder: Path, *users: str) -> FakeShard:
    (shard,) = shards(folder)
    if users:
        shard.write(*users)
    prepared(folder)
    return shard


def test_what_is_there_and_what_comes_is_delivered_and_written_down(tmp_path: Path) -> None:
    shard = journal(tmp_path, *["u1"] * 25)
    other = Other()
    stage = Stage(tmp_path, other)

    async def test() -> None:
        async with running(stage):
            await until(lambda: len(other.taken) == 25)
            shard.write("u2", "u2")
            stage.worker.wake()
            await until(lambda: stage.row == 27)
            await until(lambda: not stage.worker.oldest_us)  # a moment after it is written down

    in_loop(test)
    assert other.taken == all_events(tmp_path)
    assert other.is_closed
    assert stage.counters.get("delivered") == 27
    assert stage.counters.get("batches") == 4  # 10, 10, 5, 2
    (standing,) = read_standings(sinks_path(tmp_path))
    assert (standing.delivered, standing.problem) == (27, "")
    assert standing.since_us > 0


def test_a_failed_batch_is_tried_again_as_it_was_and_nothing_overtakes_it(tmp_path: Path) -> None:
    journal(tmp_path, *["u1"] * 25)
    other = Other(FAILED, FAILED, None, FAILED)
    stage = Stage(tmp_path, other)

    async def test() -> None:
        async with running(stage):
            await until(lambda: len(other.taken) == 25)

    in_loop(test)
    assert other.taken == all_events(tmp_path)
    assert (stage.counters.get("failed"), stage.counters.get("refused")) == (3, 0)
    assert other.opened == 4  # at first, and anew after each failure


def test_a_refusal_pauses_it_loudly_and_drops_nothing(tmp_path: Path) -> None:
    journal(tmp_path, "u1")
    other = Other(*[REFUSED] * 50)
    stage = Stage(tmp_path, other)

    async def test() -> None:
        async with running(stage):
            await until(lambda: stage.counters.get("refused") > 2)
            assert stage.worker.is_paused
            assert stage.worker.oldest_us > 0
            (standing,) = read_standings(sinks_path(tmp_path))
            assert (standing.problem, standing.is_paused) == ("answered with 410", True)
            other.answers.clear()
            await until(lambda: stage.row == 1)
            assert not stage.worker.is_failing
            assert not stage.worker.is_paused

    with capture_logs() as lines:
        in_loop(test)
    assert len(other.taken) == 1
    told = [line["event"] for line in lines]
    assert told == ["sink.refused", "sink.recovered"]  # once, not at every attempt


def test_a_stop_delivers_what_is_left_and_waits_for_nobody_who_fails(tmp_path: Path) -> None:
    shard = journal(tmp_path, "u1")
    other = Other()
    stage = Stage(tmp_path, other)

    async def delivers() -> None:
        async with running(stage):
            await until(lambda: len(other.taken) == 1)
            shard.write("u1", "u1")  # and nobody wakes it

    in_loop(delivers)
    assert len(other.taken) == 3
    shard.write("u1")
    refusing = Other(*[REFUSED] * 1_000)
    stuck = Stage(tmp_path, refusing)

    async def fails() -> None:
        async with running(stuck):
            await until(lambda: stuck.counters.get("refused"))

    in_loop(fails)
    assert stuck.row == 3  # the next start goes on there
    assert refusing.is_closed


def test_a_place_that_cannot_be_written_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal(tmp_path, "u1")
    monkeypatch.setattr("actors.sinks.delivery_worker.COMMIT_RETRY_S", 0.01)
    failures = [apsw.FullError("full"), apsw.BusyError("busy")]
    real: Callable[..., None] = SinkStore.commit

    def commit(store: SinkStore, *arguments: object) -> None:
        if failures:
            raise failures.pop()
        real(store, *arguments)

    monkeypatch.setattr(SinkStore, "commit", commit)
    other = Other()
    stage = Stage(tmp_path, other)

    async def test() -> None:
        async with running(stage):
            await until(lambda: stage.row == 1)

    in_loop(test)
    assert len(other.taken) == 1  # not delivered again for that
    assert stage.counters.get("commit_failures") == 2


def test_a_journal_that_cannot_be_read_at_the_moment_is_read_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal(tmp_path, "u1")
    other = Other()
    stage = Stage(tmp_path, other)
    failures = [apsw.BusyError("locked"), ConfigurationError("somebody has deleted it")]
    real = stage.source.pull

    def pull() -> object:
        if failures:
            raise failures.pop()
        return real()

    monkeypatch.setattr(stage.source, "pull", pull)

    async def test() -> None:
        async with running(stage):
            await until(lambda: stage.row == 1)

    in_loop(test)
    assert stage.counters.get("failed") == 2


def test_what_a_sink_does_not_foresee_ends_it(tmp_path: Path) -> None:
    journal(tmp_path, "u1")

    class Broken(Other):
        async def deliver(self, batch: object) -> None:
            raise LookupError("our own mistake")

    stage = Stage(tmp_path, Broken())

    async def test() -> None:
        with pytest.raises(LookupError):
            await stage.worker.run()

    in_loop(test)
    stage.thread.leave()
    assert stage.row == 0

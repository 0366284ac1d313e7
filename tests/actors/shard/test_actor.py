"""The state actor on its thread, between real rings and a real journal."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import orjson
import pytest

from actors.genesys.times import microseconds
from actors.messages.control import (
    SessionBegins,
    Watches,
    encode_control,
    session_flags,
)
from actors.messages.doubts import Doubt, decode_doubt
from actors.shard.journal import Journal
from actors.shard.pruning import PRUNE_FOR_S
from runtime import crash_point
from runtime.clock import SystemClock
from runtime.counters import WAITING
from runtime.errors import LocalError
from runtime.exit import Exit
from runtime.ring import KIND_CONTROL, KIND_EVENT
from tests.actors.shard.actor_bench import Bench
from tests.actors.shard.lending import RECEIVED_NS, A, event

DEADLINE_S = 10.0


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "shard-00.db")
    yield bench
    if not bench.inbox.ending.reached.is_set():
        bench.stop()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_is_sent_is_committed_and_shown(bench: Bench) -> None:
    bench.start()
    bench.send(1_001, 1_000)
    bench.wait(lambda: bench.counters.get("applied") == 1_000)
    assert bench.counters.get("mark_sequence") == 2_000
    assert bench.producer.used_bytes == 0 or bench.counters.get("batches") > 0
    bench.stop()
    assert bench.rows() == list(range(1_001, 2_001))


def test_a_stop_drains_what_stands_in_the_ring(bench: Bench) -> None:
    bench.send(1_001, 2_000)
    bench.start()
    bench.stop()
    assert bench.rows() == list(range(1_001, 3_001))
    assert bench.producer.used_bytes == 0


def test_a_failed_actor_leaves_its_batch_and_its_successor_skips_what_was_committed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_after_commit(name: str) -> None:
        if name == "after-commit":
            raise LocalError("killed here")

    with monkeypatch.context() as patch:
        patch.setattr("actors.shard.actor.crash_point", fail_after_commit)
        bench.start()
        bench.send(1_001, 300)
        assert bench.inbox.ending.reached.wait(DEADLINE_S)
        assert isinstance(bench.inbox.ending.failure, LocalError)
    assert bench.producer.used_bytes > 0  # not committed in the ring, but in the journal
    bench.start()
    bench.send(1_301, 300)
    bench.stop()
    assert bench.rows() == list(range(1_001, 1_601))
    assert bench.counters.get("duplicates") == 0


def test_a_failing_disk_is_waited_for_and_nothing_is_lost(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, failures = Journal.commit, iter([apsw.FullError, apsw.IOError, apsw.BusyError])

    def failing(journal: Journal, transaction: object) -> None:
        for failure in failures:
            raise failure("no room")
        commit(journal, transaction)  # type: ignore[arg-type]

    bench.start()
    monkeypatch.setattr(Journal, "commit", failing)
    bench.send(1_001, 300)
    bench.wait(lambda: bench.counters.get("phase") == WAITING)
    bench.wait(lambda: bench.counters.get("applied") == 300)
    assert bench.counters.get("commit_failures") == 3
    bench.stop()
    assert bench.rows() == list(range(1_001, 1_301))


def test_any_other_exception_ends_the_actor(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.start()
    monkeypatch.setattr(Journal, "commit", lambda *_: 1 / 0)
    bench.send(1_001, 10)
    assert bench.inbox.ending.reached.wait(DEADLINE_S)
    assert isinstance(bench.inbox.ending.failure, ZeroDivisionError)


def test_an_idle_actor_says_when_its_last_commit_was(bench: Bench) -> None:
    bench.start()
    bench.send(1_001, 10)
    journal = Journal(bench.arguments.path, "run-1")

    def has_said() -> bool:
        return bool(journal._connection.execute("SELECT count(*) FROM commits").get)

    bench.wait(has_said)
    commits = bench.counters.get("commits")
    bench.wait(lambda: bench.counters.get("beat_ns") > time.monotonic_ns() - 50_000_000)
    journal.close()
    assert bench.counters.get("commits") == commits  # and then is silent


@pytest.fixture
def poison() -> Iterator[Callable[[int], None]]:
    """Makes the event of a sequence deadly."""

    def arm(sequence: int) -> None:
        wanted = f'shard-0:raise:"sequence":{sequence},'
        crash_point.arm("shard-0", 1, {crash_point.POISON_VARIABLE: wanted})

    yield arm
    crash_point.arm("shard-0", 1, {})


BROKE = Exit(1.0, 1)
KILLED = Exit(1.0, -9)


@pytest.mark.parametrize("journalled", [True, False], ids=["journal full", "journal off"])
def test_a_record_that_kills_twice_is_set_aside_unseen_and_the_sum_is_exact(
    tmp_path: Path, journalled: bool, poison: Callable[[int], None]
) -> None:
    bench = Bench(tmp_path / "shard-00.db", journalled=journalled)
    poison(1_150)
    bench.send(1_001, 300)
    bench.start()
    assert isinstance(bench.dies(), crash_point.PoisonError)
    assert bench.counters.get("applied") == 0  # the whole batch was in hand
    bench.start(BROKE)
    assert isinstance(bench.dies(), crash_point.PoisonError)
    assert bench.counters.get("applied") == 149  # all before it, one by one
    bench.start(BROKE)
    bench.wait(lambda: bench.producer.used_bytes == 0)
    assert bench.inbox.records_max > 1  # nobody is suspected any more
    crash_point.arm("shard-0", 1, {})
    bench.send(1_150, 1)  # a gateway may send it again: it counts as handled
    bench.wait(lambda: bench.counters.get("duplicates") == 1)
    bench.stop()
    told = bench.counters.snapshot()
    assert told["quarantined"] == 1
    assert told["received"] == told["applied"] + told["quarantined"] + told["duplicates"]
    assert bench.reasons() == ["killed its shard twice"]
    if journalled:
        assert bench.rows() == [*range(1_001, 1_150), *range(1_151, 1_301)]


def test_kills_from_outside_in_the_same_batch_call_nobody_poison(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> None:
        if name == "after-merge":
            raise LocalError("as dead as by a SIGKILL")

    bench.send(1_001, 300)
    with monkeypatch.context() as patch:
        patch.setattr("actors.shard.actor.crash_point", fail)
        for before in (None, KILLED, KILLED):
            bench.start(before)
            assert isinstance(bench.dies(), LocalError)
    bench.start(KILLED)
    bench.wait(lambda: bench.counters.get("applied") == 300)
    assert bench.counters.get("batches") == 1
    assert bench.counters.get("quarantined") == 0
    bench.stop()


def test_a_kill_from_outside_neither_clears_nor_condemns_a_suspect(
    bench: Bench, poison: Callable[[int], None]
) -> None:
    poison(1_001)
    bench.send(1_001, 30)
    bench.start()
    bench.dies()
    bench.start(BROKE)
    bench.dies()
    bench.start(KILLED)  # it was alone in hand, but did not do it this time
    assert isinstance(bench.dies(), crash_point.PoisonError)
    bench.start(BROKE)
    bench.wait(lambda: bench.counters.get("received") == 30)
    assert bench.counters.get("quarantined") == 1
    bench.stop()


def test_however_many_slices_are_pruned_the_windows_are_looked_for_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    looks_before_slice: list[int] = []
    pause = threading.Event()

    def prune(_journal: Journal, **_bounds: int) -> int:
        looks_before_slice.append(len(looks))
        if len(looks_before_slice) >= 4:
            return 0
        pause.wait(2 * PRUNE_FOR_S)  # a slice is all that one beat has time for
        return 10

    def look(_journal: Journal, count: int) -> int:
        looks.append(count)
        return 0

    monkeypatch.setattr(Journal, "prune", prune)
    monkeypatch.setattr(Journal, "behind_newest_events", look)
    monkeypatch.setattr("actors.shard.pruning.PRUNE_EVERY_S", 0.2)
    bench.start()
    bench.wait(lambda: len(looks_before_slice) >= 4)
    bench.stop()
    assert looks_before_slice[:4] == [2] * 4  # the load has looked before


@pytest.mark.parametrize("years", [10, -10])
def test_a_clock_that_has_just_moved_deletes_nothing_by_age(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, years: int
) -> None:
    moved_us = [0]
    bounds: list[int] = []

    class Wall(SystemClock):
        def wall_us(self) -> int:
            return super().wall_us() + moved_us[0]

    def prune(_journal: Journal, *, older_than_us: int, **_others: int) -> int:
        bounds.append(older_than_us)
        return 0

    monkeypatch.setattr("actors.shard.actor.SystemClock", Wall)
    monkeypatch.setattr("actors.shard.pruning.PRUNE_EVERY_S", 0.1)
    monkeypatch.setattr(Journal, "prune", prune)
    bench.start()
    bench.wait(lambda: len(bounds) >= 2)
    assert min(bounds) > 0
    moved_us[0] = years * 31_536_000_000_000
    known = len(bounds)
    bench.wait(lambda: len(bounds) >= known + 4)
    bench.stop()
    assert set(bounds[known + 2 :]) == {0}  # older than 1970


def test_without_a_journal_a_successor_wants_a_history(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "shard-00.db", journalled=False)
    bench.start()
    assert not bench.counters.get("wants_history")
    bench.send(1_001, 10)
    bench.stop()
    bench.start()
    assert bench.counters.get("wants_history")
    assert bench.counters.get("mark_sequence") == 1_010  # nothing before is to be replayed for it
    bench.producer.stage(event(1_011, A).payload, 1, epoch=1, received_ns=RECEIVED_NS)
    bench.producer.publish()
    bench.stop()
    assert bench.counters.get("agents") == 1


STAMP = "2026-11-30T20:00:{:02}.000Z"


def shown(topic: str, second: int, system: str) -> bytes:
    """A frame of one agent's whole state since then."""
    body = {
        "id": "agent-a",
        "presence": {
            "presenceDefinition": {"id": "d", "systemPresence": system},
            "modifiedDate": STAMP.format(second),
        },
        "routingStatus": {"status": "OFF_QUEUE", "startTime": STAMP.format(second)},
    }
    return orjson.dumps({"topicName": f"v2.users.agent-a.{topic}", "eventBody": body})


def test_what_the_roster_shows_is_committed_and_what_was_read_before_a_life_skipped(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path / "shard-00.db", dialect="cloud")
    records = (
        SessionBegins(7, "c0/0", 1, "", 0, None, 1),
        Watches("c0/0", "agent-a"),
    )
    for record in records:
        assert bench.producer.stage(encode_control(record), KIND_CONTROL, received_ns=RECEIVED_NS)
    told = shown("snapshot", 1, "Available")
    flags = session_flags(7)
    assert bench.producer.stage(told, KIND_EVENT, epoch=1, flags=flags, received_ns=RECEIVED_NS)
    bench.producer.publish()
    bench.start()
    bench.wait(lambda: bench.counters.get("applied") == 1)
    read_us = microseconds(STAMP.format(30))

    def show(second: int) -> None:
        frame = shown("snapshot", second, "Offline")
        assert bench.roster.stage(frame, KIND_EVENT, sequence=read_us, received_ns=RECEIVED_NS)
        bench.roster.publish()

    show(second=20)
    bench.wait(lambda: bench.counters.get("corrections") == 1)
    assert decode_doubt(bench.counters.get("doubted_0")) == Doubt(0, 0, 7)
    bench.stop()
    assert [row.cause for row in bench.all_rows()] == ["history", "roster"]
    show(second=21)
    bench.start()
    bench.wait(lambda: bench.roster.used_bytes == 0)
    assert decode_doubt(bench.counters.get("doubted_0")) == Doubt(0, 0, 7)
    again = encode_control(SessionBegins(8, "c0/0", 1, "", 0, None, 1))
    assert bench.producer.stage(again, KIND_CONTROL, received_ns=RECEIVED_NS)
    bench.producer.publish()
    bench.wait(lambda: bench.counters.get("doubted_0") == 0)
    bench.stop()
    assert bench.counters.get("corrections") == 1

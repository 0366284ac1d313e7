"""The file of the sender: whole transactions, one end per command, one owner, kills and disks."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from actors.sender import reader
from actors.sender.commands import CommandStep, Record
from actors.sender.outbox import DEAD, DELIVERED, WAITING, Attempt, WebhookResent, message_id
from actors.sender.store import FORMAT, CommandStore, OutboxCounts, prepare
from actors.storage.sqlite import TRANSIENT_ERRORS
from runtime.errors import ConfigurationError, LocalError, TemporaryError
from tests.actors.sender.drawer import NOW_US, RUN, Drawer, accepted, record, story
from tests.actors.sender.drawer import WAITING as SAYS_IT_WAITS

DAY_US = 86_400_000_000


def test_a_command_comes_back_as_it_was(drawer: Drawer) -> None:
    command = accepted(
        reason="a\nline|AUDIT\x00%", expected="available", forced=True, queue="q", held="break"
    )
    drawer.put(command)
    drawer.restart()
    assert drawer.store.unsettled() == [command]
    assert drawer.store.command(command.id) == command
    assert command.key is not None
    assert drawer.store.bound(command.key) == command
    assert drawer.store.bound("another") is None
    assert drawer.store.command("another") is None


def test_unsettled_commands_come_in_the_order_of_their_acceptance(drawer: Drawer) -> None:
    drawer.put(accepted(3), accepted(1), accepted(2))
    drawer.put(replace(accepted(3), step=CommandStep.VALIDATED))
    drawer.put(replace(accepted(1), step=CommandStep.REFUSED, code="stale", ended_us=NOW_US))
    assert [command.accepted_us - NOW_US for command in drawer.store.unsettled()] == [3, 2]


def test_a_released_key_may_be_bound_again_and_a_kept_one_may_not(drawer: Drawer) -> None:
    drawer.put(accepted(1, key="k"))
    with pytest.raises(apsw.ConstraintError):
        drawer.put(accepted(2, key="k"))
    drawer.put(accepted(1, key=None, step=CommandStep.REFUSED, code="rate", ended_us=NOW_US))
    drawer.put(accepted(2, key="k"))
    assert drawer.store.bound("k") == accepted(2, key="k")


def test_a_command_that_ended_gets_no_other_end(drawer: Drawer) -> None:
    drawer.tell([1])
    before = drawer.store.command(accepted(1).id)
    with pytest.raises(LocalError, match="has its end already, not 'unknown' again"):
        drawer.put(accepted(2), accepted(1, step=CommandStep.UNKNOWN, ended_us=NOW_US))
    assert drawer.store.command(accepted(1).id) == before
    assert drawer.store.unsettled() == []  # all of a transaction, or nothing


def test_a_transaction_that_failed_leaves_the_chain_where_it_was(drawer: Drawer) -> None:
    drawer.tell([1])
    with pytest.raises(LocalError):
        drawer.put(accepted(2), accepted(1))
    drawer.tell([2])
    verdict = reader.verify_audit(drawer.data_dir)
    assert (verdict.rows, verdict.problem) == (8, "")


def test_the_webhook_is_durable_with_the_acknowledgement_and_owed_once(drawer: Drawer) -> None:
    *_, acknowledged, confirmed = story(accepted())
    drawer.put(acknowledged)
    (letter,) = drawer.store.due(NOW_US, 4)
    assert letter.message_id == message_id(acknowledged.id)
    assert letter.body.startswith(b'{"event":"presence_change"')
    drawer.put(acknowledged)  # met again
    drawer.put(confirmed)
    assert drawer.store.due(NOW_US, 4) == [letter]
    assert drawer.store.outbox_counts() == OutboxCounts(1, 0, NOW_US)


def test_letters_are_lent_when_due_the_longest_waiting_first_and_none_twice(
    drawer: Drawer,
) -> None:
    for number in (1, 2, 3):
        *_, acknowledged, _ = story(accepted(number))
        drawer.store.commit([record(acknowledged, NOW_US - number)])
    ids = [message_id(accepted(number).id) for number in (1, 2, 3)]
    store = drawer.store

    def due(now_us: int, room: int = 4, on_way: tuple[str, ...] = ()) -> list[str]:
        return [letter.message_id for letter in store.due(now_us, room, on_way)]

    assert due(NOW_US) == ids[::-1]
    assert due(NOW_US, 1, (ids[2],)) == [ids[1]]
    assert due(NOW_US, 0) == []
    drawer.settle(Attempt(ids[2], WAITING, NOW_US + 5_000, NOW_US, 503, "busy"))
    assert due(NOW_US) == [ids[1], ids[0]]
    assert due(NOW_US + 5_000) == [ids[1], ids[0], ids[2]]


def test_a_letter_is_due_at_once_if_its_clock_has_been_put_back(drawer: Drawer) -> None:
    *_, acknowledged, _ = story(accepted())
    drawer.store.commit([record(acknowledged, NOW_US + 400 * DAY_US)])
    assert len(drawer.store.due(NOW_US, 4)) == 1
    assert drawer.store.due(NOW_US + 400 * DAY_US - 1, 4) == []


def test_a_dead_letter_is_not_lent_until_it_is_sent_again_which_is_audited(drawer: Drawer) -> None:
    drawer.tell([1])
    message = message_id(accepted(1).id)
    drawer.settle(Attempt(message, DEAD, NOW_US + DAY_US, NOW_US + DAY_US, 500, "no"))
    assert drawer.store.due(NOW_US + 9 * DAY_US, 4) == []
    assert drawer.store.outbox_counts() == OutboxCounts(0, 1, None)
    assert drawer.store.letter_state(message) == DEAD
    again_us = NOW_US + 2 * DAY_US
    drawer.settle(WebhookResent(message, "uid:7", again_us))
    drawer.settle(WebhookResent(message, "uid:7", again_us + 1))  # it is not dead any more
    (letter,) = drawer.store.due(again_us, 4)
    assert (letter.message_id, letter.attempts, letter.born_us) == (message, 0, again_us)
    story_ = reader.read_command(drawer.data_dir, accepted(1).id)
    assert story_ is not None
    assert [step.step for step in story_.steps][-2:] == ["confirmed", "resent"]
    assert story_.steps[-1].detail["detail"] == "by uid:7"
    assert reader.verify_audit(drawer.data_dir).problem == ""


def test_retention_frees_keys_and_keeps_audit_and_what_is_still_owed(drawer: Drawer) -> None:
    drawer.tell([1, 2, 3])
    drawer.put(accepted(4))
    for number, state in ((1, DELIVERED), (2, DEAD)):
        message = message_id(accepted(number).id)
        drawer.settle(Attempt(message, state, NOW_US, NOW_US + number * DAY_US, 200, ""))

    def prune(older_than_us: int) -> int:
        return drawer.store.prune(older_than_us=older_than_us, slice_rows=100)

    assert prune(NOW_US) == 0
    assert prune(NOW_US + 2 * DAY_US) == 2  # a letter, and its command
    assert drawer.store.bound("key-1") is None
    assert drawer.store.bound("key-2") is not None  # its letter can be sent again
    assert prune(NOW_US + 3 * DAY_US) == 2
    assert prune(NOW_US + 99 * DAY_US) == 0  # one waits, one has no end
    assert drawer.store.outbox_counts()[:2] == (1, 0)
    assert [command.key for command in reader.read_commands(drawer.data_dir, limit=9)] == [
        "key-4",
        "key-3",
    ]
    assert reader.verify_audit(drawer.data_dir).rows == 13


def test_retention_is_done_in_slices(drawer: Drawer) -> None:
    drawer.put(
        *(
            accepted(number, step=CommandStep.REFUSED, code="stale", ended_us=NOW_US + number)
            for number in range(1, 26)
        )
    )
    older_than_us = NOW_US + DAY_US
    slices = [drawer.store.prune(older_than_us=older_than_us, slice_rows=10) for _ in range(4)]
    assert slices == [10, 10, 5, 0]


def test_another_run_takes_the_file_over_and_the_orphan_commits_nothing(drawer: Drawer) -> None:
    drawer.tell([1])
    prepare(drawer.path, "run-2")
    with pytest.raises(LocalError, match="Another runtime"):
        drawer.put(accepted(2))
    with pytest.raises(LocalError, match="Another runtime"):
        drawer.store.prune(older_than_us=NOW_US + DAY_US, slice_rows=9)
    with pytest.raises(LocalError, match="run-2"):
        CommandStore(drawer.path, RUN)
    successor = CommandStore(drawer.path, "run-2")
    successor.commit([record(accepted(3))])
    successor.close()
    assert reader.verify_audit(drawer.data_dir).problem == ""


def test_two_writers_of_one_run_do_not_write_two_chains(drawer: Drawer) -> None:
    second = CommandStore(drawer.path, RUN)
    drawer.put(accepted(1))
    with pytest.raises((LocalError, apsw.ConstraintError)):
        second.commit([record(accepted(2))])
    second.close()
    assert reader.verify_audit(drawer.data_dir).rows == 1


def test_a_full_disk_loses_nothing_and_the_same_transaction_is_tried_again(drawer: Drawer) -> None:
    drawer.tell([1])
    connection = drawer.store._connection
    pages = connection.pragma("page_count")
    connection.pragma("max_page_count", pages)
    records = [record(accepted(number)) for number in range(2, 500)]
    with pytest.raises(apsw.FullError):
        drawer.store.commit(records)
    assert drawer.store.unsettled() == []
    connection.pragma("max_page_count", pages + 10_000)
    drawer.store.commit(records)
    assert len(drawer.store.unsettled()) == 498
    assert reader.verify_audit(drawer.data_dir)[:1] == (502,)


def test_a_locked_file_is_waited_for_and_the_same_transaction_is_tried_again(
    drawer: Drawer,
) -> None:
    shell = apsw.Connection(str(drawer.path))
    shell.execute("BEGIN IMMEDIATE")
    with pytest.raises(TRANSIENT_ERRORS):
        drawer.put(accepted())
    with pytest.raises(TemporaryError, match="locked by another program"):
        prepare(drawer.path, "run-2")
    assert reader.read_commands(drawer.data_dir, limit=9) == []  # readers go on
    shell.execute("ROLLBACK")
    shell.close()
    drawer.put(accepted())
    assert drawer.store.unsettled() == [accepted()]


def test_without_a_webhook_nothing_is_owed(drawer: Drawer) -> None:
    store = CommandStore(drawer.path, RUN, is_owing=False)
    *_, acknowledged, _ = story(accepted())
    store.commit([record(acknowledged)])
    assert store.outbox_counts() == OutboxCounts(0, 0, None)
    store.close()


def test_a_newer_format_is_refused_and_left_as_it_is(drawer: Drawer) -> None:
    drawer.store._connection.pragma("user_version", FORMAT + 1)
    for use in (lambda: prepare(drawer.path, "run-2"), lambda: CommandStore(drawer.path, RUN)):
        with pytest.raises(ConfigurationError, match="newer version"):
            use()


def test_a_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    path = tmp_path / "sender.db"
    path.write_bytes(b"a shopping list\n" * 900)
    with pytest.raises(
        ConfigurationError, match=r"sender\.db is damaged: .*begins with no command"
    ):
        prepare(path, RUN)


class Writer:
    """A process that writes stories, until it is killed."""

    def __init__(self, path: Path, passage: int = 0) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.actors.sender.drawer", str(path), str(passage)],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []

    def read(self, lines: int) -> None:
        assert self._process.stdout is not None
        while len(self.said) < lines and (line := self._process.stdout.readline()):
            self.said.append(line)

    def limit(self, size: int) -> None:
        """Its files may grow no more, whoever has the disk."""
        _, hard = resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (size, hard))

    def kill(self) -> None:
        os.kill(self._process.pid, signal.SIGKILL)

    def is_killed(self) -> None:
        assert self._process.stdout is not None
        self.said += self._process.stdout.readlines()
        assert self._process.wait(timeout=60) == -signal.SIGKILL

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


Start = Callable[..., Writer]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts writers, none of which outlives its test."""
    with ExitStack() as writers:
        yield lambda path, passage=0: writers.enter_context(closing(Writer(path, passage)))


@pytest.mark.parametrize("passage", [1, 3, 4, 0])
def test_a_killed_writer_leaves_whole_transactions_and_a_successor_goes_on(
    start: Start, tmp_path: Path, passage: int
) -> None:
    path = tmp_path / "sender.db"
    prepare(path, RUN)
    writer = start(path, passage)
    if not passage:
        writer.read(30)
        writer.kill()
    writer.is_killed()
    said = len(writer.said)
    assert said == passage - 1 if passage else said >= 30

    # As the killed one left it, its log and all: read before any writer mends it.
    verdict = reader.verify_audit(tmp_path)
    assert verdict.problem == ""
    assert verdict.rows in ({said} if passage else {said, said + 1})
    told = reader.read_commands(tmp_path, limit=10_000)
    last = told[0].step if told else None
    ended = [command for command in told if command.ended_us is not None]
    assert len(ended) == verdict.rows // 4
    assert all(command.step is CommandStep.CONFIRMED for command in ended)
    steps = (None, CommandStep.ACCEPTED, CommandStep.SENT, CommandStep.ACKNOWLEDGED)
    if verdict.rows % 4:
        assert last is steps[verdict.rows % 4]
    # A letter stands exactly where an acknowledgement does.
    pending = reader.read_letters(tmp_path, limit=10_000)
    assert {letter.command for letter in pending} == {
        command.id for command in told if command.acknowledged_us is not None
    }

    store = CommandStore(path, RUN)
    unsettled = store.unsettled()
    assert len(unsettled) == (1 if verdict.rows % 4 else 0)
    store.commit(
        [
            Record(
                replace(one, step=CommandStep.UNKNOWN, ended_us=NOW_US), "unknown", NOW_US, "", None
            )
            for one in unsettled
        ]
    )
    store.close()
    assert reader.verify_audit(tmp_path).problem == ""


def test_a_writer_waits_for_a_full_disk_and_loses_and_repeats_nothing(
    start: Start, tmp_path: Path
) -> None:
    path = tmp_path / "sender.db"
    prepare(path, RUN)
    writer = start(path)
    writer.read(10)
    writer.limit(path.with_name(f"{path.name}-wal").stat().st_size)
    while not writer.said[-1].startswith(SAYS_IT_WAITS):
        before = len(writer.said)
        writer.read(before + 1)
        assert len(writer.said) > before, writer.said
    written = len(writer.said) - 1
    verdict = reader.verify_audit(tmp_path)
    assert (verdict.rows, verdict.problem) == (written, "")
    writer.limit(resource.RLIM_INFINITY)
    writer.read(written + 20)
    writer.kill()
    writer.is_killed()
    verdict = reader.verify_audit(tmp_path)
    assert verdict.problem == ""
    assert verdict.rows in {len(writer.said) - 1, len(writer.said)}
    assert sum(line.startswith(SAYS_IT_WAITS) for line in writer.said) == 1


def test_a_transaction_that_is_tried_again_writes_what_it_would_have_written(
    drawer: Drawer,
) -> None:
    drawer.tell([1])
    transaction = drawer.store.prepared([record(accepted(2))])
    connection = drawer.store._connection
    connection.pragma("query_only", True)
    with pytest.raises(apsw.ReadOnlyError):
        drawer.store.execute(transaction)
    connection.pragma("query_only", False)
    drawer.store.execute(transaction)
    detail = connection.execute("SELECT detail FROM audit ORDER BY id DESC LIMIT 1").get
    assert json.loads(detail)["salt"] == transaction.salts[0]

"""What web and the command line read of the sender's store while it runs, and after."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from actors.sender import reader
from actors.sender.commands import CommandStep
from actors.sender.outbox import DEAD, DELIVERED, WAITING, Attempt, message_id
from actors.sender.store import KIND, SENDER_FILE, CommandStore, OutboxCounts, prepare
from actors.storage.data_dir import sender_path
from actors.storage.sqlite import DamagedFileError
from runtime.errors import LocalError, TemporaryError
from tests.actors.sender.drawer import NOW_US, RUN, USER, Drawer, accepted, record


def numbers(data_dir: Path, limit: int = 99, **wanted: str) -> list[int]:
    found = reader.read_commands(data_dir, limit=limit, **wanted)
    return [int(command.id[-12:]) for command in found]


def test_commands_come_newest_first_by_step_and_by_user(drawer: Drawer) -> None:
    drawer.tell([1, 2])
    drawer.put(accepted(3), accepted(4, user_id="another"))
    assert numbers(drawer.data_dir) == [4, 3, 2, 1]
    assert numbers(drawer.data_dir, limit=2) == [4, 3]
    assert numbers(drawer.data_dir, step=CommandStep.CONFIRMED) == [2, 1]
    assert numbers(drawer.data_dir, user_id="another") == [4]
    assert numbers(drawer.data_dir, step=CommandStep.ACCEPTED, user_id="another") == [4]
    assert numbers(drawer.data_dir, step=CommandStep.CONFIRMED, user_id="another") == []


def test_the_filters_use_indices(drawer: Drawer) -> None:
    for condition in ("step = ''", "user_id = ''", "id = ''", "key = ''", "ended_us IS NULL"):
        plan = drawer.store._connection.execute(
            f"EXPLAIN QUERY PLAN SELECT * FROM commands WHERE {condition} ORDER BY number DESC"
        ).fetchall()
        assert "USING" in str(plan), plan
        assert "TEMP B-TREE" not in str(plan) or condition.startswith(("id", "key")), plan


def test_one_command_has_its_steps_and_its_message(drawer: Drawer) -> None:
    drawer.tell([1])
    story = reader.read_command(drawer.data_dir, accepted(1).id)
    assert story is not None
    assert story.command.step is CommandStep.CONFIRMED
    assert [step.step for step in story.steps] == ["accepted", "sent", "acknowledged", "confirmed"]
    assert {step.user_id for step in story.steps} == {USER}
    assert "salt" not in story.steps[0].detail
    assert story.message is not None
    assert (story.message.state, story.message.last_us) == (WAITING, None)
    assert reader.read_command(drawer.data_dir, "another") is None


def test_a_command_without_a_success_has_no_message(drawer: Drawer) -> None:
    drawer.put(accepted())
    story = reader.read_command(drawer.data_dir, accepted().id)
    assert story is not None
    assert story.message is None


def test_letters_are_listed_by_what_became_of_them(drawer: Drawer) -> None:
    drawer.tell([1, 2, 3])
    one, two, three = (message_id(accepted(number).id) for number in (1, 2, 3))
    drawer.settle(Attempt(one, DELIVERED, NOW_US, NOW_US, 204, ""))
    drawer.settle(Attempt(two, DEAD, NOW_US, NOW_US + 5, 500, "broken"))

    def listed(state: str | None = None) -> list[str]:
        return [
            message.message_id
            for message in reader.read_letters(drawer.data_dir, limit=9, state=state)
        ]

    assert listed() == [three, two, one]
    assert [listed(state) for state in (WAITING, DEAD, DELIVERED)] == [[three], [two], [one]]
    (dead,) = reader.read_letters(drawer.data_dir, limit=9, state=DEAD)
    assert (dead.attempts, dead.last_us, dead.last_status, dead.last_detail) == (
        1,
        NOW_US + 5,
        500,
        "broken",
    )
    assert reader.read_outbox(drawer.data_dir) == OutboxCounts(1, 1, NOW_US)


def test_the_audit_is_read_newest_first(drawer: Drawer) -> None:
    drawer.tell([1])
    rows = reader.read_audit(drawer.data_dir, limit=3)
    assert [(row.row, row.step) for row in rows] == [
        (4, "confirmed"),
        (3, "acknowledged"),
        (2, "sent"),
    ]


def test_reading_sees_one_moment_and_stops_nobody(drawer: Drawer) -> None:
    drawer.put(accepted(1))
    with reader._reading(drawer.data_dir) as connection:
        before = connection.execute("SELECT count(*) FROM commands").get
        drawer.put(accepted(2))
        assert connection.execute("SELECT count(*) FROM commands").get == before == 1
    assert numbers(drawer.data_dir) == [2, 1]


def test_a_directory_without_a_sender_is_named(tmp_path: Path) -> None:
    assert not reader.has_store(tmp_path)
    with pytest.raises(LocalError, match=r"no sender\.db in "):
        reader.read_commands(tmp_path, limit=1)


def test_a_store_that_nobody_has_begun_is_named(tmp_path: Path) -> None:
    apsw.Connection(str(sender_path(tmp_path))).close()
    with pytest.raises(LocalError, match=r"sender\.db is empty"):
        reader.read_outbox(tmp_path)


def test_a_damaged_store_is_named(drawer: Drawer) -> None:
    drawer.store._connection.execute("DROP TABLE outbox")
    with pytest.raises(DamagedFileError, match=r"sender\.db is damaged: no such table"):
        reader.read_outbox(drawer.data_dir)


def test_a_store_that_cannot_be_read_for_a_moment_is_named(
    drawer: Drawer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_connection: object) -> OutboxCounts:
        raise apsw.IOError("disk I/O error")

    monkeypatch.setattr(reader, "outbox_counts", fail)
    with pytest.raises(TemporaryError, match=r"sender\.db cannot be read at the moment"):
        reader.read_outbox(drawer.data_dir)


def test_a_backup_is_whole_while_the_sender_goes_on_and_overwrites_nothing(
    drawer: Drawer, tmp_path: Path
) -> None:
    drawer.tell([1, 2])
    target = tmp_path / "copy"
    copy = SENDER_FILE.copy(drawer.path, sender_path(target))
    drawer.put(accepted(3))
    assert numbers(target) == [2, 1]
    assert reader.verify_audit(target).rows == 8
    with pytest.raises(LocalError, match="does not overwrite files"):
        SENDER_FILE.copy(drawer.path, sender_path(target))
    prepare(copy, "run-9")  # it can be used as it is
    store = CommandStore(copy, "run-9")
    store.commit([record(accepted(4))])
    store.close()
    assert reader.verify_audit(target).rows == 9
    assert KIND.format == 1


def test_what_a_clean_stop_left_is_read_without_its_log(drawer: Drawer) -> None:
    drawer.tell([1])
    drawer.close()
    assert not drawer.path.with_name("sender.db-wal").exists()
    assert numbers(drawer.data_dir) == [1]
    drawer.store = CommandStore(drawer.path, RUN)

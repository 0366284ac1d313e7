"""Forgetting in the sender's store: the person is gone, and the chain still proves all the rest."""

from __future__ import annotations

from contextlib import closing

import apsw
import pytest

from actors.sender import reader
from actors.sender.forgetting import ForgottenCommands, forget
from actors.storage.data_dir import sender_path
from tests.actors.sender.drawer import USER, Drawer, accepted, story

OTHER = "another-agent"


@pytest.fixture
def told(drawer: Drawer) -> Drawer:
    """Two commands of each, one of them without an end, and a message for each that took."""
    for number, user_id in ((1, USER), (2, OTHER)):
        drawer.put(*story(accepted(number, user_id=user_id)))
    drawer.put(accepted(3), accepted(4, user_id=OTHER))
    drawer.store.close()
    return drawer


def test_their_commands_and_messages_go_and_those_of_others_stay(told: Drawer) -> None:
    counts = forget(sender_path(told.data_dir), USER)
    assert (counts.commands, counts.unsettled, counts.messages) == (2, 1, 1)
    assert counts.audit_rows == len(list(story(accepted()))) + 1
    assert {each.user_id for each in reader.read_commands(told.data_dir, limit=10)} == {OTHER}
    (letter,) = reader.read_letters(told.data_dir, limit=10)
    assert letter.command == accepted(2).id
    assert USER.encode() not in letter.body


def test_the_chain_stays_valid_and_says_how_much_was_erased(told: Drawer) -> None:
    before = reader.verify_audit(told.data_dir)
    counts = forget(sender_path(told.data_dir), USER)
    after = reader.verify_audit(told.data_dir)
    assert after == before._replace(erased=counts.audit_rows)
    rows = reader.read_audit(told.data_dir, limit=100)
    assert {row.user_id for row in rows} == {None, OTHER}
    assert all(row.detail == {} for row in rows if row.user_id is None)


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE audit SET step = 'refused' WHERE subject = 1 AND step = 'confirmed'",
        "UPDATE audit SET detail_hash = '' WHERE id = 1",
        "UPDATE audit SET detail = '{}' WHERE id = 1",
        "DELETE FROM audit WHERE id = 2",
        "UPDATE audit SET subject = 2 WHERE id = 1",
        "UPDATE audit SET detail = NULL WHERE subject = 2",
        "UPDATE subjects SET user_id = 'somebody' WHERE id = 1",
    ],
)
def test_what_is_changed_of_the_forgotten_is_found_all_the_same(
    told: Drawer, tampering: str
) -> None:
    path = sender_path(told.data_dir)
    forget(path, USER)
    with closing(apsw.Connection(str(path))) as connection:
        triggers = [name for (name,) in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'trigger'"
        )]  # fmt: skip
        for name in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(tampering)
        assert connection.changes() > 0
    assert reader.verify_audit(told.data_dir).problem


def test_whoever_is_forgotten_can_be_spoken_of_again_as_somebody_new(told: Drawer) -> None:
    forget(sender_path(told.data_dir), USER)
    told.restart()
    told.put(accepted(5))
    told.store.close()
    assert reader.verify_audit(told.data_dir).problem == ""
    counts = forget(sender_path(told.data_dir), USER)
    assert counts == ForgottenCommands(commands=1, unsettled=1, messages=0, audit_rows=1)


def test_nobody_is_no_trouble(told: Drawer) -> None:
    assert forget(sender_path(told.data_dir), "nobody") == ForgottenCommands(0, 0, 0, 0)

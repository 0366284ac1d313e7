"""The audit chain: whatever is changed is found, and who is forgotten leaves it whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import apsw
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from actors.sender import reader
from actors.sender.audit import AuditEntry, Chain, ChainVerdict, audit_line, detail_of, verify
from actors.sender.commands import CommandStep
from actors.storage.data_dir import sender_path
from runtime.errors import RuntimeFault
from tests.actors.sender.drawer import NOW_US, USER, Drawer, accepted, record, story

COLUMNS = ("id", "at_us", "command", "step", "subject", "detail_hash", "hash")
TRIGGERS = (
    "audit_grows_at_its_end",
    "audit_is_kept",
    "audit_is_written_once",
    "audit_detail_is_only_erased",
    "subjects_grow",
    "subjects_are_kept",
    "subjects_are_only_forgotten",
)


def dossier(data_dir: Path) -> None:
    """Twelve rows about two people, in the file itself and not in its log."""
    drawer = Drawer(data_dir)
    drawer.tell([1])
    for number, user in ((2, "someone else"), (3, USER)):
        for command in story(accepted(number, user_id=user)):
            drawer.put(command)
    drawer.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that nobody touched, and nobody may."""
    data_dir = tmp_path_factory.mktemp("whole")
    dossier(data_dir)
    return sender_path(data_dir)


@contextmanager
def opened(content: bytes) -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        sender_path(Path(folder)).write_bytes(content)
        yield Path(folder)


def forge(data_dir: Path, statement: str, *values: object) -> None:
    """As somebody would who has the file: the triggers do not stop them."""
    connection = apsw.Connection(str(sender_path(data_dir)))
    for trigger in TRIGGERS:
        connection.execute(f"DROP TRIGGER IF EXISTS {trigger}")
    connection.execute(statement, values)
    connection.close()


def broken(data_dir: Path) -> tuple[int | None, str]:
    verdict = reader.verify_audit(data_dir)
    return verdict.broken, verdict.problem


def test_a_chain_that_nobody_touched_is_whole(whole: Path) -> None:
    with opened(whole.read_bytes()) as data_dir:
        verdict = reader.verify_audit(data_dir)
    assert verdict == ChainVerdict(12, verdict.head, 0)
    assert len(verdict.head) == 64


def test_an_empty_chain_is_whole(drawer: Drawer) -> None:
    assert reader.verify_audit(drawer.data_dir) == ChainVerdict(0, "", 0)


@settings(max_examples=150, deadline=None)
@given(
    row=st.integers(1, 12),
    column=st.sampled_from((*COLUMNS, "detail")),
    at=st.integers(0, 500),
    flip=st.integers(1, 255),
)
@example(row=2, column="id", at=0, flip=2)
def test_any_change_of_any_byte_of_a_row_is_found(
    whole: Path, row: int, column: str, at: int, flip: int
) -> None:
    with opened(whole.read_bytes()) as data_dir:
        connection = apsw.Connection(str(sender_path(data_dir)))
        value = connection.execute(f"SELECT {column} FROM audit WHERE id = ?", (row,)).get
        connection.close()
        first = row
        if isinstance(value, int):
            changed: object = value ^ flip << 8 * (at % 7)
            forge(data_dir, f"UPDATE OR IGNORE audit SET {column} = ? WHERE id = ?", changed, row)
            # A number that another row has is no change that the file takes.
            assume(column != "id" or changed not in range(1, 13))
            first = 1 if (column, changed) == ("id", 0) else row  # it stands before all others now
        else:
            text = bytearray(value.encode())
            text[at % len(text)] ^= flip
            forge(
                data_dir,
                f"UPDATE audit SET {column} = CAST(? AS TEXT) WHERE id = ?",
                bytes(text),
                row,
            )
        verdict = reader.verify_audit(data_dir)
    assert verdict.problem
    assert verdict.broken == first


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0), flip=st.integers(1, 255))
def test_whatever_byte_of_the_file_changes_the_rows_are_as_before_or_it_is_found(
    whole: Path, at: int, flip: int
) -> None:
    content = bytearray(whole.read_bytes())
    used = [place for place, byte in enumerate(content) if byte]
    content[used[at % len(used)]] ^= flip
    with opened(bytes(content)) as data_dir:
        try:
            verdict = reader.verify_audit(data_dir)
        except RuntimeFault:
            return  # a damaged file, and named as one
        if not verdict.problem:
            assert everything(data_dir) == everything(whole.parent)


def everything(data_dir: Path) -> list[object]:
    """The rows, each with its person."""
    connection = apsw.Connection(str(sender_path(data_dir)), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        people = dict(connection.execute("SELECT id, user_id FROM subjects"))
        rows = connection.execute("SELECT * FROM audit ORDER BY id")
        return [(row, people[row[4]]) for row in rows]
    finally:
        connection.close()


def copy_row(row: int, to_row: int) -> str:
    others = ", ".join((*COLUMNS[1:], "detail"))
    return f"INSERT INTO audit SELECT {to_row}, {others} FROM audit WHERE id = {row}"


FORGERIES = {
    "a row is taken out": ("DELETE FROM audit WHERE id = 5", 5, "row 5 is missing"),
    "the first row is taken out": ("DELETE FROM audit WHERE id = 1", 1, "row 1 is missing"),
    "the newest row is taken out": (
        "DELETE FROM audit WHERE id = 12",
        12,
        "the chain has 11 rows, but 12 were committed",
    ),
    "all rows are taken out": ("DELETE FROM audit", 1, "the chain has 0 rows"),
    "a row is added": (
        copy_row(12, 13),
        13,
        "its hash does not match",
    ),
    "a step is another": ("UPDATE audit SET step = 'confirmed' WHERE id = 3", 3, "its hash"),
    "a detail is another": (
        "UPDATE audit SET detail = '{}' WHERE id = 3",
        3,
        "its detail was modified",
    ),
    "a detail alone is erased": (
        "UPDATE audit SET detail = NULL WHERE id = 3",
        3,
        "its subject was not forgotten",
    ),
    "a person becomes another": (
        "UPDATE subjects SET user_id = 'x' WHERE id = 2",
        5,
        "does not match its detail",
    ),
    "a person is forgotten, and the details are not": (
        "UPDATE subjects SET user_id = NULL WHERE id = 2",
        5,
        "does not match its detail",
    ),
    "a person is taken out": ("DELETE FROM subjects WHERE id = 2", 5, "its subject 2 is missing"),
    "the head is another": ("UPDATE progress SET audit_head = 'x'", 12, "last committed"),
    "the count is less": ("UPDATE progress SET audit_rows = 4", 5, "has 12 rows, but 4 were"),
}


@pytest.mark.parametrize("how", FORGERIES)
def test_a_forgery_is_found_where_it_is(whole: Path, how: str) -> None:
    statement, row, problem = FORGERIES[how]
    with opened(whole.read_bytes()) as data_dir:
        forge(data_dir, statement)
        found, said = broken(data_dir)
    assert found == row
    assert problem in said


def test_two_rows_that_change_places_are_found() -> None:
    rows, chain = [], Chain()
    for at_us in range(4):
        detail = detail_of(accepted(), "", "salt")
        chain, row = chain.append(at_us, "c", "sent", 1, detail)
        rows.append(row)
    second, third = rows[1]._replace(id=3), rows[2]._replace(id=2)
    assert verify(rows, {1: USER}, chain).problem == ""
    assert verify([rows[0], third, second, rows[3]], {1: USER}, chain).broken == 2
    assert verify([rows[0], rows[2], rows[1], rows[3]], {1: USER}, chain).broken == 2


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit WHERE id = 12",
        "UPDATE audit SET at_us = 0",
        "UPDATE OR REPLACE audit SET id = 1 WHERE id = 2",
        "UPDATE audit SET detail = '{}'",
        "INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE id = 3",
        copy_row(3, 99),
        "UPDATE subjects SET user_id = 'x'",
        "INSERT OR REPLACE INTO subjects VALUES (9, 'someone else')",
        "DELETE FROM subjects",
    ],
)
def test_a_slip_of_the_hand_is_refused_by_the_file_itself(whole: Path, statement: str) -> None:
    with opened(whole.read_bytes()) as data_dir:
        connection = apsw.Connection(str(sender_path(data_dir)))
        with pytest.raises(apsw.ConstraintError):
            connection.execute(statement)
        connection.close()
        assert broken(data_dir) == (None, "")


def test_a_person_can_be_forgotten_without_breaking_the_chain(whole: Path) -> None:
    with opened(whole.read_bytes()) as data_dir:
        connection = apsw.Connection(str(sender_path(data_dir)))
        with connection:  # the triggers let it
            connection.execute("UPDATE audit SET detail = NULL WHERE subject = 2")
            connection.execute("UPDATE subjects SET user_id = NULL WHERE id = 2")
        connection.close()
        verdict = reader.verify_audit(data_dir)
        assert (verdict.rows, verdict.erased, verdict.problem) == (12, 4, "")
        told = reader.read_audit(data_dir, limit=99)
        assert [row.user_id for row in told].count(None) == 4
        assert all(not row.detail for row in told if row.user_id is None)
        drawer = Drawer(data_dir, "run-2")  # whoever comes back is a new subject
        drawer.put(accepted(9, user_id="someone else"))
        drawer.close()
        assert reader.verify_audit(data_dir)[:3:2] == (13, 4)


def test_what_was_erased_cannot_be_found_by_trying(tmp_path: Path) -> None:
    digests = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        drawer = Drawer(tmp_path / name)
        drawer.put(accepted())
        digests.add(drawer.store._connection.execute("SELECT detail_hash FROM audit").get)
        drawer.close()
    assert len(digests) == 2  # the same words, another salt


def test_the_chain_is_what_its_description_says() -> None:
    """Computed with other means: this is what an auditor writes."""
    import hashlib
    import json

    chain, first = Chain().append(7, "c-1", "accepted", 1, '{"user":"ä"}')
    _, second = chain.append(8, "c-1", "sent", 1, "{}")
    digest = hashlib.sha256('{"user":"ä"}'.encode()).hexdigest()
    link = hashlib.sha256(
        json.dumps(["", 1, 7, "c-1", "accepted", 1, digest], separators=(",", ":")).encode()
    ).hexdigest()
    assert first == AuditEntry(1, 7, "c-1", "accepted", 1, digest, link, '{"user":"ä"}')
    digest = hashlib.sha256(b"{}").hexdigest()
    link = hashlib.sha256(f'["{link}",2,8,"c-1","sent",1,"{digest}"]'.encode()).hexdigest()
    assert second.hash == link


# -- the line ------------------------------------------------------------------------------------


def test_the_line_of_a_command_that_took() -> None:
    *_, confirmed = story(accepted(reason=""))
    assert audit_line(confirmed) == (
        "AUDIT|2026-11-18T11:06:40.090Z|user:5f8d0e3c-agent|state:busy|reason:"
        "|latency:40|success:true"
    )


def test_the_line_of_a_command_that_did_not() -> None:
    refused = accepted(step=CommandStep.REFUSED, code="stale", ended_us=NOW_US)
    assert audit_line(refused).endswith("|reason:lunch|latency:-1|success:false")
    unconfirmed = accepted(
        step=CommandStep.UNCONFIRMED,
        first_sent_us=NOW_US,
        acknowledged_us=NOW_US + 1_999,
        ended_us=NOW_US + 1,
    )
    assert audit_line(unconfirmed).endswith("|latency:1|success:true")


def test_a_reason_cannot_forge_a_line() -> None:
    reason = "x\r\nAUDIT|2026|user:boss|success:true%0A\x00\x85\u2028"
    line = audit_line(accepted(reason=reason, step=CommandStep.UNKNOWN, ended_us=NOW_US))
    assert "|reason:x%0D%0AAUDIT%7C2026%7Cuser:boss%7Csuccess:true%250A%00%C2%85%E2%80%A8|" in line


@given(user=st.text(max_size=20), state=st.text(max_size=20), reason=st.text(max_size=40))
def test_a_line_is_one_line_of_seven_parts_whatever_stands_in_it(
    user: str, state: str, reason: str
) -> None:
    from urllib.parse import unquote

    command = accepted(user_id=user, to_state=state, reason=reason, ended_us=NOW_US)
    line = audit_line(command)
    assert len(line.splitlines()) == 1
    parts = line.split("|")
    assert [part.partition(":")[0] for part in parts[2:]] == [
        "user",
        "state",
        "reason",
        "latency",
        "success",
    ]
    assert [unquote(part.partition(":")[2]) for part in parts[2:5]] == [user, state, reason]


def test_a_line_is_not_asked_for_before_the_end() -> None:
    with pytest.raises(AssertionError, match="goes on"):
        audit_line(accepted())


def test_details_say_who_asked_for_what_and_how_it_stood(drawer: Drawer) -> None:
    command = accepted(forced=True, held="available", expected="available", tries=2)
    drawer.store.commit([record(replace(command, step=CommandStep.SENT), NOW_US, "over line 3")])
    (row,) = reader.read_audit(drawer.data_dir, limit=9)
    assert row.user_id == USER
    assert row.detail == {
        "user": USER,
        "who": "uid:1000",
        "from": "available",
        "to": "busy",
        "reason": "lunch",
        "expected": "available",
        "forced": True,
        "tries": 2,
        "code": "",
        "detail": "over line 3",
    }

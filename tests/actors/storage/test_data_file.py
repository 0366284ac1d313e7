"""A file that one process owns: who commits, what a failure leaves, and which files there are."""

from __future__ import annotations

import re
from pathlib import Path

import apsw
import pytest

from actors.app.data_files import DATA_FILES
from actors.storage.data_file import DataFile, OwnedFile, run_of
from actors.storage.sqlite import DamagedFileError, Kind
from runtime.errors import LocalError


class DamagedToyError(DamagedFileError):
    cure = "nothing is lost"


KIND = Kind("toy", 1, DamagedToyError)
FILE = DataFile(
    kind=KIND,
    schema="CREATE TABLE progress(run TEXT NOT NULL); INSERT INTO progress VALUES ('');"
    "CREATE TABLE words(word TEXT UNIQUE)",
    migrate=lambda connection: connection.execute("CREATE TABLE IF NOT EXISTS newer(n)"),
    begin_run=lambda connection: connection.execute("DELETE FROM newer"),
)
INSERT = "INSERT INTO words VALUES (?)"


class Toy(OwnedFile):
    def __init__(self, path: Path, run: str) -> None:
        super().__init__(path, KIND, run)
        self._own()

    def put(self, *words: str) -> None:
        self._execute([(INSERT, [(word,) for word in words])])

    def words(self) -> list[str]:
        return [word for (word,) in self._connection.execute("SELECT word FROM words")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    FILE.prepare(tmp_path / "toy.db", "first")
    return tmp_path / "toy.db"


def test_a_file_that_was_only_made_keeps_its_owner(path: Path) -> None:
    FILE.make(path)
    assert run_of(path, KIND) == "first"
    FILE.hand_over(path, "second")
    assert run_of(path, KIND) == "second"


def test_an_owner_that_was_replaced_commits_nothing(path: Path) -> None:
    orphan = Toy(path, "first")
    orphan.put("one")
    FILE.hand_over(path, "second")
    with pytest.raises(LocalError, match="Another runtime has taken over this file"):
        orphan.put("two")
    assert orphan.words() == ["one"]
    with pytest.raises(LocalError, match="is owned by run 'second', not by 'first'"):
        Toy(path, "first")
    orphan.close()


def test_a_transaction_that_fails_leaves_nothing_and_the_next_one_goes_on(path: Path) -> None:
    toy = Toy(path, "first")
    toy.put("one")
    with pytest.raises(apsw.ConstraintError):
        toy.put("two", "one")
    assert toy.words() == ["one"]
    toy.put("two")
    assert toy.words() == ["one", "two"]
    toy.close()


def test_a_file_without_its_owner_is_damaged(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("DELETE FROM progress")
    connection.close()
    with pytest.raises(DamagedToyError, match="the table progress is empty"):
        FILE.hand_over(path, "second")


def test_every_kind_of_file_stands_in_the_table() -> None:
    actors = Path(__file__).parents[3] / "actors"
    made = re.compile(r"^([A-Z_]+): Final = DataFile\(\s*kind=", re.MULTILINE)
    sources = (each.read_text() for each in actors.rglob("*.py"))
    declared = [name for source in sources for name in made.findall(source)]
    assert len(declared) == len(DATA_FILES) == len({files.file.kind for files in DATA_FILES})

"""Names, and how hostile texts are encoded."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.genesys.channel_plan import EMPTY
from actors.planner import store
from actors.web import names
from actors.web.encoding import encode, mended
from actors.web.name_reader import NameReader
from actors.web.names import Names, read
from runtime.errors import LocalError, RuntimeFault

ANY_TEXT = st.text(st.characters())  # halves of surrogate pairs included


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_a_file_names_agents_and_queues_alike(tmp_path: Path) -> None:
    file = written(
        tmp_path / "names.csv", b'\xef\xbb\xbfid,name\r\na,"Doe, Jane"\n\nq,<b>\xc3\xa9\nx,\n'
    )
    found = read(tmp_path, "wsp", file)
    assert (found.user("a"), found.queue("q"), found.user("x")) == ("Doe, Jane", "<b>é", None)
    assert found.folded("a") == "doe, jane"
    assert found.folded("Nobody") == "nobody"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "first line must be id,name"),
        (b"name,id\n", "first line must be id,name"),
        (b"id,name\na,b\nc\n", "names.csv:3: 1 fields, not 2"),
        ("id,name\na,Büro\n".encode("latin-1"), "names.csv: line 2 is not UTF-8 .*iconv"),
        ("id,name\na,Büro\n".encode("utf-16"), "names.csv: it is UTF-16"),
        (b'id,name\na,"' + b"x" * 200_000 + b'"\n', "field larger than field limit"),
    ],
)
def test_a_file_that_is_none_says_where(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(LocalError, match=words):
        read(tmp_path, "wsp", written(tmp_path / "names.csv", content))


def test_a_file_that_is_missing_or_too_long_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(LocalError, match="cannot be read: No such file"):
        read(tmp_path, "wsp", tmp_path / "names.csv")
    monkeypatch.setattr(names, "FILE_BYTES_MAX", 3)
    with pytest.raises(LocalError, match=r"names\.csv: over 3 bytes"):
        read(tmp_path, "wsp", written(tmp_path / "names.csv", b"id,name\n"))


def test_in_the_cloud_dialect_the_planner_knows_them_and_the_file_knows_better(
    tmp_path: Path,
) -> None:
    assert read(tmp_path, "cloud", None) == Names()
    path = store.roster_path(tmp_path)
    store.prepare(path, "run")
    planner = store.RosterStore(path, "run")
    planner.commit(EMPTY, {}, 1)
    planner.name_queues({"q": "Queue", "r": "Other"})
    planner.close()
    file = written(tmp_path / "names.csv", b"id,name\nq,Mine\n")
    found = read(tmp_path, "cloud", file)
    assert (found.queue("q"), found.queue("r")) == ("Mine", "Other")


def test_a_long_name_is_cut(tmp_path: Path) -> None:
    found = Names({"a": "x" * 1_000})
    assert found.user("a") == "x" * (names.NAME_CHARS_MAX - 1) + "…"


def test_names_that_cannot_be_read_change_nothing() -> None:
    answers: list[Names | RuntimeFault] = [
        Names({"a": "A"}), LocalError("gone"), Names({"a": "A"}), Names({"a": "B"}),
    ]  # fmt: skip
    taken: list[Names] = []

    def next_answer() -> Names:
        answer = answers.pop(0)
        if isinstance(answer, RuntimeFault):
            raise answer
        return answer

    async def scene() -> None:
        naming = NameReader(next_answer, taken.append)
        for _ in range(4):
            await naming.refresh()

    asyncio.run(scene())
    assert [each.user("a") for each in taken] == ["A", "B"]


# -- encoding --------------------------------------------------------------------------------------


@given(ANY_TEXT)
def test_any_text_can_be_said(text: str) -> None:
    said = orjson.loads(encode({text: [text, (text, 1, None)]}))
    assert said == {mended(text): [mended(text), [mended(text), 1, None]]}


@given(st.text())
def test_a_text_that_utf8_can_say_stays_as_it_is(text: str) -> None:
    assert mended(text) == text


def test_halves_that_belong_together_are_put_together() -> None:
    assert mended("\ud83d\ude00") == "😀"
    assert mended("\ude00\ud83d") == "\ufffd\ufffd"

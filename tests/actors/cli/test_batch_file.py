"""CommandFile: what a person may hand in, what is wrong with it, and the file that comes back."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from actors.cli.batch_file import RESULT, CsvLine, Outcome, parse, read, result_path, write_result
from runtime.errors import LocalError


def test_columns_stand_in_any_order_and_the_optional_ones_may_be_missing() -> None:
    lines = parse("State,user\nbusy,A\n offline , B \n", "seed", "f")
    assert [(line.user, line.state, line.reason, line.expected) for line in lines] == [
        ("A", "busy", "", None),
        ("B", "offline", "", None),
    ]
    [line] = parse('user,state,reason,expect\nA,Break,"a, b\nc",busy\n', "seed", "f")
    assert (line.state, line.reason, line.expected) == ("break", "a, b\nc", "busy")


def test_keys_are_of_this_file_this_line_and_this_name(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("user,state\nA,busy\nA,busy\n")
    keys = [line.key for line in read(path, "")]
    assert [line.key for line in read(path, "")] == keys
    assert len({*keys, *(line.key for line in read(path, "again"))}) == 4
    path.write_text("user,state\nA,busy\nA,busy\nB,busy\n")
    assert not {line.key for line in read(path, "")} & set(keys)


def test_what_a_spreadsheet_writes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("\ufeffuser,state\r\nJürgen,busy\r\n,\r\n".encode())
    assert [(line.number, line.user) for line in read(path, "")] == [(2, "Jürgen")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no column 'user'"),
        ("user,state\n", "contains no commands"),
        ("user\nA\n", "has no column 'state'"),
        ("user,state,colour\nA,busy,red\n", "an unknown column 'colour'"),
        ("user,state,user\nA,busy,B\n", "has twice 'user'"),
        ("user,state\nA,busy,extra\n", "line 2: has 3 cells, but the header has 2"),
        ("user,state\nA\n", "line 2: state '' is unknown; expected one of available, busy"),
        ("user,state\n,busy\n", "line 2: user must have 1 to 128 bytes"),
        (f"user,state\n{'ü' * 65},busy\n", "line 2: user must have 1 to 128 bytes"),
        ("user,state\nA,sleeping\n", "line 2: state 'sleeping' is unknown; expected one of"),
        (
            "user,state,expect\nA,busy,Talking\n",
            "line 2: expect 'talking' is unknown; expected one of",
        ),
        (f"user,state,reason\nA,busy,{'x' * 501}\n", "line 2: reason must have at most 500"),
        ('user,state\n"A,busy\n', "unexpected end of data"),
        ("user,\x1b[31mstate\n", r"no column 'state'"),
        ("user,state,\x1b[31m\n", r"an unknown column '\x1b[31m'"),
    ],
)
def test_what_is_wrong_is_named(text: str, says: str) -> None:
    with pytest.raises(LocalError) as caught:
        parse(text, "seed", "f.csv")
    assert says in str(caught.value).replace("\\\\", "\\")
    assert str(caught.value).startswith("f.csv")


def test_of_many_mistakes_the_first_are_shown_and_the_others_counted() -> None:
    with pytest.raises(LocalError, match="nothing was sent") as caught:
        parse("user,state\n" + "A,no\n" * 25, "seed", "f")
    assert "and 15 more" in str(caught.value)
    assert str(caught.value).count("\n") == 11


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="No such file"):
        read(tmp_path / "missing.csv", "")
    path = tmp_path / "latin.csv"
    path.write_bytes("user,state\nJürgen,busy\n".encode("latin-1"))
    with pytest.raises(
        LocalError, match=r"is not UTF-8 \(line 2\); it appears to be Lat"
    ) as refused:
        read(path, "")
    cure = f"iconv -f WINDOWS-1252 -t UTF-8 {path} > {tmp_path}/latin.utf8.csv"
    assert cure in str(refused.value)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_of_utf_16_is_named_as_such_with_how_to_convert_it(
    encoding: str, tmp_path: Path
) -> None:
    path = tmp_path / "of the day.csv"
    path.write_bytes("user,state\nJürgen,busy\n".encode(encoding))
    with pytest.raises(
        LocalError, match=f"it appears to be {encoding.upper().replace('6-', '6')}. C"
    ) as refused:
        read(path, "")
    cure = re.search("iconv -f ([A-Z0-9-]+) -t UTF-8 (.+) > ", str(refused.value))
    assert cure is not None
    assert cure[2] == f"'{path}'"
    assert path.read_bytes().decode(cure[1]) == "user,state\nJürgen,busy\n"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("head", ["", "sep={}\n", '"sep={}"\r\n'])
def test_cells_may_be_separated_as_spreadsheets_do(delimiter: str, head: str) -> None:
    rows = [["user", "state", "reason"], ["A", "busy", '"a; b, c"'], ["B", "break", ""]]
    text = head.format(delimiter) + "".join(delimiter.join(row) + "\r\n" for row in rows)
    lines = parse(text, "seed", "f")
    assert [(line.user, line.state, line.reason) for line in lines] == [
        ("A", "busy", "a; b, c"),
        ("B", "break", ""),
    ]
    assert [line.number for line in lines] == ([3, 4] if head else [2, 3])


def test_a_header_in_quotes_is_one_whatever_separates_it() -> None:
    [line] = parse('"User";"State"\nA;busy\n', "seed", "f")
    assert (line.user, line.state) == ("A", "busy")


def test_the_result_has_one_row_a_line_and_moves_no_cursor(tmp_path: Path) -> None:
    path = result_path(tmp_path / "evening.csv")
    assert path.name == "evening.result.csv"
    line = CsvLine(2, "key", "A\x1b[2J", "busy", "x\ny", None)
    write_result(path, [(line, Outcome("refused", "scope", "no\r\n\x07", "id-1", True))])
    assert list(csv.reader(path.read_text().splitlines())) == [
        list(RESULT),
        ["2", r"A\x1b[2J", "busy", r"x\ny", "", "refused", "scope", r"no\r\n\x07", "id-1", "yes"],
    ]
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_result_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="cannot write"):
        write_result(tmp_path / "missing" / "x.csv", [])


def test_in_the_cloud_a_presence_is_whatever_its_organisation_calls_it() -> None:
    text = "user,state,expect\nA, On Queue ,In Warteschlange\n"
    [line] = parse(text, "seed", "f", "cloud")
    assert (line.state, line.expected) == ("On Queue", "In Warteschlange")
    wrong = {
        "user,state\nA,\n": "line 2: state '' must have 1 to 200 characters",
        f"user,state\nA,{'x' * 201}\n": "must have 1 to 200 characters",
        f"user,state,reason\nA,Meal,{'x' * 251}\n": "reason must have at most 250 characters",
    }
    for content, says in wrong.items():
        with pytest.raises(LocalError) as refused:
            parse(content, "seed", "f", "cloud")
        assert says in str(refused.value)

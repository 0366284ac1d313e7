"""CommandFile: a CSV file of commands, read whole before the first is sent; and its result file.

Knows no HTTP. Each line's key is made of the file's bytes, the line's number and a name that the
caller may give: the same file sent again, after an interruption or by mistake, repeats nothing.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from actors.cli import tables
from actors.cli.csv_cells import guarded
from actors.genesys.presences import misnamed
from actors.messages.control import USER_ID_BYTES_MAX
from actors.sender.cloud_dialect import MESSAGE_CHARS_MAX
from actors.sender.transitions import REASON_CHARS_MAX
from actors.storage.new_file import create
from actors.storage.text_file import LATIN, EncodingError, text_of
from runtime.errors import LocalError

NEEDED: Final = ("user", "state")
KNOWN: Final = (*NEEDED, "reason", "expect")
RESULT: Final = ("line", *KNOWN, "outcome", "code", "detail", "command", "replayed")
PENDING: Final = "pending"
"""The outcome of a line that has none yet, because the run was interrupted; with a command's id, of
one that the gateway applies later."""
LINES_MAX: Final = 100_000
BYTES_MAX: Final = 64 << 20
SHOWN_MISTAKES_MAX: Final = 10
DELIMITERS: Final = (",", ";", "\t")
"""A spreadsheet separates cells by what its country writes numbers with."""
_NAMED_DELIMITER: Final = re.compile(r'"?sep=([,;\t])"?')


class CsvLine(NamedTuple):
    """One command to be sent."""

    number: int  # in the file, from 1; the header is line 1
    key: str
    user: str
    state: str
    reason: str
    expected: str | None


class Outcome(NamedTuple):
    """What became of a line."""

    step: str  # of a command, or PENDING
    code: str = ""
    detail: str = ""
    command: str = ""
    is_replayed: bool = False  # an earlier run has done it


def read(path: Path, name: str, dialect: str = "wsp") -> list[CsvLine]:
    """Raises LocalError that names what is wrong, line by line; then nothing may be sent."""
    try:
        if path.stat().st_size > BYTES_MAX:
            raise LocalError(f"{path} is longer than {BYTES_MAX:,} bytes")
        content = path.read_bytes()
    except OSError as error:
        raise LocalError(f"cannot read {path}: {error.strerror}") from None
    text = _decoded(content, path)
    return parse(text, f"{hashlib.sha256(content).hexdigest()}:{name}", str(path), dialect)


def _decoded(content: bytes, path: Path) -> str:
    """Raises LocalError that names the encoding it seems to have, and how to convert it."""
    try:
        return text_of(content)
    except EncodingError as error:
        where = f" (line {error.line})" if error.line else ""
        name = "Latin-1 or Windows-1252" if error.encoding == LATIN else error.encoding
        new = path.with_suffix(".utf8.csv")
        raise LocalError(
            f"{path} is not UTF-8{where}; it appears to be {name}. Convert it with: iconv -f "
            f"{error.encoding} -t UTF-8 {shlex.quote(str(path))} > {shlex.quote(str(new))}, or "
            "save it as CSV UTF-8"
        ) from None


def _delimited(text: str) -> tuple[str, str]:
    """What separates the cells, and the text; Excel may name it in a line before the header."""
    first, newline, rest = text.partition("\n")
    if named := _NAMED_DELIMITER.fullmatch(first.strip("\r ")):
        return named[1], newline + rest  # the empty line keeps the numbers of those behind it
    return max(DELIMITERS, key=lambda each: len(_cells(first, each) & set(KNOWN))), text


def _cells(header: str, delimiter: str) -> set[str]:
    return {cell.strip(' "\r').lower() for cell in header.split(delimiter)}


def parse(text: str, seed: str, origin: str, dialect: str = "wsp") -> list[CsvLine]:
    """The lines of a file; `seed` makes its keys differ from any other file's."""
    delimiter, text = _delimited(text)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    lines: list[CsvLine] = []
    mistakes: list[str] = []
    try:
        header = [each.strip().lower() for each in next(filter(None, rows), [])]
        _check_header(header, origin)
        for cells in rows:
            if not any(each.strip() for each in cells):
                continue
            number = rows.line_num
            line = _line(header, cells, number, seed)
            if dialect == "wsp":  # there a presence is a word, elsewhere a name
                line = line._replace(
                    state=line.state.lower(), expected=line.expected and line.expected.lower()
                )
            if len(cells) > len(header):
                mistake = f"has {len(cells)} cells, but the header has {len(header)}"
            else:
                mistake = _mistake(line, dialect)
            if mistake:
                mistakes.append(f"line {number}: {mistake}")
            lines.append(line)
            if len(lines) > LINES_MAX:
                raise LocalError(f"{origin} has more than {LINES_MAX:,} lines")
    except csv.Error as error:
        raise LocalError(f"{origin}: line {rows.line_num}: {error}") from None
    if mistakes:
        raise refused(origin, mistakes)
    if not lines:
        raise LocalError(f"{origin} contains no commands")
    return lines


def refused(origin: str, mistakes: Sequence[str]) -> LocalError:
    """The first mistakes of a file, and how many there are beside."""
    shown = "".join(f"\n  {each}" for each in mistakes[:SHOWN_MISTAKES_MAX])
    more = len(mistakes) - SHOWN_MISTAKES_MAX
    rest = f"\n  and {more:,} more" if more > 0 else ""
    return LocalError(f"{origin}: invalid lines, nothing was sent:{shown}{rest}")


def _check_header(header: Sequence[str], origin: str) -> None:
    missing = [name for name in NEEDED if name not in header]
    strange = [name for name in header if name not in KNOWN]
    twice = [name for name in KNOWN if header.count(name) > 1]
    for what, names in (("no column", missing), ("an unknown column", strange), ("twice", twice)):
        if names:
            raise LocalError(
                f"{origin} has {what} {tables.cell(names[0])!r}: the first line must contain the "
                f"column names {', '.join(KNOWN)}, of which the last two are optional; cells are "
                "separated by comma, semicolon or tab"
            )


def _line(header: Sequence[str], cells: Sequence[str], number: int, seed: str) -> CsvLine:
    given = dict(zip(header, cells, strict=False))
    user, state = given.get("user", "").strip(), given.get("state", "").strip()
    reason, expect = given.get("reason", ""), given.get("expect", "").strip()
    key = hashlib.sha256(f"{seed}:{number}".encode()).hexdigest()
    return CsvLine(number, key, user, state, reason, expect or None)


def _mistake(line: CsvLine, dialect: str) -> str:
    if not 0 < len(line.user.encode(errors="surrogatepass")) <= USER_ID_BYTES_MAX:
        return f"user must have 1 to {USER_ID_BYTES_MAX} bytes"
    if why := misnamed(line.state, dialect):
        return f"state {tables.cell(line.state)!r} {why}"
    if line.expected and (why := misnamed(line.expected, dialect)):
        return f"expect {tables.cell(line.expected)!r} {why}"
    chars_max = REASON_CHARS_MAX if dialect == "wsp" else MESSAGE_CHARS_MAX
    if len(line.reason) > chars_max:
        return f"reason must have at most {chars_max} characters"
    return ""


def result_path(path: Path) -> Path:
    return path.with_suffix(".result.csv")


def write_result(path: Path, results: Iterable[tuple[CsvLine, Outcome]]) -> None:
    """Whole or not at all; what was said by others can move no cursor of whoever looks at it."""
    new = path.with_name(f"{path.name}.new")
    try:
        with os.fdopen(create(new), "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(RESULT)
            for line, outcome in results:
                row = (
                    line.number, line.user, line.state, line.reason, line.expected,
                    outcome.step, outcome.code, outcome.detail, outcome.command,
                    "yes" if outcome.is_replayed else "",
                )  # fmt: skip
                writer.writerow([guarded(tables.cell(str(value or ""))) for value in row])
        new.replace(path)
    except OSError as error:
        raise LocalError(f"cannot write {path}: {error.strerror}") from None

"""Table: rows for people on a terminal, for pipes, or for programs. Knows no row's meaning."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from runtime.printable import printable, printable_json, unescaped

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A drawn table on a terminal; on a pipe one line a row, its cells separated by tabs."""
    if sys.stdout.isatty():
        _draw(title, columns, rows)
        return
    print("\t".join(columns))
    for row in rows:
        print("\t".join(cell(value) for value in row))


def show_json(value: Any) -> None:
    """One JSON document on stdout, which is one whatever letters the stream has."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS  # names of steps, which are strings
    text = printable_json(orjson.dumps(value, option=options, default=str)).decode()
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # the stream would replace letters by what is no JSON
        text = json.dumps(orjson.loads(text), indent=2)
    sys.stdout.write(f"{text}\n")


def cell(value: object) -> str:
    """A value as text that cannot move a cursor, break a line or colour a terminal: what stands in
    a journal was sent by others."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}" if sys.stdout.isatty() else str(value)
    return printable(str(value))


def _draw(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    console().print(drawn(title, columns, rows))


def console(*, is_stderr: bool = False) -> Console:
    """For what moves the cursor. Whoever draws on it shows `cell`s: it escapes nothing itself."""
    from rich.console import Console  # 50 ms that a pipe need not pay

    return Console(file=unescaped(sys.stderr if is_stderr else sys.stdout))


def drawn(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """What `show` draws on a terminal."""
    from rich.table import Table
    from rich.text import Text  # no markup: a name may hold a bracket

    table = Table(title=title or None, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(
            *(
                Text(cell(value), justify="right" if isinstance(value, int | float) else "left")
                for value in row
            )
        )
    return table

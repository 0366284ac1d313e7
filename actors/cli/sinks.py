"""SinkViews: how far each sink is, and what is the matter with it. Knows no file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from actors.cli import tables
from actors.genesys.times import utc
from actors.sinks.reader import SinkState, read

_COLUMNS: Final = (
    "sink", "to", "is", "since", "behind", "delivered", "position", "last error",
)  # fmt: skip


def show(path: Path, *, as_json: bool) -> None:
    """All sinks that were ever configured, by name."""
    sinks = read(path)
    if as_json:
        tables.show_json([_json(each) for each in sinks])
        return
    tables.show("sinks", _COLUMNS, map(_row, sinks))


def _how(sink: SinkState) -> str:
    if sink.standing.is_paused:
        return "refused"
    if sink.standing.problem:
        return "failing"
    return "delivering" if sink.standing.since_us else "new"


def _row(sink: SinkState) -> tuple[object, ...]:
    standing = sink.standing
    return (
        standing.name,
        standing.target,
        _how(sink),
        utc(standing.since_us),
        sink.behind_rows,
        standing.delivered,
        " ".join(f"{journal}:{row}" for journal, row in sink.at),
        standing.problem,
    )


def _json(sink: SinkState) -> dict[str, Any]:
    standing = sink.standing
    return {
        "name": standing.name,
        "to": standing.target,
        "is": _how(sink),
        "since": utc(standing.since_us),
        "behind_rows": sink.behind_rows,
        "delivered": standing.delivered,
        "position": dict(sink.at),
        "last_error": standing.problem or None,
    }

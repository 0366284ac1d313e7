"""SinkCheck: whether a file sink was given every row of the journals, those of each agent in order.

Reads what is durable, when nobody writes it any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from actors.sinks.envelope import EventEnvelope
from actors.sinks.journals import JournalReader, find

EXAMPLES: Final = 3
ROWS_AT_ONCE: Final = 10_000


class RowName(NamedTuple):
    """A row as its event bears it."""

    id: str
    subject: str | None


def problems(data_dir: Path, lines: Path) -> list[str]:
    """What is wrong with the file of a sink, in words; nothing if nothing is."""
    taken = lines.read_bytes().splitlines() if lines.exists() else []
    return compared(_rows(data_dir), [str(orjson.loads(line)["id"]) for line in taken])


def compared(rows: Iterable[RowName], taken: Iterable[str]) -> list[str]:
    """`rows`: in the order in which they were written. An event may come twice; its first time
    counts. Pure."""
    first: dict[str, int] = {}
    for place, event in enumerate(taken):
        first.setdefault(event, place)
    missing, inverted, known = [], [], set()
    latest: dict[str | None, int] = {}
    for row in rows:
        known.add(row.id)
        place_of = first.get(row.id)
        if place_of is None:
            missing.append(row.id)
        elif row.subject is not None:
            if place_of < latest.get(row.subject, -1):
                inverted.append(row.id)
            latest[row.subject] = place_of
    strangers = sorted(first.keys() - known)
    return [
        f"the sink {what}: {len(which):,}, such as {', '.join(which[:EXAMPLES])}"
        for what, which in (
            ("was not given rows", missing),
            ("was given rows of an agent out of order", inverted),
            ("was given what no journal has", strangers),
        )
        if which
    ]


def _rows(data_dir: Path) -> Iterator[RowName]:
    envelope = EventEnvelope("")
    for file in find(data_dir):
        reader, behind = JournalReader(file), 0
        try:
            while rows := reader.behind(behind, ROWS_AT_ONCE).rows:
                behind = rows[-1].row
                for event in map(envelope.row, rows):
                    yield RowName(event.id, event.subject)
        finally:
            reader.close()

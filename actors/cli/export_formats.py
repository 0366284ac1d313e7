"""Export formats: a row of a journal as a line of JSON or CSV, and what a moment is. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeAlias

import orjson

from actors.cli.csv_cells import guarded
from actors.cli.pseudonyms import Pseudonyms
from actors.genesys.times import as_datetime, epoch_us, iso_ms
from actors.messages.control import SEQUENCE_END
from actors.messages.queues import former_queue, queues_of
from actors.messages.transition import GapRow, JournalRow
from runtime.printable import printable_json, printable_lines

Format: TypeAlias = Literal["jsonl", "csv"]
COLUMNS: Final = (
    "received", "at", "user", "from", "to", "queue", "presence", "cause", "epoch", "sequence",
    "correlation", "journal", "row",
)  # fmt: skip
GAP_COLUMNS: Final = ("scope", "since", "until", "first", "last", "reason")
QUEUES: Final = "queues"
"""The last column, so that those of 0.1 stand where they stood."""
QUEUE_SEPARATOR: Final = ";"
"""Between the queues of one cell."""
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_AGO: Final = re.compile(
    r"(\d{1,6}) ?(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?|w|weeks?)( ago)?"
)
_WEEKDAYS: Final = (
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
)  # fmt: skip
_DAY: Final = timedelta(days=1)
UNDERSTOOD: Final = (
    "expected now, today, yesterday or a day of the week (from 00:00 UTC), an age "
    "(90min, 24h, 7d), a date (2026-11-22), or a time (2026-11-22T10:00, UTC unless it "
    "has an offset)"
)


def moment(text: str, now_us: int) -> int:
    """A time (`2026-11-22`, `2026-11-22T10:00`, with an offset or else UTC), the beginning of a day
    (`today`, `yesterday`, the latest `monday`), `now`, or how long ago (`90 min`, `24h`, `7d`);
    ValueError for anything else."""
    said = " ".join(text.lower().split())
    if said == "now":
        return now_us
    if ago := _AGO.fullmatch(said):
        return now_us - int(ago[1]) * _UNITS_S[ago[2][0]] * 1_000_000
    try:
        at = _midnight(said, now_us) or datetime.fromisoformat(text.strip())
        return epoch_us(at if at.tzinfo is not None else at.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not a valid time") from None


def _midnight(said: str, now_us: int) -> datetime | None:
    """When the day began that is said; None: none is."""
    today = as_datetime(now_us).replace(hour=0, minute=0, second=0, microsecond=0)
    if said == "today":
        return today
    if said == "yesterday":
        return today - _DAY
    if said in _WEEKDAYS:
        return today - _DAY * ((today.weekday() - _WEEKDAYS.index(said)) % 7)
    return None


class Rows:
    """Turns rows into lines of one format; with pseudonyms, into lines without people. A CSV is
    safe to open in a spreadsheet, unless it is to be exact."""

    def __init__(
        self, format_: Format, pseudonyms: Pseudonyms | None = None, *, is_exact: bool = False
    ) -> None:
        self._is_exact = is_exact
        self._pseudonyms = pseudonyms
        self._text = io.StringIO()
        self._csv = csv.writer(self._text, lineterminator="\n")
        self.line: Callable[[JournalRow], bytes] = self._json if format_ == "jsonl" else self._row
        self.head = b""
        """What comes before the first line."""
        if format_ == "csv":
            gap = (f"gap_{name}" for name in GAP_COLUMNS)
            self.head = self._written((*COLUMNS, *gap, QUEUES))

    def _json(self, row: JournalRow) -> bytes:
        told: dict[str, Any] = dict(zip(COLUMNS, self._values(row), strict=True))
        told[QUEUES] = queues_of(row.queue)
        if row.gap is not None:
            told["gap"] = dict(zip(GAP_COLUMNS, _gap(row.gap), strict=True))
        return printable_json(orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE))

    def _row(self, row: JournalRow) -> bytes:
        gap = (None,) * len(GAP_COLUMNS) if row.gap is None else _gap(row.gap)
        queues = QUEUE_SEPARATOR.join(queues_of(row.queue))
        return self._written((*self._values(row), *gap, queues))

    def _written(self, values: tuple[object, ...]) -> bytes:
        self._text.seek(0)
        self._text.truncate()
        self._csv.writerow(values if self._is_exact else map(_safe, values))
        return self._text.getvalue().encode("utf-8", "surrogatepass")

    def _values(self, row: JournalRow) -> tuple[object, ...]:
        user, command = row.user_id, row.correlation
        if self._pseudonyms is not None:
            user = None if user is None else self._pseudonyms.person(user)
            command = None if command is None else self._pseudonyms.command(command)
        return (
            iso_ms(row.received_us), iso_ms(row.at_us), user, row.from_state, row.to_state or None,
            former_queue(row.queue), row.presence, row.cause, row.epoch, row.sequence, command,
            row.journal, row.row,
        )  # fmt: skip


def _gap(gap: GapRow) -> tuple[object, ...]:
    """Nobody knows which was the last of those that reach to the end of all numbers."""
    last = None if gap.last_sequence >= SEQUENCE_END - 1 else gap.last_sequence
    since = iso_ms(gap.since_us) if gap.since_us else None
    return gap.scope, since, iso_ms(gap.at_us), gap.first_sequence, last, gap.reason


def _safe(value: object) -> object:
    """A carriage return would end the row for many readers, and csv quotes none."""
    return guarded(printable_lines(value) if isinstance(value, str) else value)

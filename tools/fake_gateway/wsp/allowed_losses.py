"""AllowedLosses: the events that a runtime could not have had, whatever it did, by the ledger.

A gap row accounts for an event only where both agree: the row names it, in the numbering in which
it was met, and the gateway did not replay it. Knows no journal but its gap rows.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from tools.fake_gateway.wsp.numbering import Epoch, Numbering

# A client resumes so far behind what it holds, for neighbours that have changed places
# (protocol.md §1.2); so of a gap that begins behind the resume, it holds the beginning.
RESUME_MARGIN = 1_000
POISON_SESSIONS = 3  # that must have ended at a place before a client may leave it behind
_WITHOUT_END = 1 << 62


class Span(NamedTuple):
    """Events first <= n < end."""

    first: int
    end: int


class AllowedLosses:
    """Told line by line; `window` is that of the order."""

    def __init__(self, numbering: Numbering, window: int) -> None:
        self._numbering = numbering
        self._held, self._window = RESUME_MARGIN - window, window
        self._asked: dict[int, tuple[int | None, str | None]] = {}  # by socket
        self._poisons: Counter[int] = Counter()  # times met, by place
        self._told: list[Span] = []

    def add(self, line: Mapping[str, Any]) -> None:
        kind = line["kind"]
        if kind == "subscribed":
            self._asked[line["socket"]] = (line.get("asked"), line.get("asked_epoch"))
            self._leave_poison(line)
        elif kind in ("gap", "ignored"):
            self._told.append(self._not_replayed(line))
        elif kind == "epoch" and line["first"] > 0:
            # Nothing of an epoch that has ended can be replayed.
            self._told.append(Span(0, line["first"]))
        elif kind == "fault" and line["what"] == "poison":
            self._poisons[line["place"]] += 1

    def _not_replayed(self, line: Mapping[str, Any]) -> Span:
        epoch = self._numbering.named(line["epoch"])
        first = self._number(epoch, line["first"])
        asked, asked_epoch = self._asked.get(line["socket"], (None, None))
        is_resumed = asked is not None and asked >= epoch.first_sequence
        if is_resumed and asked_epoch in (None, epoch.wire) and not self._is_left(first - 1):
            first += self._held
        return Span(first, self._number(epoch, line["last"]) + 1)

    def _leave_poison(self, line: Mapping[str, Any]) -> None:
        """Whoever resumes right behind a place that ended three sessions has left it behind, and
        with it what comes behind it because a neighbour has overtaken it."""
        asked, epoch = line.get("asked"), self._numbering.named(line["epoch"])
        if asked is None or line.get("asked_epoch") not in (None, epoch.wire):
            return
        number = epoch.first + asked - epoch.first_sequence
        self._told += [
            Span(max(0, place - self._window), number + 1)
            for place, times in self._poisons.items()
            if times >= POISON_SESSIONS and place <= number < place + RESUME_MARGIN
        ]

    def _is_left(self, number: int) -> bool:
        return any(place <= number < place + RESUME_MARGIN for place in self._poisons)

    @staticmethod
    def _number(epoch: Epoch, sequence: int) -> int:
        return epoch.first + max(0, sequence - epoch.first_sequence)

    def meet(self, gaps: Iterable[tuple[int, int, int]], seen_epochs: list[Epoch]) -> list[Span]:
        """Where gap rows (epoch, first, last sequence) meet what really was not to be had. Sorted;
        spans may touch or overlap."""
        spans = []
        for number, first_sequence, last_sequence in gaps:
            if not 1 <= number <= len(seen_epochs):
                continue
            row = self._row(number, first_sequence, last_sequence, seen_epochs)
            for told in self._told:
                both = Span(max(row.first, told.first), min(row.end, told.end))
                if both.first < both.end:
                    spans.append(both)
        return sorted(spans)

    def _row(self, number: int, first: int, last: int, seen_epochs: list[Epoch]) -> Span:
        """The events that a row speaks of: of its epoch, and of those behind it that nobody met."""
        epoch = seen_epochs[number - 1]
        end = seen_epochs[number].first if number < len(seen_epochs) else _WITHOUT_END
        # A row without an end (last < first): it could not know where the epoch ended.
        upto = self._number(epoch, last) + 1 if last >= first else end
        return Span(self._number(epoch, first), min(end, upto))


class SpanSet:
    """Whether a number lies in one of many spans."""

    def __init__(self, spans: list[Span]) -> None:
        self._spans = spans
        self._ends = list(_running_max(span.end for span in spans))

    def __contains__(self, number: object) -> bool:
        assert isinstance(number, int)
        place = bisect_right(self._spans, (number, _WITHOUT_END)) - 1
        return place >= 0 and self._ends[place] > number


def _running_max(values: Iterator[int]) -> Iterator[int]:
    greatest = -1
    for value in values:
        greatest = max(greatest, value)
        yield greatest

"""Source: which events come next for one sink, from all journals, in the order of each agent. Pure.

Knows no sink, and writes nothing: whoever delivered what was pulled says so, else it is pulled
again. Journals of an earlier shard count are read to their end before those of the next, because an
agent has moved from one to the other; those of one shard count are read in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from actors.messages.transition import JournalRow
from actors.sinks.envelope import (
    JOURNAL_GONE,
    PAST_RETENTION,
    EventEnvelope,
    LostRows,
    SinkEvent,
    SinkFilter,
)
from actors.sinks.journals import JournalFile, Slice
from actors.sinks.positions import Places, SinkPosition

_NOBODY_KNOWS: Final = None


class RowReader(Protocol):
    """What is needed of an open journal."""

    def behind(self, row: int, limit: int) -> Slice: ...

    def close(self) -> None: ...


class Pulled(NamedTuple):
    """What comes next, and where the sink is once it has it."""

    events: tuple[SinkEvent, ...]
    places: Places
    """Only those that are others than before."""
    has_more: bool
    """It is worth while to pull again at once."""
    oldest_us: int
    """When the oldest of these rows was received; 0: there is none."""
    missed: int
    """Rows that the sink will never be given; of a journal that is gone 1."""


class Source:
    """For one sink; one thread uses it at a time."""

    def __init__(
        self,
        files: Sequence[JournalFile],
        places: Mapping[str, SinkPosition],
        envelope: EventEnvelope,
        wanted: SinkFilter,
        *,
        rows_max: int,
        wall_us: Callable[[], int],
        open_reader: Callable[[JournalFile], RowReader],
        begin: Callable[[], None] = lambda: None,
    ) -> None:
        """`begin` is called before each pull."""
        self._files = files
        self.places = dict(places)
        self._envelope = envelope
        self._filter = wanted
        self._rows_max = rows_max
        self._wall_us = wall_us
        self._open = open_reader
        self._begin = begin
        self._readers: dict[str, RowReader] = {}
        self._turn = 0

    def close(self) -> None:
        """Journals are opened again as they are needed."""
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()

    def delivered(self, pulled: Pulled) -> None:
        """From now on what comes behind it is pulled."""
        self.places.update(pulled.places)
        for identity, place in pulled.places.items():
            if place.is_done and identity in self._readers:
                self._readers.pop(identity).close()

    def pull(self) -> Pulled:
        """The next events. Raises what an open reader does."""
        self._begin()
        if gone := self._gone():
            return gone
        files = self._current()
        draft = _Draft(self._envelope, self._filter, self._wall_us)
        self._turn += 1
        left, has_more = self._rows_max, False
        for number in range(len(files)):
            if left <= 0:
                has_more = True  # perhaps; who waits longest is first the next time
                break
            file = files[(self._turn + number) % len(files)]
            place = self.places[file.identity]
            share = -(-left // (len(files) - number))
            found = self._reader(file).behind(place.row, share)
            before = len(draft.events)
            row = draft.take(file.identity, place.row, found)
            left -= max(len(found.rows), len(draft.events) - before)
            is_done = file.is_archived and row >= found.last_row
            if (row, is_done) != place:
                draft.places[file.identity] = SinkPosition(row, is_done)
            has_more = has_more or is_done or row < found.last_row
        return draft.pulled(has_more)

    def _gone(self) -> Pulled | None:
        """What a sink is told of journals that are not there any more."""
        there = {file.identity for file in self._files}
        gone = {
            identity: place
            for identity, place in self.places.items()
            if identity not in there and not place.is_done
        }
        if not gone:
            return None
        now_us = self._wall_us()
        events = tuple(
            self._envelope.missed(
                LostRows(identity, place.row + 1, _NOBODY_KNOWS, JOURNAL_GONE, now_us)
            )
            for identity, place in gone.items()
        )
        places = {
            identity: SinkPosition(place.row, is_done=True) for identity, place in gone.items()
        }
        return Pulled(events, places, True, 0, len(events))

    def _current(self) -> list[JournalFile]:
        """The journals of the oldest shard count that has not been read to its end."""
        undone = [file for file in self._files if not self.places[file.identity].is_done]
        oldest = min((file.generation for file in undone), default=0)
        return [file for file in undone if file.generation == oldest]

    def _reader(self, file: JournalFile) -> RowReader:
        reader = self._readers.get(file.identity)
        if reader is None:
            reader = self._readers[file.identity] = self._open(file)
        return reader


class _Draft:
    """What is being pulled."""

    def __init__(
        self, envelope: EventEnvelope, wanted: SinkFilter, wall_us: Callable[[], int]
    ) -> None:
        self._envelope = envelope
        self._filter = wanted
        self._wall_us = wall_us
        self.events: list[SinkEvent] = []
        self._missed = 0
        self._oldest_us = 0
        self.places: Places = {}

    def take(self, journal: str, behind: int, found: Slice) -> int:
        """Adds the rows of a slice, and says what is missing before them; the row that the sink is
        at then."""
        rows = found.rows
        end = rows[-1].row if rows else max(found.last_row, behind)
        first = rows[0].row if rows else end + 1
        if first > behind + 1:  # retention did not wait for us
            missed = LostRows(journal, behind + 1, first - 1, PAST_RETENTION, self._wall_us())
            self.events.append(self._envelope.missed(missed))
            self._missed += first - 1 - behind
            return first - 1
        self._add(rows)
        return end

    def _add(self, rows: Sequence[JournalRow]) -> None:
        if not rows:
            return
        if not self._oldest_us or rows[0].received_us < self._oldest_us:
            self._oldest_us = rows[0].received_us
        row, wants = self._envelope.row, self._filter.wants
        if self._filter.is_open:
            self.events += map(row, rows)
        else:
            self.events += [row(each) for each in rows if wants(each)]

    def pulled(self, has_more: bool) -> Pulled:
        return Pulled(tuple(self.events), self.places, has_more, self._oldest_us, self._missed)

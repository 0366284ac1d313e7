"""Hub: hands events to every reader of the stream, and keeps the newest for those who come back.

Pure: knows no socket, no clock and not what an event says. Each event is encoded once for all
readers that want the same; nobody waits for a reader: one that does not read is told to
resynchronise, and that is the last it hears.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol

from actors.messages.queues import queues_of
from actors.web.encoding import encode

READER_BYTES_MAX: Final = 1 << 20
"""Not yet sent to one reader; one that comes back is owed no more than that either."""
EVENTS_KEPT_MAX: Final = 600
CHANGES_KEPT_MAX: Final = 50_000
"""In all the events kept: some 10 MB."""
FILTERS_MAX: Final = 50
"""Different ones at once: each costs an encoding of every event."""
RESYNC_ID: Final = "resync"
"""The id of a resync: whoever comes back with it is told the same again."""


class StreamFilter(NamedTuple):
    """What a reader wants to hear of; an empty set is everything."""

    queues: frozenset[str] = frozenset()
    states: frozenset[str] = frozenset()

    def takes(self, state: str, queue: str | None) -> bool:
        """`queue`: the text of all queues of the agent (`actors.messages.queues`)."""
        return (not self.states or state in self.states) and (
            not self.queues or not self.queues.isdisjoint(queues_of(queue))
        )


EVERYTHING: Final = StreamFilter()


class StreamEvent(Protocol):
    """Something that happened."""

    @property
    def size(self) -> int:
        """How many changes it has."""
        ...

    def data_for(self, wanted: StreamFilter) -> bytes:
        """One line of JSON."""
        ...


class TooManyFiltersError(Exception):
    """Another filter would be one too many; no mistake of ours."""


class Subscriber:
    """One stream. `take` gives what is to be sent, until `is_over` and nothing is left."""

    __slots__ = ("_bytes", "_on_ready", "_parts", "is_over", "wanted")

    def __init__(self, wanted: StreamFilter, on_ready: Callable[[], None]) -> None:
        self.wanted = wanted
        self.is_over = False
        self._parts: list[bytes] = []
        self._bytes = 0
        self._on_ready = on_ready

    @property
    def unsent_bytes(self) -> int:
        return self._bytes

    def take(self) -> bytes:
        parts, self._parts, self._bytes = self._parts, [], 0
        return parts[0] if len(parts) == 1 else b"".join(parts)

    # The hub's.

    def offer(self, frame: bytes) -> bool:
        """False: no room."""
        if self._bytes + len(frame) > READER_BYTES_MAX:
            return False
        self._parts.append(frame)
        self._bytes += len(frame)
        self._on_ready()
        return True

    def end(self, frame: bytes = b"") -> None:
        """What was not sent yet is worth nothing any more."""
        self._parts, self._bytes, self.is_over = [frame], len(frame), True
        self._on_ready()


class Hub:
    """All streams of one life; ids of another life mean nothing to it."""

    def __init__(self, life: str) -> None:
        self._life = life
        self._number = 0  # of the newest event
        self._kept: deque[tuple[int, StreamEvent]] = deque()
        self._changes_kept = 0
        self._readers: set[Subscriber] = set()
        self.resyncs = 0
        """Readers that were told to resynchronise."""

    @property
    def newest_id(self) -> str:
        """Whoever knows everything up to now says so by this."""
        return f"{self._life}-{self._number}"

    @property
    def readers(self) -> int:
        return len(self._readers)

    # -- readers -----------------------------------------------------------------------------------

    def attach(
        self, wanted: StreamFilter, last_id: str | None, on_ready: Callable[[], None], hello: bytes
    ) -> Subscriber:
        """`last_id` None: from now on. `hello` is the data of a health event: it tells a reader
        where it stands. Raises TooManyFiltersError."""
        filters = {each.wanted for each in self._readers}
        if wanted not in filters and len(filters) >= FILTERS_MAX:
            raise TooManyFiltersError
        reader = Subscriber(wanted, on_ready)
        missed = [] if last_id is None else self._behind(last_id)
        if missed is None:
            self._tell_resync(reader, "Unknown or expired Last-Event-ID; starting with a snapshot")
            return reader
        for number, event in missed:
            if not reader.offer(self._frame(number, event.data_for(wanted))):
                self._tell_resync(
                    reader, "too many events since Last-Event-ID; starting with a snapshot"
                )
                return reader
        reader.offer(framed("health", self.newest_id, hello))
        self._readers.add(reader)
        return reader

    def detach(self, reader: Subscriber) -> None:
        self._readers.discard(reader)

    def close(self) -> None:
        """Every stream ends."""
        for reader in self._readers:
            reader.end(reader.take())
        self._readers.clear()

    # -- events ------------------------------------------------------------------------------------

    def publish(self, event: StreamEvent) -> None:
        """Something happened that whoever comes back must hear of."""
        self._number += 1
        self._kept.append((self._number, event))
        self._changes_kept += event.size
        while len(self._kept) > EVENTS_KEPT_MAX or self._changes_kept > CHANGES_KEPT_MAX:
            self._changes_kept -= self._kept.popleft()[1].size
        frames: dict[StreamFilter, bytes] = {}
        for reader in tuple(self._readers):
            frame = frames.get(reader.wanted)
            if frame is None:
                frame = self._frame(self._number, event.data_for(reader.wanted))
                frames[reader.wanted] = frame
            self._send(reader, frame)

    def tell_health(self, data: bytes) -> None:
        """Is not kept: the next one says it anew."""
        frame = framed("health", self.newest_id, data)
        for reader in tuple(self._readers):
            self._send(reader, frame)

    def resync(self, reason: str) -> None:
        """Nobody can go on from what it knows: all begin with a snapshot."""
        self._number += 1
        self._kept.clear()
        self._changes_kept = 0
        for reader in tuple(self._readers):
            self._tell_resync(reader, reason)

    # -- within ------------------------------------------------------------------------------------

    def _send(self, reader: Subscriber, frame: bytes) -> None:
        if not reader.offer(frame):
            self._tell_resync(
                reader, f"this client reads too slowly: over {READER_BYTES_MAX:,} bytes are waiting"
            )

    def _tell_resync(self, reader: Subscriber, reason: str) -> None:
        self.resyncs += 1
        reader.end(framed("resync", RESYNC_ID, encode({"reason": reason})))
        self._readers.discard(reader)

    def _behind(self, last_id: str) -> Iterable[tuple[int, StreamEvent]] | None:
        """What came after that id; None: that cannot be told."""
        life, _, number = last_id.rpartition("-")
        if life != self._life or not number.isdecimal() or len(number) > 18:
            return None
        known = int(number)
        if not self._number - len(self._kept) <= known <= self._number:
            return None
        return [each for each in self._kept if each[0] > known]

    def _frame(self, number: int, data: bytes) -> bytes:
        return framed("changes", f"{self._life}-{number}", data)


def framed(kind: str, event_id: str, data: bytes) -> bytes:
    """One event as text/event-stream has it."""
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (event_id.encode(), kind.encode(), data)

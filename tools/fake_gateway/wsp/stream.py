"""Stream: puts events on the sockets, each at its own place in the one stream.

Knows transports, but neither handshakes nor HTTP. A feed remembers only how far it has got; what it
still has to get is written anew from the script, so that a slow socket costs nothing but its own
send buffer. Frames for several feeds at the same place are serialised once.
"""

from __future__ import annotations

import time
from array import array
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from tools.fake_gateway.connection import Connection
from tools.fake_gateway.ledger import Ledger, now_us
from tools.fake_gateway.pacing import Load, Pace
from tools.fake_gateway.script import WHOLE_AGENT
from tools.fake_gateway.traffic import BACKLOG_BYTES, MAX_RUNS_PER_TURN, SLOW_AFTER_S, Traffic
from tools.fake_gateway.wire import server_frame
from tools.fake_gateway.wsp.faults import broken_frame
from tools.fake_gateway.wsp.organisation import Organisation

WRITE_BYTES = 224 << 10
LEAN_FRAME_BYTES, WHOLE_FRAME_BYTES = 224, 2304
TRICKLE_EVERY_S = 0.05


@dataclass(slots=True, kw_only=True)
class HistoryInProgress:
    """Everybody's state as of event `head`, sent when the feed has reached `position`."""

    position: int
    head: int
    sequence: int
    last: array[int]
    agent: int = 0
    omitted: tuple[int, int] = (0, 0)  # these agents (first, end) are not named
    is_unsaid: bool = False  # it ends without history.complete
    part_events: int = 0  # 0: as many as fit into a write
    pause_s: float = 0.0
    next_s: float = 0.0


@dataclass(slots=True, kw_only=True)
class Trickle:
    """Slow sending."""

    until_s: float
    events: int
    next_s: float = 0.0


class Poison(NamedTuple):
    """A broken frame in front of an event, for everybody who comes to it from before."""

    number: int  # with it a block of the order begins, so that it is a position as well
    frame: str


@dataclass(slots=True, kw_only=True, eq=False)
class Feed(Connection):
    """One acknowledged socket: its place in the stream, and what it waits for."""

    socket: int
    shape: int
    position: int
    asked_from: int = 0  # the client has everything below this event
    history: HistoryInProgress | None = None
    trickle: Trickle | None = None
    poisoned: int = -1  # the number of the last poison that it met
    broken: list[str] = field(default_factory=list)  # frame faults to come, in order
    backlog: int = 0
    progress_s: float = 0.0

    @property
    def write_events(self) -> int:
        is_whole = self.shape & WHOLE_AGENT
        return WRITE_BYTES // (WHOLE_FRAME_BYTES if is_whole else LEAN_FRAME_BYTES)


class Stream(Traffic):
    def __init__(
        self,
        organisation: Organisation,
        ledger: Ledger,
        *,
        backlog_bytes: int = BACKLOG_BYTES,
        slow_after_s: float = SLOW_AFTER_S,
    ) -> None:
        super().__init__(ledger, backlog_bytes=backlog_bytes, slow_after_s=slow_after_s)
        self.organisation = organisation
        self.feeds: dict[int, Feed] = {}
        self.poisons: list[Poison] = []
        self._serialised: dict[tuple[int, int, int], tuple[bytes, int]] = {}

    @property
    def steps(self) -> int:
        return self.organisation.steps

    @property
    def listening(self) -> int:
        return len(self.feeds)

    def start_load(self, load: Load) -> None:
        self.organisation.end_block()
        super().start_load(load)

    def stop_load(self) -> None:
        if self.load is not None:
            self.organisation.end_block()
        super().stop_load()

    def change(self, agent: int, presence: int, correlation: str) -> int:
        """An update becomes an event, now; returns its number. Where no load runs it waits for no
        other event."""
        now_ns = time.time_ns()
        self._pace()  # what is due happens before, so that what follows keeps its time
        number = self.organisation.change(agent, presence, correlation, now_ns)
        if self.load is None and self.organisation.sendable <= number:
            self.organisation.end_block()
        self.wake()
        return number

    def attach(self, feed: Feed) -> None:
        feed.progress_s = time.monotonic()
        self.feeds[feed.socket] = feed
        self.wake()

    def detach(self, socket: int) -> None:
        self.feeds.pop(socket, None)

    def _has_room_everywhere(self) -> bool:
        now_s = time.monotonic()
        return bool(self.feeds) and all(
            not self._is_held(feed, now_s)
            and feed.transport.get_write_buffer_size() < self._backlog_bytes
            for feed in self.feeds.values()
        )

    def turn(self) -> bool:
        now_s = time.monotonic()
        self._serialised.clear()
        self._pace()
        is_pending = False
        for feed in list(self.feeds.values()):
            is_pending |= self._pump(feed, now_s)
        if self._is_at_full_speed:
            self._run_ahead(now_s)
        return self.load is not None or is_pending

    def _begin_pace(self, pace: Pace) -> None:
        # A renumbering may have brought a block of the order to its end already.
        number = self._number_of(pace.first)
        begun = max(0, self.organisation.head - number)
        at_ns = self._load_wall_ns + pace.offset_ns + begun * pace.step_ns
        self._begin_stretch(number + begun, at_ns, pace.step_ns)

    def _begin_stretch(self, step: int, now_ns: int, step_ns: int) -> None:
        self.organisation.begin_stretch(step, now_ns, step_ns)

    def _happen(self, steps: int) -> None:
        self.organisation.advance(max(self.organisation.head, self._number_of(steps)))

    def _number_of(self, place: int) -> int:
        """The event that is the load's own at this place: updates make some between them."""
        return self.organisation.event_log.number_of(self._load_base + place)

    def _run_ahead(self, now_s: float) -> None:
        """Full speed: as long as every feed is at the end and has room, more events happen."""
        organisation = self.organisation
        for _ in range(MAX_RUNS_PER_TURN):
            feeds = [feed for feed in self.feeds.values() if not self._is_held(feed, now_s)]
            if not feeds or not all(
                feed.history is None
                and feed.position >= organisation.sendable
                and feed.transport.get_write_buffer_size() < self._backlog_bytes
                for feed in feeds
            ):
                return
            self._put_times_right(organisation.head)
            step = min(feed.write_events for feed in feeds)
            organisation.advance(organisation.head + step)
            for feed in feeds:
                self._pump(feed, now_s)

    def _pump(self, feed: Feed, now_s: float) -> bool:
        """Writes what the feed has room for. True if it has more to get."""
        if feed.is_closing or feed.transport.is_closing():
            return False
        if self._is_held(feed, now_s) or self._trickles(feed, now_s):
            return True
        for _ in range(MAX_RUNS_PER_TURN):
            if not self._has_room(feed, now_s):
                return not feed.is_closing
            history = feed.history
            is_history = history is not None and feed.position >= history.position
            limit = history.position if history is not None else self.organisation.sendable
            if not is_history and feed.position >= limit:
                break
            if history is not None and is_history:
                if history.next_s > now_s:
                    return True
                self._send_history(feed, history, now_s)
            else:
                self._send_events(feed, limit)
        # Not of an event that another gateway epoch has numbered.
        first = self.organisation.numbering.current.first
        if feed.broken and feed.position > first and feed.history is None:
            self._send_broken(feed)
        feed.backlog = feed.transport.get_write_buffer_size()
        return feed.history is not None or feed.position < self.organisation.sendable

    def _trickles(self, feed: Feed, now_s: float) -> bool:
        """Whether the feed gets little at the moment; then it has got it."""
        trickle = feed.trickle
        if trickle is None:
            return False
        if now_s >= trickle.until_s:
            feed.trickle = None
            return False
        limit = self.organisation.sendable
        is_due = now_s >= trickle.next_s and feed.position < limit and feed.history is None
        if is_due and self._has_room(feed, now_s):
            trickle.next_s = now_s + TRICKLE_EVERY_S
            self._send_events(feed, min(limit, feed.position + trickle.events))
        return feed.history is None

    def _is_held(self, feed: Feed, now_s: float) -> bool:
        return feed.is_closing or feed.paused_until_s > now_s

    def _has_room(self, feed: Feed, now_s: float) -> bool:
        """Cuts a feed whose send buffer stays over its bound without progress."""
        backlog = feed.transport.get_write_buffer_size()
        if backlog < self._backlog_bytes:
            feed.progress_s = now_s
            return True
        if backlog < feed.backlog:
            feed.progress_s = now_s
        elif now_s - feed.progress_s > self._slow_after_s:
            feed.is_closing = True
            self.slow_cut += 1
            self._ledger.write("fault", what="slow", socket=feed.socket, at_us=now_us())
            feed.transport.abort()
        feed.backlog = backlog
        return False

    def _send_events(self, feed: Feed, limit: int) -> None:
        # Writes end at multiples of their size: feeds that were apart come together again.
        step = feed.write_events
        first, end = feed.position, min((feed.position // step + 1) * step, limit)
        if self.poisons:
            end = self._meet_poison(feed, end)
        key = (first, end, feed.shape)
        serialised = self._serialised.get(key)
        if serialised is None:
            serialised = self._serialised[key] = self.organisation.frames(first, end, feed.shape)
        frames, count = serialised
        at_us = now_us()
        feed.transport.write(frames)
        feed.position = end
        self.sent.events += count
        self._ledger.sent(feed.socket, first, end - 1, at_us)

    def _meet_poison(self, feed: Feed, end: int) -> int:
        """Writes the one that stands here; the next one bounds what may be written now."""
        for poison in self.poisons:
            number = poison.number
            if number <= feed.poisoned or number < max(feed.asked_from, feed.position):
                continue
            if number == feed.position:
                feed.poisoned = number
                self._write_broken(feed, poison.frame, number, what="poison", place=number)
            elif number < end:
                return number
        return end

    def _send_history(self, feed: Feed, history: HistoryInProgress, now_s: float) -> None:
        agents = self.organisation.settings.agents
        first, end = history.agent, history.agent + (history.part_events or feed.write_events)
        gone_first, gone_end = history.omitted
        if first < gone_first:
            end = min(end, gone_first)
        elif first < gone_end:
            first = end = gone_end  # nothing to write
        end = min(end, agents)
        at_us = now_us()
        feed.transport.write(self.organisation.writer.history(history.last, first, end, feed.shape))
        history.agent = end
        history.next_s = now_s + history.pause_s
        self.sent.history += end - first
        if end == agents:
            complete = {"type": "history.complete", "sequence": history.sequence}
            if not history.is_unsaid:
                feed.transport.write(server_frame(orjson.dumps(complete)))
            feed.history = None
        self._ledger.write(
            "history",
            socket=feed.socket,
            first=first,
            last=end - 1,
            head=history.head,
            complete=end == agents,
            said=not history.is_unsaid,
            at_us=at_us,
        )

    def _send_broken(self, feed: Feed) -> None:
        """Frame faults are made of the last event that was sent whole, and follow it."""
        number = self.organisation.order.number_at(feed.position - 1)
        for kind in feed.broken:
            self._write_broken(feed, kind, number, what=kind)
        feed.broken.clear()

    def _write_broken(self, feed: Feed, kind: str, number: int, **told: Any) -> None:
        event = self.organisation.writer.frames(number, number + 1, feed.shape)
        feed.transport.write(broken_frame(kind, event))
        self.sent.broken += 1
        self._ledger.write("fault", socket=feed.socket, at_us=now_us(), **told)

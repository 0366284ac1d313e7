"""Owns the two rings between a shard and the web child: the feed goes up, wants come down.

A shard waits for no reader. What finds no room is dropped, and the word `feed_losses` says so,
which a full ring could not; from then on nothing is told, and nothing costs anything, until
somebody wants a snapshot. It is told in the same ring, some agents between two batches, so that
it and what happens meanwhile cannot race. A life begins with a loss: what its predecessor had
committed and not told is missed by all who read along.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import structlog

from actors.messages.feed import (
    RECORD_BYTES_MAX,
    SNAPSHOT_EVERY_S,
    FrameWanted,
    SnapshotWanted,
    Tag,
    Want,
    decode_want,
)
from actors.messages.transition import Row
from actors.shard.agent_table import Agent, AgentTable
from actors.shard.journal import Transaction
from actors.shard.shard import Shard
from runtime.block import Block
from runtime.counters import Counters
from runtime.doorbell import Doorbell
from runtime.ring import KIND_CONTROL, Batch, Consumer, Producer

PART_AGENTS: Final = 256
"""Of a snapshot, between two batches: a third of a millisecond, in the cloud dialect one."""
ROWS_MAX: Final = 1_024
"""Of one record; a lost session may have made a row for every agent."""
FRAMES_WAITING_MAX: Final = 64
_ROWS: Final = int(Tag.ROWS)  # an enum costs more than the rest of a call

FEED_WORDS: Final = (
    "feed_losses",  # how often readers were to begin anew: each life of the shard, and each drop
    "feed_attached",  # 1: somebody reads along
    "feed_snapshots",  # told to their end
    "wants",
    "wants_malformed",
    "frames_fed_again",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedArguments:
    """What a shard needs to tell the web child."""

    feed: Block  # shard → web
    wants: Block  # web → shard; rings the shard


class Feed:
    """The shard's ends of the rings. All calls are the actor's, between two of its batches."""

    def __init__(self, arguments: FeedArguments, counters: Counters, generation: int) -> None:
        self.consumer = Consumer(arguments.wants, generation=generation)
        # Nobody sleeps on its doorbell: web looks at its tick, which gathers for its readers too.
        nobody = Doorbell.create("nobody")
        self._producer = Producer(arguments.feed, generation=generation, doorbell=nobody)
        self._counters = counters
        self._log = structlog.get_logger("actors.state")
        self._has_told_of_odd = False
        self._wanted = self._begun = 0
        """Numbers of snapshots."""
        self._next_snapshot_s = 0.0
        self._upto: int | None = None
        """How many agents the snapshot that runs has told; None: none runs."""
        self._scopes: Mapping[str, Any] = {}
        self._known = 0
        """Agents that readers know, or are told of by the snapshot that runs."""
        self._record_bytes = min(RECORD_BYTES_MAX, self._producer.capacity // 16)
        self._room_bytes = self._producer.capacity // 4
        """That a part of a snapshot leaves to what happens meanwhile, at least."""
        self._frames: deque[FrameWanted] = deque(maxlen=FRAMES_WAITING_MAX)
        self.is_attached = False
        """Somebody reads along, as far as we know, and has missed nothing."""
        counters.set("feed_attached", 0)
        counters.add("feed_losses")

    # --- wants -------------------------------------------------------------------------------

    def hear(self, batch: Batch) -> None:
        """Keeps what is wanted in mind; it is carried out by `tell_more` and `next_frame`."""
        self._counters.add("wants", batch.count)
        for want in self._decoded(batch):
            match want:
                case SnapshotWanted(number) if number > self._wanted:
                    self._wanted, self._upto = number, None
                case FrameWanted():
                    self._frames.append(want)

    def _decoded(self, batch: Batch) -> Iterator[Want]:
        for index in range(batch.count):
            try:
                yield decode_want(batch.frame(index))
            except ValueError as error:
                self._counters.add("wants_malformed")
                if not self._has_told_of_odd:
                    self._log.warning("feed.request_malformed", cause=str(error))
                self._has_told_of_odd = True

    def next_frame(self) -> FrameWanted | None:
        """Given once, before anybody looks at the frame: should it be fatal, then but once."""
        return self._frames.popleft() if self._frames else None

    def tell_fed(self, number: int, outcome: str, reason: str | None) -> None:
        self._stage(Tag.FED, orjson.dumps([outcome, reason]), number)
        self._producer.publish()

    def has_more(self, now_s: float) -> bool:
        """Whether `tell_more`, or a frame, has something to do now. Without room it has not: the
        reader wants again when it has made some."""
        if self._frames:
            return True
        if self._upto is None and not self._may_begin(now_s):
            return False
        return self.has_room

    # --- what is told ------------------------------------------------------------------------

    def publish(self, shard: Shard, transaction: Transaction | None) -> None:
        """Tells what was committed, or, without a journal, merged; if somebody reads along."""
        agent_table = shard.agent_table
        if not self.is_attached:
            agent_table.touched.clear()
            return
        if transaction is not None:
            rows, natives = transaction.pending.rows, transaction.pending.natives
            scopes = transaction.progress.sessions
        else:
            rows, natives = agent_table.take_rows()
            scopes = shard.sessions.to_json()
        # Who is new before their rows, and what made no row behind them: it is newer.
        newcomers = agent_table.by_id[self._known :]
        self._known += len(newcomers)
        is_told = not newcomers or self._tell(Tag.AGENTS, list(map(entry_of, newcomers)))
        if rows and is_told:
            is_told = self._tell_rows(with_natives(rows, natives) if natives else rows)
        if is_told:
            is_told = self._tell_touched(agent_table)
        if scopes != self._scopes and is_told:
            self._scopes = scopes
            is_told = self._stage(Tag.SCOPES, orjson.dumps(scopes))
        self._producer.publish()
        if not is_told:
            self._lose(agent_table)

    def tell_touched(self, agent_table: AgentTable) -> None:
        """Who has changed without a row, between two batches."""
        if not self.is_attached:
            agent_table.touched.clear()
        elif self._tell_touched(agent_table):
            self._producer.publish()
        else:
            self._lose(agent_table)

    def _tell_touched(self, agent_table: AgentTable) -> bool:
        agents = [agent_table.by_id[number - 1] for number in agent_table.touched]
        agent_table.touched.clear()
        return not agents or self._tell(Tag.AGENTS, list(map(entry_of, agents)))

    @property
    def has_room(self) -> bool:
        """For what can wait."""
        return self._producer.capacity - self._producer.used_bytes > self._room_bytes

    def tell_more(self, shard: Shard, now_s: float) -> None:
        """Begins the snapshot that is wanted, or tells the next agents of the one that runs."""
        if self._upto is None and self._may_begin(now_s):
            self._begin(shard, now_s)
        if self._upto is None:
            return
        agents = shard.agent_table.by_id
        part = agents[self._upto : self._upto + PART_AGENTS]
        if part and not self._tell(Tag.AGENTS, list(map(entry_of, part)), self._begun):
            self._producer.publish()  # told again as a whole: an agent may be told twice
            return
        self._upto += len(part)
        if self._upto == len(agents) and self._stage(Tag.SNAPSHOT_ENDS, b"null", self._begun):
            self._upto = None
            self._counters.add("feed_snapshots")
        self._producer.publish()

    def _may_begin(self, now_s: float) -> bool:
        return self._wanted > self._begun and now_s >= self._next_snapshot_s

    def _begin(self, shard: Shard, now_s: float) -> None:
        scopes = shard.sessions.to_json()
        losses = self._counters.get("feed_losses")
        if not self._stage(Tag.SNAPSHOT_BEGINS, orjson.dumps([losses, scopes]), self._wanted):
            return
        self._next_snapshot_s = now_s + SNAPSHOT_EVERY_S
        self._begun, self._upto, self._scopes = self._wanted, 0, scopes
        shard.agent_table.touched.clear()
        shard.agent_table.keep_rows()
        self._known = len(shard.agent_table.by_id)
        self.is_attached = True
        self._counters.set("feed_attached", 1)

    def _lose(self, agent_table: AgentTable) -> None:
        self.is_attached, self._upto = False, None
        agent_table.drop_rows()
        self._counters.set("feed_attached", 0)
        self._counters.add("feed_losses")

    def _tell_rows(self, rows: Sequence[tuple[Any, ...]]) -> bool:
        """A batch that fits a record, as nearly all do, in half the time: 2 µs a batch."""
        if len(rows) <= ROWS_MAX:
            payload = orjson.dumps(rows)
            if len(payload) <= self._record_bytes:
                return self._producer.stage(payload, KIND_CONTROL, flags=_ROWS)
        return self._tell(Tag.ROWS, rows)

    def _tell(self, tag: Tag, values: Sequence[Any], number: int = 0) -> bool:
        """Values in as many records as they need. False: there was no room for all."""
        return all(
            self._stage(tag, payload, number)
            for first in range(0, len(values), ROWS_MAX)
            for payload in payloads(values[first : first + ROWS_MAX], self._record_bytes)
        )

    def _stage(self, tag: Tag, payload: bytes, number: int = 0) -> bool:
        return self._producer.stage(payload, KIND_CONTROL, flags=tag, sequence=number)


def payloads(values: Sequence[Any], bytes_max: int) -> Iterator[bytes]:
    """The values as JSON, in pieces of at most that length; no value alone is longer."""
    payload = orjson.dumps(values)
    if len(payload) <= bytes_max or len(values) == 1:
        yield payload
    else:
        middle = len(values) // 2
        yield from payloads(values[:middle], bytes_max)
        yield from payloads(values[middle:], bytes_max)


def with_natives(rows: Iterable[Row], natives: Sequence[tuple[int, str]]) -> list[tuple[Any, ...]]:
    """Rows with what is behind them, which is JSON already."""
    by_row = {row: orjson.Fragment(data) for row, data in natives}
    return [(*row, by_row.get(row[0])) for row in rows]


def entry_of(agent: Agent) -> tuple[Any, ...]:
    """The fields of an `AgentEntry`: the plain tuple is half the cost."""
    native = agent.native
    return (
        agent.id,
        agent.user_id,
        agent.state,
        agent.at_us,
        agent.queue,
        agent.presence,
        agent.epoch,
        agent.sequence,
        "" if native is None else native.scope,
        0 if native is None else native.named,
        None if native is None else native.packed(),
        native is None or agent.is_placed,
    )

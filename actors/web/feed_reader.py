"""FeedReader: the web child's ends of the rings to and from the shards; knows no HTTP.

What stands in a ring when we begin was told to a predecessor: it is skipped, and each shard is
asked for a snapshot. So it is whenever something was lost, by the shard's own word for it
(`feed_losses`, which a full ring cannot keep from us), and after a record that no shard writes.
A want is told again until it is carried out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import orjson
import structlog

from actors.messages.feed import FrameWanted, SnapshotWanted, Tag, Want, encode_want
from actors.web.arguments import FeedEnds
from actors.web.read_model import ReadModel
from runtime.counters import Counters
from runtime.ring import KIND_CONTROL, Batch, Consumer, Producer

BYTES_AT_ONCE: Final = 256 << 10
"""Of one ring, before anybody else is served: some 4 ms."""
ASK_AGAIN_S: Final = 1.0
NUMBERS_PER_LIFE: Final = 1 << 32


class FeedReader:
    """Of all shards."""

    def __init__(
        self,
        feeds: Sequence[FeedEnds],
        pages: Sequence[Counters],
        model: ReadModel,
        *,
        counters: Counters,
        generation: int,
    ) -> None:
        """`pages`: of the shards."""
        self._counters = counters
        self._model = model
        self._readers = [
            ShardReader(shard, ends, page, model, counters=counters, generation=generation)
            for shard, (ends, page) in enumerate(zip(feeds, pages, strict=True))
        ]

    def look(self, now_s: float) -> bool:
        """Takes what stands in the rings, up to a bound; True if more does."""
        has_more = False
        for reader in self._readers:
            has_more |= reader.look(now_s)
        return has_more

    def show(self) -> None:
        """What others may know of it."""
        put, model = self._counters.set, self._model
        put("feed_lagging", sum(not model.is_whole(each.shard) for each in self._readers))
        put("feed_agents", len(model.agents))
        put("queues_unknown", model.unplaced)

    async def feed_again(
        self, shard: int, key: int, timeout_s: float
    ) -> tuple[str, str | None] | None:
        """Has a shard feed a frame of its quarantine again: the outcome, and why it is in
        quarantine once more. None if it does not say in time, or cannot be told now; the frame may
        be fed all the same. IndexError if there is no such shard."""
        return await self._readers[shard].feed_again(key, timeout_s)


class ShardReader:
    """Of one shard."""

    def __init__(
        self,
        shard: int,
        ends: FeedEnds,
        page: Counters,
        model: ReadModel,
        *,
        counters: Counters,
        generation: int,
    ) -> None:
        self.shard = shard
        self._page = page
        self._model = model
        self._counters = counters
        self._log = structlog.get_logger("actors.web")
        self._consumer = Consumer(ends.feed, generation=generation)
        self._producer = Producer(ends.wants, generation=generation, doorbell=ends.doorbell)
        self._number = self._frames = generation * NUMBERS_PER_LIFE
        self._asked_s = float("-inf")
        self._has_begun = False
        """The snapshot that we want."""
        self._losses = 0
        """The shard's, as that snapshot began."""
        self._fed: dict[int, asyncio.Future[tuple[str, str | None]]] = {}
        self._is_odd_told = False
        if self._consumer.published != self._consumer.cursor:
            self._consumer.skip_to(self._consumer.published)
        self._begin_anew()

    def look(self, now_s: float) -> bool:
        """Takes what stands in the ring, up to a bound; True if more does."""
        used = self._consumer.used_bytes
        batch = self._consumer.peek(bytes_max=BYTES_AT_ONCE)
        if batch is not None:
            self._take(batch)
            self._consumer.commit(batch.cursor_to)
        # After the ring: what the shard has not told by now, it has counted by now.
        if self._has_begun and self._page.get("feed_losses") != self._losses:
            self._begin_anew()
        if not self._model.is_whole(self.shard):
            has_made_room = self._has_begun and used > self._consumer.capacity // 2
            if has_made_room or now_s >= self._asked_s + ASK_AGAIN_S:
                self._asked_s = now_s
                self._want(SnapshotWanted(self._number))
        return self._consumer.used_bytes > 0

    def _begin_anew(self) -> None:
        self._model.lose(self.shard)
        self._has_begun = False
        self._number += 1
        self._asked_s = float("-inf")

    def _want(self, want: Want) -> bool:
        if not self._producer.stage(encode_want(want), KIND_CONTROL):
            return False
        self._producer.publish()
        return True

    def _take(self, batch: Batch) -> None:
        flags, sequences = batch.flags, batch.sequences
        self._counters.add("feed_records", batch.count)
        for index in range(batch.count):
            try:
                value = orjson.loads(batch.frame(index))
                self._take_one(flags[index], sequences[index], value)
            except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
                self._counters.add("feed_odd")
                if not self._is_odd_told:
                    self._is_odd_told = True
                    self._log.error("feed.invalid_record", shard=self.shard, cause=repr(error))
                self._begin_anew()

    def _take_one(self, tag: int, number: int, value: Any) -> None:
        model, shard = self._model, self.shard
        if tag == Tag.FED:
            self._hear_fed(number, *value)
        elif tag == Tag.SNAPSHOT_BEGINS:
            if number == self._number:
                self._losses, scopes = value
                self._has_begun = True
                model.begin_snapshot(shard)
                model.tell_scopes(shard, scopes)
        elif not self._has_begun:
            pass  # told to somebody who knew what was before
        elif tag == Tag.ROWS:
            model.tell_rows(shard, value)
        elif tag == Tag.AGENTS:
            model.tell_agents(shard, value)
        elif tag == Tag.SCOPES:
            model.tell_scopes(shard, value)
        elif tag == Tag.SNAPSHOT_ENDS:
            if number == self._number:
                model.end_snapshot(shard)
                self._counters.add("feed_snapshots")
        else:
            raise ValueError(f"a record of kind {tag}")

    async def feed_again(self, key: int, timeout_s: float) -> tuple[str, str | None] | None:
        self._frames += 1
        number = self._frames
        if not self._want(FrameWanted(number, key)):
            return None
        answer: asyncio.Future[tuple[str, str | None]]
        answer = asyncio.get_running_loop().create_future()
        self._fed[number] = answer
        try:
            await asyncio.wait({answer}, timeout=timeout_s)
            return answer.result() if answer.done() else None
        finally:
            del self._fed[number]

    def _hear_fed(self, number: int, outcome: str, reason: str | None) -> None:
        answer = self._fed.get(number)
        if answer is not None and not answer.done():
            answer.set_result((outcome, reason))

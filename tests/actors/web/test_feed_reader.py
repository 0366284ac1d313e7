"""The web child's end of a feed: what it asks, how often, and what it makes of odd records."""

from __future__ import annotations

import asyncio

import orjson

from actors.messages.feed import FrameWanted, SnapshotWanted, Tag, Want, decode_want
from actors.web.arguments import WEB_WORDS, FeedEnds
from actors.web.feed_reader import ASK_AGAIN_S, ShardReader
from actors.web.read_model import ReadModel
from runtime.block import Block
from runtime.counters import Counters
from runtime.doorbell import Doorbell
from runtime.ring import KIND_CONTROL, Consumer, Producer, ring_bytes

KEY = -77


class Shard:
    """The other end."""

    def __init__(self, wants_bytes: int = 1 << 12) -> None:
        self.page = Counters.create("shard-0", ("feed_losses",))
        self.web_page = Counters.create("web", WEB_WORDS)
        bell = Doorbell.create("shard-0")
        self.ends = FeedEnds(
            feed=Block.create("feed", ring_bytes(1 << 16)),
            wants=Block.create("wants", ring_bytes(wants_bytes)),
            doorbell=bell,
        )
        self._producer = Producer(self.ends.feed, generation=1, doorbell=bell)
        self._consumer = Consumer(self.ends.wants, generation=1)

    def reader(self, generation: int = 1) -> ShardReader:
        self.model = ReadModel(1)
        return ShardReader(
            0, self.ends, self.page, self.model, counters=self.web_page, generation=generation
        )

    def tell(self, tag: Tag, payload: bytes, number: int = 0) -> None:
        assert self._producer.stage(payload, KIND_CONTROL, flags=tag, sequence=number)
        self._producer.publish()

    def tell_all(self, number: int, *user_ids: str) -> None:
        """A whole snapshot."""
        agents = [
            [place, user_id, "Available", 1, None, None, 1, 1, "", 0, None, True]
            for place, user_id in enumerate(user_ids, 1)
        ]
        losses = self.page.get("feed_losses")
        self.tell(Tag.SNAPSHOT_BEGINS, orjson.dumps([losses, {}]), number)
        self.tell(Tag.AGENTS, orjson.dumps(agents), number)
        self.tell(Tag.SNAPSHOT_ENDS, b"null", number)

    def wants(self) -> list[Want]:
        batch = self._consumer.peek()
        if batch is None:
            return []
        wants = [decode_want(batch.frame(index)) for index in range(batch.count)]
        self._consumer.commit(batch.cursor_to)
        return wants

    def wanted(self) -> int:
        """The number of the one snapshot that is wanted."""
        (want,) = self.wants()
        assert isinstance(want, SnapshotWanted)
        return want.number


def test_it_asks_at_once_and_again_until_a_snapshot_is_whole() -> None:
    shard = Shard()
    reader = shard.reader()
    reader.look(10.0)
    number = shard.wanted()
    reader.look(10.5)
    assert shard.wants() == []
    reader.look(10.0 + ASK_AGAIN_S)
    assert shard.wanted() == number
    shard.tell_all(number, "a", "b")
    reader.look(11.1)
    assert set(shard.model.agents) == {"a", "b"}
    assert shard.model.is_whole(0)
    reader.look(20.0)
    assert shard.wants() == []


def test_what_was_told_to_a_predecessor_is_skipped_and_its_numbers_are_not_ours() -> None:
    shard = Shard()
    shard.reader(1).look(10.0)
    theirs = shard.wanted()
    shard.tell_all(theirs, "a")
    successor = shard.reader(2)
    shard.tell_all(theirs, "a")
    successor.look(10.0)
    assert shard.model.agents == {}
    ours = shard.wanted()
    assert ours > theirs
    shard.tell_all(ours, "b")
    successor.look(10.1)
    assert set(shard.model.agents) == {"b"}


def test_a_loss_is_known_by_the_shards_word_though_no_record_says_so() -> None:
    shard = Shard()
    reader = shard.reader()
    reader.look(10.0)
    number = shard.wanted()
    shard.tell_all(number, "a")
    reader.look(10.1)
    shard.page.add("feed_losses")
    reader.look(10.2)
    assert not shard.model.is_whole(0)
    assert shard.wanted() == number + 1
    assert set(shard.model.agents) == {"a"}, "it is shown as it was, and said to lag"


def test_an_odd_record_is_counted_and_costs_a_snapshot_and_no_more() -> None:
    shard = Shard()
    reader = shard.reader()
    reader.look(10.0)
    number = shard.wanted()
    shard.tell_all(number, "a")
    shard.tell(Tag.ROWS, b"[[1]]")
    shard.tell(Tag.ROWS, b"{")
    reader.look(10.1)
    assert shard.web_page.get("feed_odd") >= 1
    assert not shard.model.is_whole(0)
    newest = shard.wanted()
    assert newest > number
    shard.tell_all(newest, "a")
    reader.look(10.2)
    assert shard.model.is_whole(0)


def test_a_frame_is_fed_and_its_outcome_told_to_whoever_asked() -> None:
    shard = Shard()
    reader = shard.reader()

    async def ask() -> tuple[str, str | None] | None:
        asking = asyncio.ensure_future(reader.feed_again(KEY, 10.0))
        await asyncio.sleep(0)
        (want,) = shard.wants()
        assert isinstance(want, FrameWanted)
        assert want.key == KEY
        shard.tell(Tag.FED, b'["applied",null]', want.number + 1)  # somebody else's
        shard.tell(Tag.FED, b'["quarantined","why"]', want.number)
        reader.look(10.0)
        return await asking

    assert asyncio.run(ask()) == ("quarantined", "why")


def test_a_shard_that_says_nothing_or_has_no_room_is_not_waited_for() -> None:
    shard = Shard(wants_bytes=128)
    reader = shard.reader()
    assert asyncio.run(reader.feed_again(KEY, 0.01)) is None
    assert len(shard.wants()) == 1
    while reader._want(FrameWanted(1, KEY)):
        pass
    assert asyncio.run(reader.feed_again(KEY, 10.0)) is None

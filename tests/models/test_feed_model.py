"""The feed and its reader: whenever the model says that it is in step, it shows what the shard held
when it wrote the last record that was read.

A shard, a small ring and a reader, and what may happen to them: kills of either at any step, a
reader that does not read, a full ring, snapshots between and behind batches, broken records.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from actors.messages.control import SCOPE_ALL, Dialect, HistoryEnds, SessionBegins, SessionEnds
from actors.messages.feed import Tag
from actors.shard import feed as shard_feed
from actors.shard.agent_table import Agent
from actors.shard.feed import FEED_WORDS, Feed, FeedArguments
from actors.shard.journal import Journal, Transaction, prepare
from actors.shard.native import native_json
from actors.shard.shard import Shard
from actors.web.arguments import WEB_WORDS, FeedEnds
from actors.web.feed_reader import ShardReader
from actors.web.read_model import AgentView, ReadModel
from runtime.block import Block
from runtime.counters import Counters
from runtime.doorbell import Doorbell
from runtime.ring import KIND_CONTROL, ring_bytes
from tests.actors.shard import cloud_lending as cloud
from tests.actors.shard.lending import Record, batch, control, event
from tests.models.test_cloud_merge_model import live_part, live_whole, told_whole

USERS = tuple(f"agent-{number}" for number in range(7))
STATES = ("Available", "Talking", "Not Available")
QUEUES = (None, "sales", "service")
RUN = "run-1"
RING_BYTES = 8 << 10
PART_AGENTS = 2
PATIENCE = 60
"""Looks of a reader that is served, until it must know everything."""

Shown = dict[str, tuple[Any, ...]]

users = st.sampled_from(USERS)
seconds = st.sampled_from([1.0, 2.0, 2.067, 3.0, 4.001, 5.0])
seldom = st.integers(0, 3).map(lambda drawn: drawn == 3)
deaths = st.sampled_from([""] * 14 + ["before the commit", "before it is told"])


class FeedModel(RuleBasedStateMachine):
    """`restart` leaves what a kill leaves: rings, page and journal."""

    dialect: Dialect = "wsp"
    is_journalled = True

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._patch = mock.patch.object(shard_feed, "PART_AGENTS", PART_AGENTS)
        self._patch.start()
        self._path = Path(self._folder.name) / "shard-00.db"
        prepare(self._path, RUN)
        self.arguments = FeedArguments(
            feed=Block.create("feed", ring_bytes(RING_BYTES)),
            wants=Block.create("wants", ring_bytes(RING_BYTES)),
        )
        self.page = Counters.create("shard-0", FEED_WORDS)
        self.web_page = Counters.create("web", WEB_WORDS)
        self.doorbell = Doorbell.create("shard-0")
        self.now_s = 100.0
        self.sequence = self.sessions = 0
        self.shard_lives = self.web_lives = 0
        self.journal: Journal | None = None
        self.told: dict[int, Shown] = {}
        """By the ring's cursor, what the shard showed when it had written up to there."""
        self.shard_starts()
        self.web_starts()

    def teardown(self) -> None:
        try:
            self.all_goes_well(PATIENCE)
            assert self.model.is_whole(0), "it never came into step"
            assert self.shown_by_model() == self.shown_by_shard()
        finally:
            self._patch.stop()
            if self.journal is not None:
                self.journal.close()
            self._folder.cleanup()

    # --- the shard ---------------------------------------------------------------------------

    def shard_starts(self) -> None:
        self.shard_lives += 1
        if self.journal is not None:
            self.journal.close()
            self.journal = None
        self.feed = Feed(self.arguments, self.page, self.shard_lives)
        self.shard = Shard(
            0, 1, rings=1, now_s=self.now_s, journalled=self.is_journalled, dialect=self.dialect
        )
        if self.is_journalled:
            self.journal = Journal(self._path, RUN, self.dialect)
            self.shard.restore(self.journal, self.now_s, lambda: None)

    def shard_takes(self, death: str, *records: Record) -> None:
        self.shard.take(batch(records), self.now_s)
        if death == "before the commit":
            self.shard_starts()
            return
        transaction: Transaction | None = None
        if self.journal is not None:
            transaction = self.shard.prepare(self.now_s)
            self.journal.commit(transaction)
            self.shard.committed(transaction, 1)
        if death:
            self.shard_starts()
            return
        self.feed.publish(self.shard, transaction)
        self.has_told()

    def has_told(self) -> None:
        self.told[self.published] = self.shown_by_shard()

    @property
    def published(self) -> int:
        return self.reader._consumer.published

    def shown_by_shard(self) -> Shown:
        return {
            agent.user_id: (
                agent.state,
                agent.at_us,
                agent.queue,
                agent.presence,
                (agent.epoch, agent.sequence),
                self.shard.sessions.stale_of(agent),
                _native(agent),
            )
            for agent in self.shard.agent_table.by_id
            if agent.state is not None
        }

    @rule(happens=seldom)
    def shard_is_killed(self, happens: bool) -> None:
        if happens:
            self.shard_starts()

    @rule()
    def shard_listens(self) -> None:
        wants = self.feed.consumer.peek()
        if wants is not None:
            self.feed.hear(wants)
            self.feed.consumer.commit(wants.cursor_to)

    @rule(parts=st.integers(1, 4))
    def snapshot_goes_on(self, parts: int) -> None:
        for _ in range(parts):
            if self.feed.has_more(self.now_s):
                self.feed.tell_more(self.shard, self.now_s)
                self.has_told()

    @rule(passed_s=st.sampled_from([0.5, 2.5]))
    def time_passes(self, passed_s: float) -> None:
        self.now_s += passed_s

    # --- the reader --------------------------------------------------------------------------

    @rule(happens=seldom)
    def web_is_killed(self, happens: bool) -> None:
        if happens:
            self.web_starts()

    def web_starts(self) -> None:
        self.web_lives += 1
        self.model = ReadModel(1, self.dialect)
        self.heard: Shown = {}
        self.reader = ShardReader(
            0,
            FeedEnds(feed=self.arguments.feed, wants=self.arguments.wants, doorbell=self.doorbell),
            self.page,
            self.model,
            counters=self.web_page,
            generation=self.web_lives,
        )
        self.check()

    @rule()
    def reader_looks(self) -> None:
        self.reader.look(self.now_s)
        self.check()

    @rule()
    def reader_looks_at_one_record(self) -> None:
        with mock.patch("actors.web.feed_reader.BYTES_AT_ONCE", 1):
            self.reader_looks()

    @rule(rounds=st.integers(1, 8))
    def all_goes_well(self, rounds: int) -> None:
        for _ in range(rounds):
            self.now_s += 0.5
            self.shard_listens()
            self.snapshot_goes_on(2)
            self.reader_looks()

    @rule(payload=st.sampled_from([b"{", b"[[1]]", b'{"all": 3}']), tag=st.sampled_from(Tag))
    def shard_writes_nonsense(self, payload: bytes, tag: Tag) -> None:
        if tag != Tag.SNAPSHOT_BEGINS:
            self.feed._producer.stage(payload, KIND_CONTROL, flags=tag)
        self.feed._producer.publish()
        self.has_told()

    def check(self) -> None:
        for view in self.model.take_changes():
            self.heard[view.user_id] = self.as_heard(view)
        shown = {view.user_id: self.as_heard(view) for view in self.model.agents.values()}
        assert {user_id: self.heard.get(user_id) for user_id in shown} == shown
        self.heard = shown
        cursor = self.reader._consumer.cursor
        if self.model.is_whole(0) and cursor in self.told:
            assert self.shown_by_model() == self.told[cursor]
        views = self.model.agents.values()
        assert self.model.by_state == Counter(view.state for view in views)
        by_queue: dict[str, Counter[str]] = {}
        for view in views:
            if view.queue is not None:
                by_queue.setdefault(view.queue, Counter())[view.state] += 1
        assert self.model.by_queue == by_queue

    def as_heard(self, view: AgentView) -> tuple[Any, ...]:
        """As whoever hears of changes alone knows it; of one session for all, health tells."""
        is_stale = self.dialect == "cloud" and self.model.stale_since_us(view) is not None
        return (view.state, view.since_us, view.queue, view.presence, view.native, is_stale)

    def shown_by_model(self) -> Shown:
        return {
            user_id: (
                view.state,
                view.since_us,
                view.queue,
                view.presence,
                (view.epoch, view.sequence),
                self.model.stale_since_us(view),
                view.native,
            )
            for user_id, view in self.model.agents.items()
        }


def _native(agent: Agent) -> dict[str, Any] | None:
    if agent.native is None:
        return None
    return native_json(agent.native)


class WspFeed(FeedModel):
    @rule(
        death=deaths,
        changes=st.lists(st.tuples(users, st.sampled_from(STATES), st.sampled_from(QUEUES))),
        behind=st.sampled_from([0, 0, 0, 3]),
    )
    def agents_change(
        self, death: str, changes: list[tuple[str, str, str | None]], behind: int
    ) -> None:
        """`behind`: so much older than those before."""
        records = []
        for user, state, queue in changes:
            self.sequence += 1
            number = max(1, self.sequence - behind)
            stamp = f"2026-11-21T22:{number // 60 % 60:02}:{number % 60:02}.000Z"
            told: dict[str, Any] = {} if queue is None else {"queueId": queue}
            records.append(event(self.sequence, user, state, stamp, **told))
        self.shard_takes(death, *records)

    @initialize()
    def first_session(self) -> None:
        self.session_begins("")
        self.history_is_told("", list(USERS[:5]))
        self.all_goes_well(8)

    @rule(first=st.integers(0, 6), count=st.integers(10, 80))
    def so_many_change_that_the_ring_is_full(self, first: int, count: int) -> None:
        changes = [(USERS[(first + n) % 7], STATES[n % 3], QUEUES[n % 2]) for n in range(count)]
        self.agents_change("", changes, 0)

    @rule(death=deaths)
    def session_begins(self, death: str) -> None:
        self.sessions += 1
        begins = SessionBegins(self.sessions, SCOPE_ALL, 1, "", self.sequence, None, self.at_us)
        self.shard_takes(death, control(begins))

    @rule(death=deaths, named=st.lists(users))
    def history_is_told(self, death: str, named: list[str]) -> None:
        """Whoever is not named becomes Unknown: rows of another kind, and many at once."""
        records = [event(max(1, self.sequence), user, history=True) for user in named]
        ends = HistoryEnds(self.sessions, SCOPE_ALL, True, self.at_us)
        self.shard_takes(death, *records, control(ends))

    @rule(death=deaths)
    def session_ends(self, death: str) -> None:
        ends = SessionEnds(self.sessions, SCOPE_ALL, "closed", self.at_us)
        self.shard_takes(death, control(ends))

    @property
    def at_us(self) -> int:
        return 5_000_000 + self.sequence


class WspFeedWithoutJournal(WspFeed):
    is_journalled = False


scopes = st.sampled_from((cloud.SCOPE, cloud.OTHER_SCOPE))


class CloudFeed(FeedModel):
    dialect: Dialect = "cloud"

    def __init__(self) -> None:
        self.session_of: dict[str, int] = {}
        super().__init__()

    @initialize()
    def all_are_watched(self) -> None:
        self.session_begins("", cloud.SCOPE)
        self.session_begins("", cloud.OTHER_SCOPE)
        for user in USERS[:5]:
            self.agent_is_watched("", user, cloud.SCOPE)
            self.snapshot_arrives("", user, 1.0, 1.0)
        self.all_goes_well(8)

    @rule(death=deaths, scope=scopes)
    def session_begins(self, death: str, scope: str) -> None:
        self.sessions += 1
        self.session_of[scope] = self.sessions
        self.shard_takes(death, cloud.begins(self.sessions, scope))

    @rule(death=deaths, scope=scopes)
    def history_ends(self, death: str, scope: str) -> None:
        self.shard_takes(death, cloud.ends_history(self.session_of[scope], scope))

    @rule(death=deaths, scope=scopes)
    def session_ends(self, death: str, scope: str) -> None:
        self.shard_takes(death, cloud.ends(self.session_of[scope], scope))

    @rule(death=deaths, user=users, scope=scopes)
    def agent_is_watched(self, death: str, user: str, scope: str) -> None:
        self.shard_takes(death, cloud.watches(user, scope))

    @rule(death=deaths, user=users, scope=scopes)
    def agent_is_left(self, death: str, user: str, scope: str) -> None:
        self.shard_takes(death, cloud.unwatches(user, scope))

    @rule(death=deaths, told=st.lists(st.tuples(users, seconds, seconds, seconds), max_size=5))
    def events_arrive(self, death: str, told: list[tuple[str, float, float, float]]) -> None:
        self.shard_takes(death, *(live_whole(*each, self.sessions) for each in told))

    @rule(death=deaths, user=users, p=seconds, r=seconds)
    def snapshot_arrives(self, death: str, user: str, p: float, r: float) -> None:
        self.shard_takes(death, told_whole(user, p, r, self.sessions))

    @rule(death=deaths, user=users, name=st.sampled_from(("presence_s", "routing_s")), s=seconds)
    def part_arrives(self, death: str, user: str, name: str, s: float) -> None:
        self.shard_takes(death, live_part(user, name, s))


class CloudFeedWithoutJournal(CloudFeed):
    is_journalled = False


TestWspFeed = WspFeed.TestCase
TestWspFeedWithoutJournal = WspFeedWithoutJournal.TestCase
TestCloudFeed = CloudFeed.TestCase
TestCloudFeedWithoutJournal = CloudFeedWithoutJournal.TestCase
TestWspFeed.settings = TestWspFeedWithoutJournal.settings = TestCloudFeed.settings = (
    TestCloudFeedWithoutJournal.settings
) = settings(max_examples=40, stateful_step_count=40, deadline=None)

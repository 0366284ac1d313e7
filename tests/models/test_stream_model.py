"""Readers of the stream against the model itself: whatever they miss, they end equal to it."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from actors.web import board, hub
from actors.web.hub import EVERYTHING, StreamFilter
from actors.web.names import Names
from tests.actors.web.telling import START_US, Page, Told, entry, shown_of

USERS = tuple(f"user-{n}" for n in range(12))
STATES = ("Available", "Talking", "Wrapped Up")
SHARDS = 2
QUEUES = ("north", "south", "east", "west", None, '["east","north"]', '["north","south"]')
FILTERS = (
    EVERYTHING,
    StreamFilter(queues=frozenset({"north"})),
    StreamFilter(states=frozenset({"Talking", "Wrapped Up"})),
    StreamFilter(frozenset({"north", "south"}), frozenset({"Available"})),
)
CHANGES_MAX = 6
_SOME_PAGES = st.sets(st.integers(0, len(FILTERS) - 1), min_size=1)
SWEEP_S = 1.5
"""After that much time all that is stale by itself was looked at."""


class Readers(RuleBasedStateMachine):
    """One hub, some pages, and a shard that tells whatever it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.told = Told(shards=SHARDS)
        self.lives = 0
        self.pages: list[Page] = []

    @initialize()
    def begin(self) -> None:
        for shard in range(SHARDS):
            self.hold(shard, gone=None)
            self.told.session(shard=shard)
        self.told.tick()
        self.pages = [Page(self.told, wanted) for wanted in FILTERS]

    # -- the shards --------------------------------------------------------------------------------

    @rule(
        users=st.sets(st.sampled_from(USERS), min_size=1, max_size=3),
        state=st.sampled_from(STATES),
        queue=st.sampled_from(QUEUES),
        is_told=st.booleans(),
    )
    def move(self, users: set[str], state: str, queue: str | None, is_told: bool) -> None:
        for user in sorted(users & self.told.model.agents.keys()):
            self.told.move(user, state, queue)
        if is_told:
            self.told.tick()

    @rule(is_up=st.booleans(), shard=st.integers(0, SHARDS - 1))
    def session(self, is_up: bool, shard: int) -> None:
        self.told.session(None if is_up else START_US, shard=shard)

    @rule(
        what=st.sampled_from(("everyone", "hold", "restart", "queues")),
        n=st.integers(0, 20),
        luck=st.integers(0, 5),
    )
    def disturb(self, what: str, n: int, luck: int) -> None:
        """What makes readers begin anew: so seldom that they have something to go on with."""
        if luck != 1:
            return
        if what == "everyone":
            self.move(set(USERS), STATES[n % len(STATES)], QUEUES[n % len(QUEUES)], is_told=True)
        elif what == "hold":
            self.hold(n % SHARDS, gone=USERS[n] if n < len(USERS) else None)
        elif what == "restart":
            self.restart()
        else:
            self.rename(set(), queue=True)

    def hold(self, shard: int, gone: str | None) -> None:
        """Everyone but one; each is where it was, or begins."""
        agents, entries = self.told.model.agents, []
        for number, user in enumerate(USERS, 1):
            if user == gone or number % SHARDS != shard:
                continue
            view = agents.get(user)
            if view is None:
                entries.append(entry(number, user, "Available", "north", at_us=START_US))
            else:
                at_us = view.since_us
                entries.append(entry(number, user, view.state, view.queue, at_us=at_us))
        self.told.hold(*entries, shard=shard)

    # -- the web child -----------------------------------------------------------------------------

    @rule(seconds=st.sampled_from((0.1, SWEEP_S)))
    def tick(self, seconds: float) -> None:
        self.told.tick(seconds)

    @rule(named=st.sets(st.sampled_from(USERS), max_size=3))
    def rename(self, named: set[str], queue: bool = False) -> None:
        users = {user: f"Mx {user}" for user in named}
        self.told.board.name_all(Names(users, {"north": "North"} if queue else {}))

    def restart(self) -> None:
        names = self.told.board.names
        self.lives += 1
        self.told.begin_life(f"life-{self.lives}")
        self.told.board.name_all(names)
        self.told.tick()
        for page in self.pages:
            page.reader = None

    # -- pages -------------------------------------------------------------------------------------

    @rule(pages=_SOME_PAGES)
    def read(self, pages: set[int]) -> None:
        for page in pages:
            if self.pages[page].reader is None:
                self.pages[page].connect()
            self.pages[page].read()

    @rule(pages=_SOME_PAGES)
    def drop(self, pages: set[int]) -> None:
        for page in pages:
            self.pages[page].drop()

    # -- what must hold ----------------------------------------------------------------------------

    @invariant()
    def nobody_is_owed_more_than_the_bound(self) -> None:
        for page in self.pages:
            if page.reader is not None:
                assert page.reader.unsent_bytes <= hub.READER_BYTES_MAX

    def teardown(self) -> None:
        for _ in range(SHARDS * len(USERS) // CHANGES_MAX + 2):
            self.told.tick(SWEEP_S)
        for page in self.pages:
            if page.reader is None:
                page.connect()
            page.read()
            assert page.agents == shown_of(self.told, page.wanted), page.wanted


def test_two_shards_that_change_places_between_two_ticks_are_both_told() -> None:
    readers = Readers()
    readers.begin()
    readers.session(is_up=False, shard=0)
    readers.tick(0.1)
    readers.session(is_up=False, shard=1)
    readers.session(is_up=True, shard=0)
    readers.teardown()


def test_a_reader_ends_equal_to_the_model_whatever_it_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(board, "CHANGES_MAX", CHANGES_MAX)
    monkeypatch.setattr(board, "SPARE_QUEUES_MAX", 0)
    monkeypatch.setattr(hub, "READER_BYTES_MAX", 2_000)
    monkeypatch.setattr(hub, "EVENTS_KEPT_MAX", 4)
    monkeypatch.setattr(hub, "CHANGES_KEPT_MAX", 8)
    run_state_machine_as_test(
        Readers, settings=settings(max_examples=150, stateful_step_count=40, deadline=None)
    )

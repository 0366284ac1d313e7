"""A shard against the plainest implementation of the same rules, with kills as rules of the model.

The plain one keeps everything for ever in dictionaries and is restarted by nothing.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.genesys.times import iso_ms
from actors.messages.control import UNKNOWN
from tests.actors.shard.lending import batch, event
from tests.actors.shard.rig import Rig

USERS = ("user-a", "user-b", "user-c")
STATES = ("Available", "Talking", "Reserved")
START_US = 1_795_000_000_000_000


@dataclass
class Plain:
    """The rules of the merge, as one would write them on paper."""

    held: dict[str, tuple[str, int, int]] = field(default_factory=dict)  # state, at, sequence
    handled: set[int] = field(default_factory=set)
    seen: set[tuple[str, str, int]] = field(default_factory=set)
    rows: list[tuple[str, str, int, str]] = field(default_factory=list)

    def live(self, sequence: int, user: str, state: str, at_us: int) -> None:
        if sequence in self.handled:
            return
        self.handled.add(sequence)
        held = self.held.get(user)
        if held is None:
            self._apply(sequence, user, state, at_us, "live")
            return
        held_state, held_at, held_sequence = held
        is_known = held_state != UNKNOWN
        if is_known and (user, state, at_us) in self.seen and at_us < held_at:
            return
        if is_known and (state, at_us) == (held_state, held_at):
            return
        self.seen.add((user, state, at_us))
        if sequence < held_sequence:
            self.rows.append((user, state, sequence, "late"))
        else:
            self._apply(sequence, user, state, at_us, "live")

    def history(self, sequence: int, user: str, state: str, at_us: int) -> None:
        held = self.held.get(user)
        if held is None or held[0] == UNKNOWN or sequence > held[2]:
            self._apply(sequence, user, state, at_us, "history")

    def lose(self, user: str, at_us: int) -> None:
        state, _, sequence = self.held[user]
        if state != UNKNOWN:
            self.rows.append((user, UNKNOWN, sequence, "lost"))
            self.held[user] = (UNKNOWN, at_us, sequence)

    def _apply(self, sequence: int, user: str, state: str, at_us: int, cause: str) -> None:
        self.rows.append((user, state, sequence, cause))
        if cause == "live":
            self.seen.add((user, state, at_us))
        last = self.held[user][2] if user in self.held else 0
        self.held[user] = (state, at_us, max(sequence, last))


class ShardModel(RuleBasedStateMachine):
    """Events in any order, doubled and late; histories; kills before and after a commit."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.rig = Rig(Path(self._folder.name) / "shard-00.db")
        self.plain = Plain()
        self.session = 0
        self.history_runs = False
        self.named: set[str] = set()

    def teardown(self) -> None:
        self.rig.journal.close()
        self._folder.cleanup()

    @initialize()
    def first_session(self) -> None:
        self.begin_session()

    @rule(
        sequence=st.integers(1_001, 1_030),
        user=st.sampled_from(USERS),
        state=st.sampled_from(STATES),
        second=st.integers(0, 20),
        is_killed=st.booleans(),
        presence=st.sampled_from([None, "busy"]),
    )
    def event_arrives(  # noqa: PLR0917
        self,
        sequence: int,
        user: str,
        state: str,
        second: int,
        is_killed: bool,
        presence: str | None,
    ) -> None:
        at_us = START_US + second * 1_000_000
        record = event(sequence, user, state, iso_ms(at_us))
        if presence is not None:  # the exact way, not the usual one
            record = event(sequence, user, state, iso_ms(at_us), presence=presence)
        if is_killed:  # between merge and commit: the batch is met again
            self.rig.shard.take(batch([record]), self.rig.now_s)
            self.rig.shard.prepare(self.rig.now_s)
            self.restart()
        self.rig.feed(record)
        self.plain.live(sequence, user, state, at_us)

    @rule(
        sequence=st.integers(1, 1_000),
        user=st.sampled_from(USERS),
        state=st.sampled_from(STATES),
        second=st.integers(0, 20),
    )
    def history_names(self, sequence: int, user: str, state: str, second: int) -> None:
        at_us = START_US + second * 1_000_000
        self.rig.feed(event(sequence, user, state, iso_ms(at_us), history=True))
        self.plain.history(sequence, user, state, at_us)
        self.named.add(user)

    @rule()
    def begin_session(self) -> None:
        self.session += 1
        self.rig.begin(session=self.session, newest=1_000)
        self.history_runs, self.named = True, set()

    @rule(late_by=st.integers(0, 1))
    def end_history(self, late_by: int) -> None:
        session = self.session - late_by
        self.rig.end_history(session)
        if late_by or not self.history_runs:
            return
        self.history_runs = False
        for user, (_, _, sequence) in list(self.plain.held.items()):
            if user not in self.named and sequence <= 1_000:
                self.plain.lose(user, 6_000_000)

    @rule()
    def restart(self) -> None:
        self.rig.restart()
        if self.history_runs:  # who was named is forgotten: this history may end nothing
            assert self.rig.shard.sessions.wants_history
            self.history_runs = False

    @rule()
    def checkpoint(self) -> None:
        self.rig.commit(finish=True)

    @precondition(lambda self: self.plain.rows)
    @rule()
    def time_passes(self) -> None:
        self.rig.now_s += 25.0
        self.rig.commit()

    @invariant()
    def both_hold_the_same(self) -> None:
        held = {
            agent.user_id: (agent.state, agent.at_us, agent.sequence)
            for agent in self.rig.shard.agent_table.by_id
        }
        assert held == self.plain.held

    @invariant()
    def the_journal_has_the_same_rows(self) -> None:
        users = dict(self.rig.journal.agents())
        rows = [(users[r.agent], r.to_state, r.sequence, r.cause) for r in self.rig.rows()]
        assert rows == self.plain.rows

    @invariant()
    def the_sum_is_exact(self) -> None:
        counts = dict(self.rig.shard.merge.counts)
        assert counts.pop("received") == sum(counts.values())


TestShardModel = ShardModel.TestCase
TestShardModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)

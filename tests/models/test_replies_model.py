"""A shard's watches against a plain list of what was renewed and what was committed.

The sender renews, forgets, or dies; the shard commits, or dies with all its memory but the journal.
"""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.genesys.presences import PRESENCE_OF_STATE
from actors.messages.queries import WATCH_LEASE_S, Answer, TransitionSeen, Watch
from actors.shard.agent_table import AgentTable, Correlated
from actors.shard.replies import Replies

KEYS = st.tuples(st.sampled_from(("u1", "u2")), st.sampled_from(("c1", "c2", "c3")))


class Watching(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.replies = Replies(PRESENCE_OF_STATE)
        self.journal: list[Correlated] = []
        self.renewed: dict[tuple[str, str], float] = {}

    def told(self, answers: Sequence[Answer]) -> list[tuple[str, str, int]]:
        assert all(isinstance(each, TransitionSeen) for each in answers)
        return [(each.user_id, each.correlation, each.at_us) for each in answers]  # type: ignore[union-attr]

    def newest(self, key: tuple[str, str]) -> list[tuple[str, str, int]]:
        rows = [row for row in self.journal if (row.user_id, row.correlation) == key]
        return [(*key, rows[-1].at_us)] if rows else []

    @rule(key=KEYS)
    def the_sender_renews(self, key: tuple[str, str]) -> None:
        answers = list(self.replies.answer([Watch(*key)], AgentTable(), None, self.now_s))
        assert self.told(answers) == self.newest(key)
        self.renewed.pop(key, None)
        if not answers:
            self.renewed[key] = self.now_s

    @rule(keys=st.lists(KEYS, max_size=3))
    def a_batch_is_committed(self, keys: list[tuple[str, str]]) -> None:
        rows = [
            Correlated(*key, "Talking", None, len(self.journal) + n) for n, key in enumerate(keys)
        ]
        waited_for = {
            key for key, at_s in self.renewed.items() if at_s + WATCH_LEASE_S > self.now_s
        }
        told = self.told(self.replies.note(rows))
        self.journal += rows
        heard = [key for *key, _ in told]
        assert len(heard) == len({*map(tuple, heard)}), "one renewal was answered twice"
        assert {*map(tuple, heard)} >= waited_for & set(keys)
        assert {*map(tuple, heard)} <= set(self.renewed) & set(keys)
        for key in keys:
            self.renewed.pop(key, None)

    @rule(passed_s=st.sampled_from((0.5, 4.0, 11.0)))
    def time_passes(self, passed_s: float) -> None:
        self.now_s += passed_s
        self.replies.forget_unrenewed(self.now_s)
        self.renewed = {
            key: at_s for key, at_s in self.renewed.items() if at_s + WATCH_LEASE_S > self.now_s
        }

    @rule()
    def the_shard_dies(self) -> None:
        self.replies = Replies(PRESENCE_OF_STATE)
        assert self.replies.note(self.journal) == []
        self.renewed.clear()

    @invariant()
    def watches_are_those_that_wait(self) -> None:
        assert self.replies.watches == len(self.renewed)


TestWatching = Watching.TestCase
TestWatching.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)

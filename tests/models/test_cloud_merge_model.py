"""A shard of the cloud dialect against the plainest implementation of its rules, and kills.

Each agent has one true course: fields change at times of their own. What tells of it comes in any
order and any number of times; the plain one keeps for each field the newest time that it was told.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from actors.genesys.cloud import mapped
from actors.messages.control import UNKNOWN
from actors.shard.native import Native
from actors.shard.shard import Shard
from tests.actors.shard.cloud_lending import (
    OTHER_SCOPE,
    SCOPE,
    activity,
    at,
    at_us,
    begins,
    ends,
    ends_history,
    frame,
    presence,
    routing,
    snapshot,
    unwatches,
    watches,
)
from tests.actors.shard.lending import A, B, C, Record, batch
from tests.actors.shard.rig import Rig

USERS = (A, B, C)
SCOPES = (SCOPE, OTHER_SCOPE)
PRESENCES = ("ON_QUEUE", "MEAL", "BUSY", "OFFLINE")
STATUSES = ("IDLE", "INTERACTING", "OFF_QUEUE", "NOT_RESPONDING")
NOTHING = -1.0

# What is told of a field is a function of its time: two that differ have different times.
moments = st.sampled_from([1.0, 2.0, 2.067, 3.0, 4.001, 5.0])


def presence_at(second: float) -> str:
    return PRESENCES[round(second * 1000) % len(PRESENCES)]


def status_at(second: float) -> str:
    return STATUSES[round(second * 1000) % 7 % len(STATUSES)]


def queue_at(second: float) -> str:
    return f"queue-{second}"


def live_whole(user: str, p: float, r: float, q: float, session: int = 0) -> Record:
    return activity(
        presence_at(p),
        p,
        status_at(r),
        r,
        user_id=user,
        session=session,
        activeQueueIds=[queue_at(q)],
        dateActiveQueuesChanged=at(q),
    )


def live_part(user: str, name: str, second: float, session: int = 1) -> Record:
    if name == "presence_s":
        body = presence(presence_at(second), second, primary=True)
        return frame("presence", body, user, session)
    body = {"id": user, "routingStatus": routing(status_at(second), second)}
    return frame("routingStatus", body, user, session)


def told_whole(user: str, p: float, r: float, session: int) -> Record:
    return snapshot(presence_at(p), p, status_at(r), r, user_id=user, session=session)


def told_in_part(user: str, told: dict[str, float], session: int) -> Record:
    """A snapshot whose `expand` was not carried out in full."""
    body: dict[str, Any] = {"id": user}
    if "presence_s" in told:
        body["presence"] = presence(presence_at(told["presence_s"]), told["presence_s"])
    if "routing_s" in told:
        body["routingStatus"] = routing(status_at(told["routing_s"]), told["routing_s"])
    return frame("snapshot", body, user, session)


@dataclass
class PlainAgent:
    state: str | None = None
    fields: dict[str, float] = field(default_factory=dict)
    kept: dict[str, float] = field(default_factory=dict)  # what a row or a page has
    newest_s: float = NOTHING  # of all that made a row
    scope: str = ""
    session: int = 0  # the newest one in which anything was told
    told: set[str] = field(default_factory=set)  # in that: fields, and whether it was answered for

    def hear(self, session: int, *names: str) -> None:
        if not session:
            return
        if self.session != session:
            self.session, self.told = session, set()
        self.told |= {*names}

    def is_confirmed(self, session: int) -> bool:
        return self.session == session > 0 and {*PARTS} <= self.told

    def is_answered_for(self, session: int) -> bool:
        return self.is_confirmed(session) or (self.session == session and "all" in self.told)

    def move(self, scope: str) -> None:
        self.scope, self.session, self.told = scope, 0, set()


@dataclass
class PlainScope:
    session: int = 0
    is_up: bool = False
    history_runs: bool = False
    is_unheard: bool = False  # one has ended, and no gap row says so

    def end(self) -> None:
        self.is_unheard |= self.is_up
        self.is_up = self.history_runs = False


@dataclass
class Plain:
    """The rules, as one would write them on paper."""

    agents: dict[str, PlainAgent] = field(default_factory=dict)
    scopes: dict[str, PlainScope] = field(default_factory=lambda: {s: PlainScope() for s in SCOPES})
    rows: list[tuple[str, str | None, str]] = field(default_factory=list)

    def of(self, user: str) -> PlainAgent:
        return self.agents.setdefault(user, PlainAgent())

    def session_of(self, user: str) -> int:
        agent = self.of(user)
        return self.scopes[agent.scope].session if agent.scope else 0

    def told(
        self, user: str, told: dict[str, float], *, is_whole: bool, is_snapshot: bool = False
    ) -> None:
        agent = self.of(user)
        news = {name: s for name, s in told.items() if s > agent.fields.get(name, NOTHING)}
        is_behind = any(
            told[name] < agent.fields.get(name, NOTHING) for name in told if name in PARTS
        )
        is_known = agent.state not in {None, UNKNOWN}
        is_complete = is_whole or agent.is_confirmed(self.session_of(user))
        agent.fields |= news
        if is_known and set(news) == {"queues_s"} and news["queues_s"] <= agent.newest_s:
            return  # of a time that its state has left behind
        restores = is_complete and not is_known and (is_snapshot or bool(news) or not is_behind)
        if not news and not restores:
            return
        agent.newest_s = max(agent.newest_s, *(news or agent.fields).values())
        agent.kept = agent.fields.copy()
        agent.state = self.state_of(agent) if is_known or restores else UNKNOWN
        self.rows.append((user, agent.state, "history" if is_snapshot else "live"))

    def forget_empty(self) -> None:
        watching = {agent.scope for agent in self.agents.values()}
        for name, scope in self.scopes.items():
            if not scope.is_up and name not in watching:
                self.scopes[name] = PlainScope()

    def is_killed(self) -> None:
        """Queues of before a snapshot make no row, and are known again when they are told again."""
        for agent in self.agents.values():
            agent.fields = agent.kept.copy()

    def begin_run(self) -> None:
        for scope in self.scopes.values():
            scope.end()
            scope.session = 0
        for agent in self.agents.values():
            agent.session = 0
        self.forget_empty()

    @staticmethod
    def state_of(agent: PlainAgent) -> str:
        seconds = agent.fields
        return mapped(presence_at(seconds["presence_s"]), status_at(seconds["routing_s"])).state

    def lose(self, user: str) -> None:
        agent = self.of(user)
        if agent.state != UNKNOWN:
            agent.state = UNKNOWN
            self.rows.append((user, UNKNOWN, "lost"))


PARTS = ("presence_s", "routing_s")
users = st.sampled_from(USERS)
scopes = st.sampled_from(SCOPES)


class CloudShardModel(RuleBasedStateMachine):
    """Events and snapshots in any order, scopes that begin, end and exchange agents, kills."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.rig = Rig(Path(self._folder.name) / "shard-00.db", "cloud")
        self.plain = Plain()
        self.sessions = 0

    def teardown(self) -> None:
        self.rig.journal.close()
        self._folder.cleanup()

    @initialize()
    def first_sessions(self) -> None:
        for scope in SCOPES:
            self.begin(scope)
        for user in USERS:
            self.watch(user, SCOPES[user == C])

    def feed(self, record: Record, *, is_killed: bool) -> None:
        if is_killed:  # between merge and commit: the batch is met again
            self.rig.shard.take(batch([record]), self.rig.now_s)
            self.rig.shard.prepare(self.rig.now_s)
            self.restart()
        self.rig.feed(record)

    @rule(
        user=users, p=moments, r=moments, q=moments, is_old=st.booleans(), is_killed=st.booleans()
    )
    def event_arrives(  # noqa: PLR0917
        self, user: str, p: float, r: float, q: float, is_old: bool, is_killed: bool
    ) -> None:
        """`is_old`: by a socket of before."""
        session = self.plain.session_of(user)
        self.feed(live_whole(user, p, r, q, session - is_old), is_killed=is_killed)
        if not is_old:
            self.plain.of(user).hear(session, *PARTS, "all")
        fields = {"presence_s": p, "routing_s": r, "queues_s": q, "office_s": 0.5}
        self.plain.told(user, fields, is_whole=True)

    @rule(user=users, p=moments, r=moments, is_killed=st.booleans())
    def snapshot_arrives(self, user: str, p: float, r: float, is_killed: bool) -> None:
        session = self.plain.session_of(user)
        self.feed(told_whole(user, p, r, session), is_killed=is_killed)
        self.plain.of(user).hear(session, *PARTS, "all")
        fields = {"presence_s": p, "routing_s": r, "office_s": 0.5}
        self.plain.told(user, fields, is_whole=True, is_snapshot=True)

    @rule(user=users, parts=st.lists(st.sampled_from(PARTS), max_size=1), second=moments)
    def part_of_a_snapshot_arrives(self, user: str, parts: list[str], second: float) -> None:
        session, told = self.plain.session_of(user), dict.fromkeys(parts, second)
        self.rig.feed(told_in_part(user, told, session))
        self.plain.of(user).hear(session, *parts, "all")
        self.plain.told(user, told, is_whole=False, is_snapshot=True)

    @rule(user=users, name=st.sampled_from(PARTS), second=moments, is_old=st.booleans())
    def part_arrives(self, user: str, name: str, second: float, is_old: bool) -> None:
        session = self.plain.session_of(user)
        self.rig.feed(live_part(user, name, second, session - is_old))
        if not is_old:
            self.plain.of(user).hear(session, name)
        self.plain.told(user, {name: second}, is_whole=False)

    @rule(user=users, second=moments)
    def presence_of_another_source_arrives(self, user: str, second: float) -> None:
        self.rig.feed(frame("presence", presence("AWAY", second, primary=False), user))
        self.plain.of(user)

    @rule(scope=scopes)
    def begin(self, scope: str) -> None:
        self.sessions += 1
        members = [user for user, agent in self.plain.agents.items() if agent.scope == scope]
        self.rig.feed(begins(self.sessions, scope), *(watches(each, scope) for each in members))
        if self.plain.scopes[scope].is_unheard:
            self.plain.rows.append(("", "", "gap"))
        self.plain.scopes[scope] = PlainScope(self.sessions, is_up=True, history_runs=True)

    @rule(user=users, scope=scopes)
    def watch(self, user: str, scope: str) -> None:
        self.rig.feed(watches(user, scope))
        agent = self.plain.of(user)
        if agent.scope != scope:
            agent.move(scope)
            self.plain.forget_empty()

    @rule(user=users, scope=scopes)
    def unwatch(self, user: str, scope: str) -> None:
        self.rig.feed(unwatches(user, scope))
        agent = self.plain.of(user)
        if agent.scope == scope:
            agent.move("")
            self.plain.forget_empty()
            self.plain.lose(user)

    @rule(scope=scopes, late_by=st.integers(0, 1), complete=st.booleans())
    def end_history(self, scope: str, late_by: int, complete: bool) -> None:
        known = self.plain.scopes[scope]
        self.rig.feed(ends_history(known.session - late_by, scope, complete=complete))
        if late_by or not known.history_runs:
            return
        known.history_runs = False
        if complete:
            for user in self.numbered():
                agent = self.plain.agents[user]
                if agent.scope == scope and not agent.is_answered_for(known.session):
                    self.plain.lose(user)

    @rule(scope=scopes)
    def end_session(self, scope: str) -> None:
        self.rig.feed(ends(self.plain.scopes[scope].session, scope))
        self.plain.scopes[scope].end()
        self.plain.forget_empty()

    @rule()
    def whole_runtime_restarts(self) -> None:
        self.rig.restart_whole()
        self.sessions = 0
        self.plain.is_killed()
        self.plain.begin_run()

    @rule()
    def restart(self) -> None:
        self.rig.restart()
        self.plain.is_killed()
        assert not self.rig.shard.sessions.wants_history

    @rule()
    def checkpoint(self) -> None:
        self.rig.commit(finish=True)
        for agent in self.plain.agents.values():
            agent.kept = agent.fields.copy()

    def numbered(self) -> list[str]:
        return [agent.user_id for agent in self.rig.shard.agent_table.by_id]

    @invariant()
    def both_hold_the_same(self) -> None:
        for agent in self.rig.shard.agent_table.by_id:
            plain, held = self.plain.of(agent.user_id), agent.native or Native()
            times = (held.presence_us, held.routing_us, held.queues_us, held.office_us)
            names = ("presence_s", "routing_s", "queues_s", "office_s")
            assert agent.state == plain.state
            assert times == tuple(
                at_us(plain.fields[name]) if name in plain.fields else -1 for name in names
            )
            session = self.plain.session_of(agent.user_id)
            assert held.scope == plain.scope
            assert (held.named == session > 0) == plain.is_confirmed(session)

    @invariant()
    def only_confirmed_agents_are_not_stale(self) -> None:
        for agent in self.rig.shard.agent_table.by_id:
            plain = self.plain.of(agent.user_id)
            scope = self.plain.scopes.get(plain.scope, PlainScope())
            is_confirmed = scope.is_up and plain.is_confirmed(scope.session)
            assert (self.rig.shard.sessions.stale_of(agent) is None) == is_confirmed

    @invariant()
    def the_journal_has_the_same_rows(self) -> None:
        who = {0: "", **dict(self.rig.journal.agents())}
        assert [(who[r.agent], r.to_state, r.cause) for r in self.rig.rows()] == self.plain.rows

    @invariant()
    def the_sum_is_exact_and_each_applied_one_has_its_row(self) -> None:
        counts = dict(self.rig.shard.merge.counts)
        told = [cause for _, _, cause in self.plain.rows if cause not in {"lost", "gap"}]
        assert counts["applied"] == len(told)
        assert counts.pop("received") == sum(counts.values())


TestCloudShardModel = CloudShardModel.TestCase
TestCloudShardModel.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)


tellings = st.one_of(
    st.tuples(st.just("event"), moments, moments, moments),
    st.tuples(st.just("snapshot"), moments, moments, st.just(NOTHING)),
    st.tuples(st.just("presence"), moments, st.just(NOTHING), st.just(NOTHING)),
    st.tuples(st.just("routing"), st.just(NOTHING), moments, st.just(NOTHING)),
)


def record_of(what: str, p: float, r: float, q: float) -> Record:
    if what == "event":
        return live_whole(A, p, r, q)
    if what == "snapshot":
        return told_whole(A, p, r, 1)
    return live_part(A, f"{what}_s", p if what == "presence" else r)


@given(st.data(), st.lists(tellings, min_size=1, max_size=12))
@settings(deadline=None)
def test_any_order_and_any_number_of_tellings_come_to_the_newest_truth(
    data: st.DataObject, told: list[tuple[str, float, float, float]]
) -> None:
    again = data.draw(st.lists(st.sampled_from(told), max_size=6))
    order = data.draw(st.permutations([*told, *again]))
    shard = Shard(0, 1, rings=1, now_s=0.0, journalled=False, dialect="cloud")
    for what, p, r, q in order:
        shard.take(batch([record_of(what, p, r, q)]), 0.0)
    agent = shard.agent_table.by_user[A]
    assert agent.native is not None
    newest = [max(seconds) for seconds in zip(*(each[1:] for each in told), strict=True)]
    assert [agent.native.presence_us, agent.native.routing_us, agent.native.queues_us] == [
        at_us(second) if second != NOTHING else -1 for second in newest
    ]
    if {what for what, *_ in told} & {"event", "snapshot"}:
        assert agent.state == mapped(presence_at(newest[0]), status_at(newest[1])).state
    else:
        assert agent.state == UNKNOWN

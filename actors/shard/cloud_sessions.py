"""Sessions of the cloud dialect: many scopes, each with its own agents. Pure.

Knows no ring and no journal. A scope is the slot of a channel. Its history and its end touch only
the agents that it watches, and each of them is stale for as long as its own scope is.
"""

from __future__ import annotations

from collections import Counter

from actors.messages.control import (
    GAP_RESTART,
    SCOPE_ALL,
    ControlRecord,
    Gap,
    SessionBegins,
    SessionEnds,
    Unwatches,
    Vacates,
    Watches,
)
from actors.shard.agent_table import Agent
from actors.shard.cloud_merge import CloudMerge
from actors.shard.merge import Merge
from actors.shard.native import MENTIONED, Native, told_in
from actors.shard.sessions import Scope, Scopes


class CloudSessions(Scopes):
    """The scopes of a shard, and who belongs to which."""

    NAMES_ARE_DURABLE = True

    def __init__(self, merge: Merge, scopes: dict[str, Scope] | None = None) -> None:
        assert isinstance(merge, CloudMerge)
        super().__init__(merge, scopes)
        self._session_of = merge.session_of
        self._session_of.update((name, scope.session) for name, scope in self.scopes.items())
        self._members: Counter[str] = Counter()
        self._began_empty = False

    def restore(self, watched: dict[int, tuple[str, int]]) -> None:
        """By an agent's number, where it is watched, and the session that named it last."""
        agents = self._merge.agent_table.by_id
        for agent_id, (scope, named) in watched.items():
            if scope:
                native = _native(agents[agent_id - 1])
                native.scope, native.named = scope, named
                self._members[scope] += 1
        for name in list(self.scopes):
            self._forget_if_empty(name)

    def begin_empty(self) -> None:
        """Each receiver is to begin all of its sessions anew, once in the life of this shard. So it
        goes on to say so: the next session may be from before, and who has not looked yet nobody
        knows."""
        self._began_empty = self.wants_history = True

    def apply(self, record: ControlRecord) -> None:
        match record:
            case Watches(scope, user_id):
                self._watch(scope, user_id)
            case Unwatches():
                self._unwatch(record)
            case Vacates(scope, at_us):
                self._vacate(scope, at_us)
            case _:
                super().apply(record)
        if isinstance(record, SessionBegins):
            self._session_of[record.scope] = self.scopes[record.scope].session
        self.wants_history = self._began_empty

    def _begin(self, record: SessionBegins) -> None:
        """A receiver tells a gap of what it missed itself. What was missed between two runs, no
        process of this one knows of; the journal does."""
        scope = self.scopes.get(record.scope)
        if scope is not None and scope.unheard_since_us is not None:
            gap = Gap(record.session, record.scope, record.epoch, 0, 0, GAP_RESTART, record.at_us)
            self._write_gap(gap)
        super()._begin(record)

    def stale_of(self, agent: Agent) -> int | None:
        native = agent.native
        if native is None or not native.scope:
            return agent.at_us
        return stale_since(self.scopes.get(native.scope), native.named, agent.at_us)

    def _watch(self, scope: str, user_id: str) -> None:
        agent_table = self._merge.agent_table
        agent = agent_table.by_user.get(user_id)
        if agent is None:
            assert agent_table.owns(user_id), "a receiver tells the owner only"
            if agent_table.is_full:
                return
            agent = agent_table.admit(user_id)
        native = _native(agent)
        if native.scope == scope:
            return
        left, native.scope = native.scope, scope
        native.leave_session()
        self._members[scope] += 1
        agent_table.watch(agent, scope, 0)
        self._leave(left)

    def _unwatch(self, record: Unwatches) -> None:
        agent_table = self._merge.agent_table
        agent = agent_table.by_user.get(record.user_id)
        if agent is None or agent.native is None or agent.native.scope != record.scope:
            return
        agent.native.scope = ""
        agent.native.leave_session()
        agent_table.watch(agent, "", 0)
        self._leave(record.scope)
        self._lose_one(agent, record.at_us)

    def _vacate(self, scope: str, at_us: int) -> None:
        if not self._members[scope] and scope not in self.scopes:
            return
        agents = self._merge.agent_table.by_id
        for agent in [each for each in agents if each.native and each.native.scope == scope]:
            self._unwatch(Unwatches(scope, agent.user_id, "", at_us))

    def _leave(self, scope: str) -> None:
        if scope:
            self._members[scope] -= 1
            self._forget_if_empty(scope)

    def _forget_if_empty(self, name: str) -> None:
        """A slot that is not used any more would be stale for ever."""
        scope = self.scopes.get(name)
        if scope is not None and not scope.is_up and not self._members[name]:
            del self.scopes[name]
            self._session_of.pop(name, None)

    def _is_meant(self, record: SessionEnds, name: str) -> bool:
        """A receiver that starts ends whatever its predecessor had, and knows neither numbers nor
        slots of it: it names its OAuth clients."""
        if record.session:
            return record.scope == name
        return record.scope in {SCOPE_ALL, name} or name.startswith(f"{record.scope}/")

    def _end(self, record: SessionEnds) -> None:
        super()._end(record)
        for name in list(self.scopes):
            self._forget_if_empty(name)

    def _lose_one(self, agent: Agent, at_us: int) -> None:
        super()._lose_one(agent, at_us)
        _native(agent).usual_in = 0

    def _is_unnamed(self, agent: Agent, name: str, scope: Scope) -> bool:
        """Nobody has answered for it. Of whom a part only was told, that part is asked for."""
        native = agent.native
        return (
            native is not None
            and native.scope == name
            and not told_in(native.named, scope.session) & MENTIONED
        )

    def _is_given_up(self, agent: Agent, record: SessionEnds) -> bool:
        return agent.native is not None and self._is_meant(record, agent.native.scope)


def stale_since(scope: Scope | None, named: int, at_us: int) -> int | None:
    """Since when an agent is not confirmed; None: it is. One that was named in the session that is
    up need not wait for the others of its scope. One that came to a scope after its history is
    confirmed by its own snapshot, and until then was so by what was told last."""
    if scope is None:
        return at_us
    if scope.is_up and named == scope.session:
        return None
    if scope.stale_since_us is not None:
        return scope.stale_since_us
    return at_us


def _native(agent: Agent) -> Native:
    if agent.native is None:
        agent.native = Native()
    return agent.native

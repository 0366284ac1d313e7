"""Sessions: what the receiver's control records do to a shard.

Knows no ring and no journal. Only the newest session of a scope is obeyed; a history ends only in
the life of the shard in which it began (`docs/design.md`, "Sessions, history, Unknown").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from actors.messages.control import (
    END_EXHAUSTED,
    GAP_ANEW,
    RESUME_MARGIN,
    SEQUENCE_END,
    UNKNOWN,
    ControlRecord,
    Gap,
    HistoryEnds,
    SessionBegins,
    SessionEnds,
    Shed,
    Watermark,
)
from actors.messages.transition import GapRow
from actors.shard.agent_table import Agent
from actors.shard.merge import Merge
from runtime.errors import ConfigurationError


@dataclass(slots=True)
class Scope:
    """The newest session of one scope, as far as this shard was told."""

    session: int = 0
    epoch: int = 0
    epoch_name: str = ""
    newest: int = 0
    is_up: bool = False
    history_runs: bool = False
    stale_since_us: int | None = 0
    """Since when its agents are not confirmed; None: confirmed now; 0: never were."""
    began_us: int = 0
    unheard_since_us: int | None = None
    """Since when no session is up, as long as no gap row says so; None: none has ended."""
    is_interrupted: bool = False
    """The history that runs began in an earlier life of the shard, and who was named in it is
    forgotten: its end says nothing, another one is wanted."""

    def to_json(self) -> dict[str, Any]:
        # Once a batch: `asdict` copies deeply, and takes ten times as long.
        return {name: getattr(self, name) for name in self.__slots__}


def scope_of(stored: Mapping[str, Any]) -> Scope:
    """As `Scope.to_json` gave it. ConfigurationError if a newer version did, which knows more."""
    if unknown := sorted(stored.keys() - set(Scope.__slots__)):
        raise ConfigurationError(
            f"the journal has the field {unknown[0]} of a session, which this version does not "
            "know; a newer version wrote it (written_by in the file meta): run that version, or "
            "set a different data_dir"
        )
    return Scope(**stored)


class Scopes:
    """The scopes of a shard. The wsp dialect has exactly one."""

    NAMES_ARE_DURABLE = False
    """Whether a shard that starts in mid-history still knows who was named."""

    def __init__(self, merge: Merge, scopes: dict[str, Scope] | None = None) -> None:
        self._merge = merge
        self.scopes = scopes or {}
        self.gaps = 0
        """Gaps told so far."""
        self._told_epoch = 0  # the newest numbering whose end was told
        for scope in self.scopes.values():
            scope.is_interrupted = scope.history_runs and not self.NAMES_ARE_DURABLE
        self.wants_history = self._is_any_interrupted()

    @classmethod
    def from_json(cls, merge: Merge, stored: dict[str, Any]) -> Scopes:
        sessions = cls(merge, {name: scope_of(fields) for name, fields in stored.items()})
        merge.epoch = max((scope.epoch for scope in sessions.scopes.values()), default=0)
        merge.newest = max((scope.newest for scope in sessions.scopes.values()), default=0)
        merge.session = max((scope.session for scope in sessions.scopes.values()), default=0)
        return sessions

    def _is_any_interrupted(self) -> bool:
        return any(scope.is_interrupted for scope in self.scopes.values())

    def to_json(self) -> dict[str, Any]:
        return {name: scope.to_json() for name, scope in self.scopes.items()}

    @property
    def stale_since_us(self) -> int | None:
        """The earliest time since when some scope is not confirmed; None: all; 0: never were."""
        return earliest_stale(self.scopes)

    def stale_of(self, _agent: Agent) -> int | None:
        """Since when this agent is not confirmed; None: it is; 0: it never was."""
        return self.stale_since_us

    def restore(self, watched: dict[int, tuple[str, int]]) -> None:
        """Where agents are watched: with one scope there is nothing to know."""
        assert not watched

    def begin_empty(self) -> None:
        """Nothing is known: a history must name all agents again."""
        self.wants_history = True

    def apply(self, record: ControlRecord) -> None:
        """Carries out one control record."""
        match record:
            case SessionBegins():
                self._begin(record)
            case HistoryEnds():
                self._end_history(record)
            case SessionEnds():
                self._end(record)
            case Gap():
                self._gap(record)
            case Watermark():
                self._watermark(record)
            case Shed(events=count):
                self._merge.counts["received"] += count
                self._merge.counts["shed"] += count

    def _begin(self, record: SessionBegins) -> None:
        scope = self.scopes.setdefault(record.scope, Scope())
        if record.session <= scope.session:
            return
        merge = self._merge
        self.enter(record.epoch, record.scope, record.at_us)
        merge.newest = max(merge.newest, record.newest)
        merge.session = record.session
        if record.resumed_after is None:
            # No replay will come: the history answers for everything up to here.
            merge.mark = max(merge.mark, record.newest)
        scope.session = record.session
        scope.epoch, scope.epoch_name = record.epoch, record.epoch_name
        scope.newest = record.newest
        scope.is_up = scope.history_runs = True
        scope.began_us, scope.unheard_since_us = record.at_us, None
        if scope.stale_since_us is None:
            scope.stale_since_us = record.at_us
        scope.is_interrupted = False
        self.wants_history = self._is_any_interrupted()

    def _end_history(self, record: HistoryEnds) -> None:
        scope = self.scopes.get(record.scope)
        if scope is None or record.session != scope.session or not scope.history_runs:
            return
        if scope.is_interrupted:
            return
        scope.history_runs = False
        if not record.complete:
            return
        scope.stale_since_us = None
        self._lose(lambda agent: self._is_unnamed(agent, record.scope, scope), record.at_us)

    def _is_unnamed(self, agent: Agent, _name: str, scope: Scope) -> bool:
        """Whether the history of this scope should have named the agent and did not."""
        asked_at = (scope.epoch, scope.newest)
        return agent.named != scope.session and (agent.epoch, agent.sequence) <= asked_at

    def _lose(self, is_lost: Callable[[Agent], bool], at_us: int) -> None:
        """Whom nothing confirms any more becomes Unknown, never Available."""
        for agent in self._merge.agent_table.by_id:
            if is_lost(agent):
                self._lose_one(agent, at_us)

    def _lose_one(self, agent: Agent, at_us: int) -> None:
        if agent.state == UNKNOWN:
            return
        self._merge.agent_table.write(
            agent,
            UNKNOWN,
            at_us=at_us,
            received_us=at_us,
            epoch=agent.epoch,
            sequence=agent.sequence,
            queue=agent.queue,
            presence=agent.presence,
            cause="lost",
        )
        agent.state = UNKNOWN
        agent.at_us = at_us

    def _end(self, record: SessionEnds) -> None:
        for name, scope in self.scopes.items():
            if record.session not in (0, scope.session) or not self._is_meant(record, name):
                continue
            if scope.is_up and scope.unheard_since_us is None:
                scope.unheard_since_us = record.at_us
            scope.is_up = scope.history_runs = False
            scope.is_interrupted = False
            if scope.stale_since_us is None:
                scope.stale_since_us = record.at_us
        if record.reason == END_EXHAUSTED:
            self._lose(lambda agent: self._is_given_up(agent, record), record.at_us)
        self.wants_history = self._is_any_interrupted()

    def _is_meant(self, record: SessionEnds, name: str) -> bool:
        return record.session == 0 or record.scope == name

    def _is_given_up(self, _agent: Agent, _record: SessionEnds) -> bool:
        return True

    def enter(self, epoch: int, scope: str, at_us: int) -> None:
        """A numbering begins. If nobody has told us how an older one ended, then because that was
        lost with the rings of an earlier run: a shard that had come further knew the new one."""
        merge = self._merge
        if epoch <= merge.epoch:
            return
        for ended in range(max(1, merge.epoch, self._told_epoch + 1), epoch):
            first = merge.mark - RESUME_MARGIN if ended == merge.epoch else 1
            gap = Gap(0, scope, ended, max(1, first), SEQUENCE_END - 1, GAP_ANEW, at_us)
            self._write_gap(gap)
        merge.begin_epoch(epoch)

    def _gap(self, record: Gap) -> None:
        merge = self._merge
        self.enter(record.epoch, record.scope, record.at_us)
        self._write_gap(record)
        is_open = record.last == SEQUENCE_END - 1  # up to where, nobody knows
        if is_open:
            self._told_epoch = max(self._told_epoch, record.epoch)
        elif record.epoch == merge.epoch:
            merge.mark = max(merge.mark, record.last)

    def _write_gap(self, record: Gap) -> None:
        self.gaps += 1
        agent_table, scope = self._merge.agent_table, self.scopes.get(record.scope)
        since_us = 0
        if scope is not None:
            since_us = scope.unheard_since_us or scope.stale_since_us or 0
            scope.unheard_since_us = None
        agent_table.write_gap(
            GapRow(
                row=agent_table.next_row,
                scope=record.scope,
                epoch=record.epoch,
                first_sequence=record.first,
                last_sequence=record.last,
                at_us=record.at_us,
                reason=record.reason,
                since_us=since_us or record.at_us,
            ),
            record.at_us,
        )

    def _watermark(self, record: Watermark) -> None:
        if record.epoch == self._merge.epoch:
            self._merge.mark = max(self._merge.mark, record.sequence)


def end_run(scopes: Mapping[str, dict[str, Any]], committed_us: int) -> None:
    """Changes stored scopes to what the next run finds: nothing is up, and whatever was has not
    been heard since. `committed_us`: the newest commit; a release before 0.2 kept less."""
    for scope in scopes.values():
        if scope.get("unheard_since_us") is None:
            heard_us = max(committed_us, scope.get("began_us", 0))
            ended_us = heard_us if scope["is_up"] else scope["stale_since_us"]
            scope["unheard_since_us"] = ended_us or None
        if scope["stale_since_us"] is None:
            scope["stale_since_us"] = committed_us
        scope.update(session=0, is_up=False, history_runs=False, is_interrupted=False)


def earliest_stale(scopes: Mapping[str, Scope]) -> int | None:
    """The earliest time since when one is not confirmed; None: all are; 0: never were."""
    if not scopes:
        return 0
    since = (scope.stale_since_us for scope in scopes.values())
    return min((us for us in since if us is not None), default=None)

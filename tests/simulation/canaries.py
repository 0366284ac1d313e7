"""Canaries: mistakes that the proof must find. If one of them lives, the proof proves nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from actors.receiver import line, session
from actors.receiver.numbering import Numbering
from actors.receiver.session import SessionMachine
from actors.shard import merge, sessions, shard
from actors.shard.dedup import SequenceWindow
from tests.simulation.journal import MemoryJournal
from tests.simulation.shard import SimulatedShard


class Canary(NamedTuple):
    """A function of the product, and what stands in its place."""

    name: str
    owner: Any
    attribute: str
    broken: Callable[..., Any]


def _nothing(*_args: Any, **_fields: Any) -> None:
    """Not done at all."""


def _take_without_window(self: shard.Shard, batch: Any, now_s: float) -> None:
    self.merge.window = SequenceWindow()
    _take(self, batch, now_s)


def _judge_history_by_window(self: merge.Merge, agent: Any, event: Any, *rest: Any) -> None:
    if event.sequence in self.window or event.sequence <= self.mark:
        self.counts["duplicates"] += 1
    else:
        _apply_history(self, agent, event, *rest)


def _lose_everybody(self: sessions.Scopes, _is_lost: Any, at_us: int) -> None:
    _lose(self, lambda _agent: True, at_us)


def _highest_mark(marks: Any, epoch: int) -> int:
    return max((sequence for of, sequence in marks if of == epoch), default=0)


def _apply_late(self: merge.Merge, agent: Any, event: Any, *rest: Any) -> None:
    cause = rest[-1]
    _write(self, agent, event, *rest)
    if cause == "late":
        agent.state, agent.at_us = event.state, event.at_us


def _judge_by_time(self: merge.Merge, agent: Any, event: Any, *rest: Any, is_told: bool) -> None:
    """The rule of before: over five seconds older is late, whatever the sequence."""
    if agent is not None and event.at_us < agent.at_us - 5_000_000:
        self.counts["late"] += 1
        self._write(agent, event, *rest, "late")
    else:
        _judge_content(self, agent, event, *rest, is_told=is_told)


def _never_new(_self: Numbering, *_told: Any) -> bool:
    return False


def _commit_half(self: MemoryJournal, transaction: Any) -> None:
    """The cursor first, and then the rest: unless the disk refuses it, or a kill comes between."""
    progress = self.disk.progress
    self.disk.progress = progress._replace(cursors=transaction.progress.cursors)
    _commit_whole(self, transaction)


_take, _apply_history = shard.Shard.take, merge.Merge._apply_history
_judge_content = merge.Merge._judge_content
_lose, _write, _commit_whole = sessions.Scopes._lose, merge.Merge._write, MemoryJournal.commit

CANARIES = (
    Canary("after a kill a committed batch is met again", SimulatedShard, "skip", _nothing),
    Canary("sequences that were handled are forgotten", shard.Shard, "take", _take_without_window),
    Canary(
        "history is judged by the window",
        merge.Merge,
        "_apply_history",
        _judge_history_by_window,
    ),
    Canary("whom a history does not name stays as he is", sessions.Scopes, "_lose", _nothing),
    Canary("every history makes everybody Unknown", sessions.Scopes, "_lose", _lose_everybody),
    Canary("no gap is journalled", sessions.Scopes, "_gap", _nothing),
    Canary("late events are applied", merge.Merge, "_write", _apply_late),
    Canary("a wall clock decides", merge.Merge, "_judge_content", _judge_by_time),
    Canary("half a transaction is durable", MemoryJournal, "commit", _commit_half),
    Canary("gaps of sessions are not told", SessionMachine, "_gap", _nothing),
    Canary("a receiver resumes behind the highest mark", session, "lowest_mark", _highest_mark),
    Canary("no numbering is ever new", Numbering, "is_new", _never_new),
    Canary("what was missed goes unnoticed", line.ReceiverConnection, "missed_up_to", _nothing),
)

"""Owns which queues an agent belongs to, and how a row, an agent or an answer bears them: one text.
Pure.

An agent counts in each of its queues. The text of one queue is its id; of several, and of one whose
id begins like a list, it is a JSON array of ids; None: in none. Nobody reads such a text but by
`queues_of`. What the platform says of an agent's queues comes from two sides: who is a member of a
queue is read (`actors.planner`), which of their queues somebody is active in comes with events.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

import orjson

QUEUES_PER_AGENT_MAX: Final = 256
"""Of one agent that are kept: every row of theirs bears them."""
TEXTS_MAX: Final = 65_536
"""Texts whose queues are remembered: agents of a team are in the same ones."""

_LIST: Final = "["


def queues_text(queues: Sequence[str]) -> str | None:
    """The inverse of `queues_of`.

    >>> queues_text(["q1"]), queues_text(["q1", "q2"]), queues_text([])
    ('q1', '["q1","q2"]', None)
    """
    if not queues:
        return None
    return queue_text(*queues) if len(queues) == 1 else orjson.dumps(queues).decode()


def queue_text(queue: str) -> str:
    """The text of one."""
    return orjson.dumps([queue]).decode() if queue.startswith(_LIST) else queue


@lru_cache(TEXTS_MAX)
def queues_of(text: str | None) -> tuple[str, ...]:
    """The queues of whoever bears this text. Total: an older file may hold an id that begins like a
    list and is none; that is one queue.

    >>> queues_of("q1"), queues_of('["q1","q2"]'), queues_of(None)
    (('q1',), ('q1', 'q2'), ())
    """
    if text is None:
        return ()
    if not text.startswith(_LIST):
        return (text,)
    try:
        queues = orjson.loads(text)
    except orjson.JSONDecodeError:
        return (text,)
    if not queues or not all(isinstance(each, str) for each in queues):
        return (text,)
    return tuple(queues)


def former_queue(text: str | None) -> str | None:
    """What the field `queue` of rows, events and answers says for one version more, in which they
    bear `queues`: one of them. It counts for nothing and decides nothing."""
    return next(iter(queues_of(text)), None)


@lru_cache(TEXTS_MAX)
def _active_text(queues: tuple[str, ...]) -> str | None:
    """A quarter of the time, in a hot loop."""
    return queues_text(queues)


def belonging(member_of: str | None, active_in: tuple[str, ...], *, is_read: bool) -> str | None:
    """Which queues an agent belongs to, as a text: those that it is a member of (`member_of`), once
    they were read (`is_read`); until then those that its events say it is active in, which may be a
    part of them."""
    return member_of if is_read else _active_text(active_in)


def memberships_text(queues: Iterable[str]) -> tuple[str | None, int]:
    """The text of the queues that somebody is a member of, in one order, and how many were cut off
    because they are too many."""
    kept = sorted(set(queues))
    return queues_text(kept[:QUEUES_PER_AGENT_MAX]), max(0, len(kept) - QUEUES_PER_AGENT_MAX)

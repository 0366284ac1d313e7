"""Changes: one event of the stream, as values until somebody wants to have it. Knows no reader.

Pure. What all readers get alike is encoded once, the agents once for each filter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from actors.messages.queues import former_queue, queues_of
from actors.web.encoding import encode
from actors.web.hub import EVERYTHING, StreamFilter
from actors.web.read_model import LastTransition

ChangedAgent: TypeAlias = tuple[str, str | None, str, int, str | None, str | None, int]
"""An agent as it was told: id, name, state, since (ms), text of its queues, presence, stale (0 or
1). In the stream the queue is one of them, for one version more; all of them come last, or null:
as they were."""
STATE: Final = 2
QUEUE: Final = 4
STALE: Final = 6

LAST_MAX: Final = 50
"""Last transitions that one event tells."""


class AgentChange(NamedTuple):
    """One agent: as it is told now, and where it was before, so that whoever heard of it there
    hears that it left."""

    told: ChangedAgent
    state_before: str | None  # None: it was told for the first time
    queue_before: str | None


class Changes:
    """What happened between two ticks."""

    def __init__(
        self,
        *,
        at_ms: int,
        changes: list[AgentChange],
        last: list[LastTransition],
        by_state: Mapping[str, int],
        queues: Mapping[str, Mapping[str, int]],
        health: Mapping[str, Any],
        stale: int | None = None,
        unplaced: int = 0,
    ) -> None:
        """`queues`: only those that changed. `unplaced`: agents whose queues are not known.
        `stale`: every agent is (1) or none (0) from now on; None: as it was."""
        self._at_ms = at_ms
        self._changes = changes
        self._last = last
        self._tail: dict[str, Any] = {
            "by_state": by_state,
            "queues": queues,
            "queues_unknown": unplaced,
            "health": health,
        }
        if stale is not None:
            self._tail["stale"] = stale
        self._tail_bytes: bytes | None = None
        self._whole: bytes | None = None

    @property
    def size(self) -> int:
        return len(self._changes)

    def data_for(self, wanted: StreamFilter) -> bytes:
        if wanted == EVERYTHING:
            if self._whole is None:
                self._whole = self._encoded(list(map(_shown_briefly, self._changes)), self._last)
            return self._whole
        # Whoever is not what a reader wants is forgotten by it, with its queues.
        return self._encoded(
            [_shown(each) for each in self._changes if _concerns(wanted, each)],
            [each for each in self._last if _tells(wanted, each)],
        )

    def _encoded(self, changes: list[tuple[Any, ...]], last: list[LastTransition]) -> bytes:
        if self._tail_bytes is None:
            self._tail_bytes = encode(self._tail)[1:]
        head = encode(
            {"at": self._at_ms, "changes": changes, "last": last_told(last)},
        )
        return head[:-1] + b"," + self._tail_bytes


def last_told(last: list[LastTransition]) -> list[tuple[Any, ...]]:
    return [
        (
            each.user_id,
            each.from_state,
            each.to_state,
            each.at_us // 1_000,
            former_queue(each.queue),
            each.cause,
            queues_of(each.queue),
        )
        for each in last[-LAST_MAX:]
    ]


def _shown(change: AgentChange) -> tuple[Any, ...]:
    user_id, name, state, since_ms, queue, presence, stale = change.told
    former, queues = former_queue(queue), queues_of(queue)
    return (user_id, name, state, since_ms, former, presence, stale, queues)


def _shown_briefly(change: AgentChange) -> tuple[Any, ...]:
    """To who knows everybody: null for queues that are as they were."""
    shown = _shown(change)
    is_same = change.state_before is not None and change.told[QUEUE] == change.queue_before
    return (*shown[:-1], None) if is_same else shown


def _concerns(wanted: StreamFilter, change: AgentChange) -> bool:
    if wanted.takes(change.told[STATE], change.told[QUEUE]):
        return True
    before = change.state_before
    return before is not None and wanted.takes(before, change.queue_before)


def _tells(wanted: StreamFilter, one: LastTransition) -> bool:
    return wanted.takes(one.to_state, one.queue) or (
        one.from_state is not None and wanted.takes(one.from_state, one.queue)
    )

"""A shard with a real journal, without rings and processes: fed, committed, killed, restarted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from actors.messages.control import SCOPE_ALL, Dialect, HistoryEnds, SessionBegins
from actors.messages.transition import Transition
from actors.shard.agent_table import Agent
from actors.shard.journal import Journal, prepare
from actors.shard.shard import Shard
from tests.actors.shard.lending import Record, batch, control

RUN = "run-1"


class Rig:
    """One shard that owns every agent."""

    def __init__(self, path: Path, dialect: Dialect = "wsp") -> None:
        self.path = path
        self.dialect = dialect
        self.now_s = 100.0
        self.committed_us = 1_795_000_000_000_000
        prepare(path, RUN)
        self._restore()

    def restart(self) -> None:
        """What a kill leaves: the journal. Whatever memory held is gone."""
        self.journal.close()
        self._restore()

    def restart_whole(self) -> None:
        """What a kill of the whole runtime leaves: the journal, given to another run."""
        self.journal.close()
        prepare(self.path, RUN)
        self._restore()

    def _restore(self) -> None:
        self.journal = Journal(self.path, RUN, self.dialect)
        self.shard = Shard(0, 1, rings=1, now_s=self.now_s, dialect=self.dialect)
        self.shard.restore(self.journal, self.now_s, lambda: None)

    def feed(self, *records: Record) -> None:
        """One batch, judged and committed."""
        self.shard.take(batch(records), self.now_s)
        self.commit()

    def commit(self, *, finish: bool = False) -> None:
        transaction = self.shard.prepare(self.now_s, finish=finish)
        self.journal.commit(transaction)
        self.shard.committed(transaction, self.committed_us)

    def begin(
        self,
        session: int = 1,
        newest: int = 1_000,
        *,
        epoch: int = 1,
        resumed_after: int | None = None,
    ) -> None:
        begins = SessionBegins(session, SCOPE_ALL, epoch, "", newest, resumed_after, 5_000_000)
        self.feed(control(begins))

    def end_history(self, session: int = 1, *, complete: bool = True) -> None:
        self.feed(control(HistoryEnds(session, SCOPE_ALL, complete, 6_000_000)))

    def agent(self, user_id: str) -> Agent:
        return self.shard.agent_table.by_user[user_id]

    def state(self, user_id: str) -> str | None:
        return self.agent(user_id).state

    def rows(self) -> Sequence[Transition]:
        return list(self.journal.rows_behind(0))

    def causes(self) -> list[str]:
        return [row.cause for row in self.rows()]

    @property
    def counts(self) -> dict[str, int]:
        return {name: n for name, n in self.shard.merge.counts.items() if n}

    def standing(self) -> dict[str, Any]:
        """All that must survive a restart."""
        merge = self.shard.merge
        return {
            "agents": [
                tuple(
                    getattr(a, name) for name in Agent.__slots__ if name not in {"named", "native"}
                )
                for a in self.shard.agent_table.by_id
            ],
            "natives": [
                None if a.native is None else (a.native.packed(), a.native.scope, a.native.named)
                for a in self.shard.agent_table.by_id
            ],
            "next_row": self.shard.agent_table.next_row,
            "epoch": merge.epoch,
            "mark": merge.mark,
            "counts": dict(merge.counts),
            "sessions": {
                name: {**scope, "is_interrupted": None}  # that is about a life, and ends with it
                for name, scope in self.shard.sessions.to_json().items()
            },
            "handled": sorted(sequence for sequence in merge.window.slots if sequence),
        }

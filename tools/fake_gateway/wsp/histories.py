"""Histories: whom each history named, and so who may rightly be Unknown. Knows no journal.

An agent may become Unknown when a history has ended that did not name it: with history.complete, or
by five seconds in which nothing more came (protocol.md §1.2); or when nobody listened at all, so
that every try to connect may have been spent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

QUIET_US = 4_500_000  # a history without its end is over after 5 s, by the client's clock
SLACK_US = 1_000_000  # the end of a socket is noted when its handler ends
_NEVER = 1 << 62


@dataclass(slots=True)
class History:
    """What one socket was told of who is there."""

    socket: int
    began_us: int
    head: int  # events that had happened when it was acknowledged
    wanted: bool
    named: list[tuple[int, int, int]] = field(default_factory=list)  # when, first agent, last
    last_us: int = 0
    complete_us: int = _NEVER
    closed_us: int = _NEVER

    def has_named(self, agent: int, by_us: int) -> bool:
        return any(at <= by_us and first <= agent <= last for at, first, last in self.named)

    def had_ended(self, by_us: int) -> bool:
        if self.complete_us <= by_us:
            return True
        quiet_us = max(self.began_us, self.last_us) + QUIET_US
        return self.wanted and quiet_us <= by_us and self.closed_us >= quiet_us


class Histories:
    """Told line by line."""

    def __init__(self) -> None:
        self._all: dict[int, History] = {}
        self.newest: History | None = None

    def add(self, line: Mapping[str, Any]) -> None:
        kind, at_us = line["kind"], line.get("at_us", 0)
        if kind == "subscribed":
            socket = line["socket"]
            self.newest = History(socket, at_us, line["head"], line.get("history", False))
            self._all[socket] = self.newest
        elif kind == "closed" and line["socket"] in self._all:
            self._all[line["socket"]].closed_us = at_us
        elif kind == "history":
            history = self._all[line["socket"]]
            history.last_us = at_us
            if line["last"] >= line["first"]:
                history.named.append((at_us, line["first"], line["last"]))
            if line["complete"] and line.get("said", True):
                history.complete_us = at_us

    def may_be_unknown(self, agent: int, at_us: int) -> bool:
        """Whether the agent could become Unknown at that time."""
        begun = [each for each in self._all.values() if each.began_us <= at_us]
        if all(each.closed_us <= at_us + SLACK_US for each in begun):
            return True  # nobody listened
        return any(each.had_ended(at_us) and not each.has_named(agent, at_us) for each in begun)

    def is_unnamed_at_last(self, agent: int) -> bool:
        """Whether the newest history leaves the agent out."""
        return self.newest is not None and not self.newest.has_named(agent, _NEVER)

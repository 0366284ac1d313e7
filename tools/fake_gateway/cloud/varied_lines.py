"""VariedLines: what was told otherwise than it happened, as a ledger says. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from tools.fake_gateway.cloud.variations import HAMMERED, IN_USE

BESIDE = (HAMMERED, IN_USE)
HELD_BACK = ("pending", "pending-never", "not-primary")
_PARTLY = ("presence-left-out", "routing-left-out", "other-source", "odd-time-rest")


class HeldBack(NamedTuple):
    """A change that a call asked for, and that was not made then."""

    what: str
    agent: int
    presence: int
    at_us: int


class Tie(NamedTuple):
    """What of its agent was told before the event of the same time."""

    presence: int
    routing: int


class VariedLines:
    """`counts`: by variation, those that never came included. Numbers of events are the caller's
    business: here an event is named by its agent and its time."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.beside: Counter[str] = Counter()  # of BESIDE
        self.damaged: set[int] = set()  # whose message cannot be told as it is
        self.timeless: set[int] = set()  # whose times were told wrongly, in events
        self.partly: set[int] = set()  # of whom an answer told a part, or at no time
        self.odd: dict[int, list[int]] = {}  # by agent the true times, in µs
        self.ties: dict[tuple[int, int], Tie] = {}
        self.date_of: dict[tuple[int, int], int] = {}  # (agent, told) -> true, in µs
        self.held_back: list[HeldBack] = []
        self.queues_told: dict[int, frozenset[int]] = {}  # by agent: so many, in an event

    @property
    def is_varied(self) -> bool:
        return bool(self.counts)

    def begin(self, line: Mapping[str, Any]) -> None:
        self.counts.update(dict.fromkeys(line["names"], 0))

    def add(self, line: Mapping[str, Any]) -> None:
        what, agent = line["what"], line.get("agent")
        if what in BESIDE:
            self.beside[what] += 1
            return
        self.counts[what] += 1
        if agent is None:
            return
        at_us = line.get("at_ms", 0) * 1000
        if what in _PARTLY:
            self.partly.add(agent)
        elif what == "several-queues":
            told = self.queues_told.get(agent, frozenset())
            self.queues_told[agent] = told | {line["queues"]}
        elif what == "broken-message":
            self.damaged.add(agent)
        elif what == "odd-time":
            self.timeless.add(agent)
            self.odd.setdefault(agent, []).append(at_us)
        elif what == "tie":
            self.ties[agent, at_us] = Tie(line["presence"], line["routing"])
        elif what == "other-date":
            self.date_of[agent, line["told_us"]] = line["at_us"]
        elif what in HELD_BACK:
            self.held_back.append(HeldBack(what, agent, line["presence"], line["on_us"]))

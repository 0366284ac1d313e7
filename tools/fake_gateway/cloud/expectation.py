"""CloudExpectation: what a runtime must have kept, computed from a cloud ledger. Knows no journal.

Everything that happened is made to happen again, from seed, stretches and changes. An event is
named by its number; what an agent was before all events, which only a snapshot tells, by the agent.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from tools.fake_gateway.cloud.activity import Held, Traced
from tools.fake_gateway.cloud.definitions import (
    COMMUNICATING,
    DEFINITIONS,
    IDLE,
    INTERACTING,
    OFF_QUEUE,
    OFFLINE,
    ON_QUEUE,
)
from tools.fake_gateway.cloud.organisation import activity_of
from tools.fake_gateway.cloud.subscribers import LEFT_OUT, NOBODY, Subscribers
from tools.fake_gateway.cloud.topics import ACTIVITY, PRESENCE, ROUTING_STATUS
from tools.fake_gateway.cloud.varied_lines import Tie, VariedLines
from tools.fake_gateway.event_times import Stretch
from tools.fake_gateway.exchanges import Exchanges
from tools.fake_gateway.ledger import LedgerError, read_ledger
from tools.fake_gateway.row_verifier import INITIAL
from tools.fake_gateway.script import Script, ScriptSettings

_SYSTEMS = tuple(definition.system for definition in DEFINITIONS)


class CloudFact(NamedTuple):
    """What a row must say: one of these presences, in the tutorials' words."""

    state: str
    presences: tuple[str, ...]


class PresenceChange(NamedTuple):
    """From outside, by a client of ours or by somebody else."""

    number: int
    agent: int
    presence: int | None
    at_us: int  # the time that the reply named
    made_us: int
    by: str


def fact_of(presence: int, routing: int) -> CloudFact:
    """protocol.md §2, last lines."""
    system = _SYSTEMS[presence]
    if routing in (INTERACTING, COMMUNICATING):
        return CloudFact("Talking", ("busy",))
    if routing == IDLE and system == ON_QUEUE:
        return CloudFact("Available", ("available",))
    if system == OFFLINE and routing == OFF_QUEUE:
        return CloudFact("Not Available", ("offline",))
    return CloudFact("Not Available", ("busy", "break", "available", "offline"))


class CloudExpectation:
    """`of_agent` and `times_us`: per agent the numbers of its events, and their times, growing."""

    def __init__(self, directory: Path) -> None:
        lines = read_ledger(directory)
        run = next(lines, None)
        if run is None or run["kind"] != "run" or run.get("dialect") != "cloud":
            raise LedgerError(f"{directory} holds no ledger of a cloud gateway")
        self.script = Script(ScriptSettings(**run["script"]))
        self.users = self.script.users
        self.agents = len(self.users)
        queues, homes = self.script.queues, self.script.homes
        self._queues_of = [(queues[n], queues[(n + 1) % len(queues)]) for n in homes]
        self._members_text: dict[int, str | None] = {}  # as rows have it
        self._late_every: int = run["late"][0]
        self.copied: set[int] = set()  # events whose frames came again, on whatever socket
        self._activity = activity_of(self.script, (0, 0))
        self.subscribers = Subscribers(self.agents)
        self.varied = VariedLines()
        self.ties: dict[int, Tie] = {}  # by event: what was told before it, at its time
        self.odd: dict[int, list[int]] = {}  # by agent: events whose times were told otherwise
        self.half_told: set[int] = set()  # events of which one part could not be read
        self.queueless: set[int] = set()  # events that told no queue that can be read
        self.unusual: set[int] = set()  # these events
        self.injected_429 = 0  # refusals that no budget gave
        self.of_agent = [array("q") for _ in range(self.agents)]
        self.times_us = [array("q") for _ in range(self.agents)]
        self._before = [self._activity.held(agent) for agent in range(self.agents)]
        self.presences, self.routings = array("b"), array("b")
        self.queues, self.socket_of = array("b"), array("i")
        self._line_firsts, self._line_us = array("q"), array("q")
        self.changes: list[PresenceChange] = []
        self.away = bytearray(self.agents)  # who was not active once, as far as anybody said so
        self.faults: Counter[str] = Counter()
        self.sent_broken = 0
        self.calls: Counter[str] = Counter()
        self.too_many_requests = 0
        self.fullest_window = 0
        self.exchanges = Exchanges()
        self._read_all(lines)

    def _read_all(self, lines: Any) -> None:
        readers: dict[str, Callable[[dict[str, Any]], None]] = {
            "steps": self._steps,
            "change": self._change,
            "stretch": self._stretch,
            "roster": self._roster,
            "call": self._call,
            "webhook": self.exchanges.add,
            "varied": self._vary,
            "variations": self.varied.begin,
        }
        for line in lines:
            kind = line["kind"]
            if (read := readers.get(kind)) is not None:
                read(line)
            elif kind == "fault":
                self.faults[line["what"]] += 1
            elif kind == "broken":
                self.sent_broken += 1
            elif kind == "refused":
                self.injected_429 += line["status"] == 429
            else:
                self.subscribers.add(line)

    def _stretch(self, line: dict[str, Any]) -> None:
        stretch = Stretch(line["first"], line["start_ns"], line["step_ns"])
        self._activity.add_stretch(stretch)

    def _roster(self, line: dict[str, Any]) -> None:
        self.away[line["agent"]] |= line["state"] != "active"

    def _call(self, line: dict[str, Any]) -> None:
        self.calls[line["what"]] += 1
        self.too_many_requests += line["limited"]
        self.fullest_window = max(self.fullest_window, line["calls"])

    def _vary(self, line: dict[str, Any]) -> None:
        self.varied.add(line)
        what, agent = line["what"], line.get("agent", -1)
        if what == "deaf":
            self.subscribers.deafen(line["channel"], line["agents"], line["head"])
        elif what == "invalid-topic":
            self.subscribers.refuse(agent, self.head)
        elif what == "page-shift":
            self.away[agent] |= line["how"] == "on none"
        elif what in ("tie", "odd-time", "odd-part"):
            number = self.number_at(agent, line["at_ms"] * 1000)
            if number is None or number < 0:
                raise LedgerError(f"{what} of an event that did not happen: {line}")
            self.unusual.add(number)
            if what == "tie":
                self.ties[number] = Tie(line["presence"], line["routing"])
            elif what == "odd-part":
                is_queue = line["part"] == "activeQueueIds"
                (self.queueless if is_queue else self.half_told).add(number)
            else:
                self.odd.setdefault(agent, []).append(number)

    def _steps(self, line: dict[str, Any]) -> None:
        first, count = line["first"], line["last"] + 1 - line["first"]
        if first != self._activity.head:
            raise LedgerError(f"event {self._activity.head} is missing before {first}")
        every, step = self._late_every, self._activity.steps
        if every:
            self.copied.update(range(first + every - 1 - step % every, first + count, every))
        self._add(self._activity.trace(count), line["at_us"])

    def _change(self, line: dict[str, Any]) -> None:
        agent = line["agent"]
        at_ms = self._activity.change(
            agent,
            line["at_ms"],
            presence=line["presence"],
            routing=line["routing"],
            message=line["message"],
        )
        told = (line["number"], agent, line["presence"], at_ms * 1000, line["at_us"])
        change = PresenceChange(*told, line["by"])
        self.changes.append(change)
        held = self._activity.held(agent)
        one = ((agent,), (at_ms,), (held.presence,), (held.routing,), (held.queues,))
        codes = ("i", "q", "b", "b", "b")
        traced = Traced(*(array(code, value) for code, value in zip(codes, one, strict=True)))
        self._add(traced, line["at_us"])

    def _add(self, traced: Traced, at_us: int) -> None:
        number = len(self.socket_of)
        self._line_firsts.append(number)
        self._line_us.append(at_us)
        of_agent, times_us = self.of_agent, self.times_us
        for agent, time_ms in zip(traced.agents, traced.times_ms, strict=True):
            of_agent[agent].append(number)
            times_us[agent].append(time_ms * 1000)
            number += 1
        self.presences += traced.presences
        self.routings += traced.routings
        self.queues += traced.queues
        self.socket_of.extend(map(self.subscribers.told.__getitem__, traced.agents))

    # What happened.

    @property
    def head(self) -> int:
        return len(self.socket_of)

    @property
    def is_whole(self) -> bool:
        """Whether every event tells its agent's whole state."""
        return self.subscribers.masks <= {ACTIVITY}

    @property
    def is_all_told(self) -> bool:
        """Whether every event has a frame, for whoever hears of its agent."""
        both = PRESENCE | ROUTING_STATUS
        return all(mask & ACTIVITY or mask & both == both for mask in self.subscribers.masks)

    def sent_us(self, number: int) -> int:
        return self._line_us[bisect_right(self._line_firsts, number) - 1]

    def number_at(self, agent: int, at_us: int) -> int | None:
        """The event of an agent at that time, INITIAL, or None."""
        times = self.times_us[agent]
        place = bisect_left(times, at_us)
        if place < len(times) and times[place] == at_us:
            return self.of_agent[agent][place]
        held = self._before[agent]
        before = (held.presence_ms, held.routing_ms, held.away_ms, held.queues_ms)
        return INITIAL if any(at_us == time_ms * 1000 for time_ms in before) else None

    def last_number(self, agent: int, end: int | None = None) -> int:
        """Of the agent's last event, below `end`; or INITIAL."""
        numbers = self.of_agent[agent]
        place = len(numbers) if end is None else bisect_left(numbers, end)
        return numbers[place - 1] if place else INITIAL

    def numbers_from(self, agent: int, begin: int) -> array[int]:
        numbers = self.of_agent[agent]
        return numbers[bisect_left(numbers, begin) :]

    def numbers_since(self, agent: int, at_us: int) -> array[int]:
        """Of the agent's events since that time."""
        place = bisect_left(self.times_us[agent], at_us)
        return self.of_agent[agent][place:]

    def fact(self, agent: int, number: int) -> CloudFact:
        if number == INITIAL:
            held: Held = self._before[agent]
            return fact_of(held.presence, held.routing)
        return fact_of(self.presences[number], self.routings[number])

    def is_new(self, agent: int, number: int) -> bool:
        """Whether that event made anything else of its agent, apart from times and queues."""
        before = self.last_number(agent, number)
        then = self.fact_parts(agent, before)
        return then != self.fact_parts(agent, number)

    def fact_parts(self, agent: int, number: int) -> tuple[int, int]:
        """(presence, routing)"""
        if number == INITIAL:
            held = self._before[agent]
            return held.presence, held.routing
        return self.presences[number], self.routings[number]

    def mixed_states(self, agent: int, number: int) -> set[str]:
        """Of one part as of that event, and the other as it was at any time before: what may be
        held of somebody of whom an answer has told one part alone."""
        presence, routing = self.fact_parts(agent, number)
        numbers = [INITIAL, *(n for n in self.of_agent[agent] if n <= number)]
        parts = [self.fact_parts(agent, one) for one in numbers]
        return {fact_of(presence, one).state for _, one in parts} | {
            fact_of(one, routing).state for one, _ in parts
        }

    def is_queue_new(self, agent: int, number: int) -> bool:
        """Whether that event changed the agent's queues; before all events they were new."""
        before = self.last_number(agent, number) if number >= 0 else INITIAL
        return number < 0 or self.queues[number] != (self.queues[before] if before >= 0 else 0)

    def queue(self, agent: int, number: int) -> str:
        """The one that the agent is active in."""
        return self._queues_of[agent][self.queues[number] if number >= 0 else 0]

    def memberships(self, agent: int) -> frozenset[str]:
        """The queues that the agent is a member of, whichever it is active in."""
        return frozenset(self._queues_of[agent])

    def is_queue(self, agent: int, number: int, text: str | None) -> bool:
        """Whether a row may bear this text as the agent's queues: all that it is a member of, or,
        before these were read, those that an event told it is active in. Several, and one whose id
        begins like a list, are a JSON array."""
        if text == self._members_text.get(agent, ""):
            return True
        queues = [] if text is None else orjson.loads(text) if text[:1] == "[" else [text]
        if self.away[agent] and frozenset(queues) <= self.memberships(agent):
            return True  # lists that were read then did not have everybody
        if frozenset(queues) == self.memberships(agent) and len(queues) == len(set(queues)):
            self._members_text[agent] = text
            return True
        told = self.queues_told(agent)
        return queues[:1] == [self.queue(agent, number)] and len(queues) in told

    def queues_told(self, agent: int) -> frozenset[int]:
        """How many queues an event may have told that the agent is active in."""
        return self.varied.queues_told.get(agent, frozenset()) | {1}

    def may_be_unknown(self, agent: int) -> bool:
        """Whether a snapshot may have failed to name somebody who was to be heard of."""
        return bool(self.away[agent]) or self.subscribers.was_left[agent] > 0

    def final_held(self, agent: int) -> Held:
        """As all that happened has left the agent."""
        return self._activity.held(agent)

    def is_left_out(self, agent: int) -> bool:
        """At the end."""
        return self.subscribers.told[agent] == LEFT_OUT

    def end_of(self, agent: int) -> int | None:
        """Behind the last event that the agent's last socket may have been told; None: it stands
        to the end."""
        if self.subscribers.left[agent] >= 0:
            return self.subscribers.left[agent]
        socket = self.subscribers.last_socket[agent]
        return None if socket == NOBODY else self.subscribers.sockets[socket].closed_head

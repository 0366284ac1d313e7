"""Expectation: what a runtime must have kept, computed from a ledger. Knows no journal.

Every event that happened is computed again from seed, event times and numbering; the ledger says
which of them were put on a socket, and when first. An event is named by its number; the initial
state of an agent, which only a history tells, by the agent.
"""

from __future__ import annotations

from array import array
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from tools.fake_gateway.event_times import EventTimes, Stretch
from tools.fake_gateway.exchanges import Exchanges
from tools.fake_gateway.ledger import LEDGER_NAME, LedgerError, read_ledger
from tools.fake_gateway.script import (
    PRESENCES,
    STATES,
    WHOLE_AGENT,
    WITH_CORRELATION,
    WITH_PRESENCE,
    WITH_QUEUE,
    Change,
    Script,
    ScriptSettings,
)
from tools.fake_gateway.wsp.allowed_losses import AllowedLosses, Span
from tools.fake_gateway.wsp.event_log import EventLog
from tools.fake_gateway.wsp.fault_outcomes import FaultOutcomes
from tools.fake_gateway.wsp.faults import FRAME_FAULTS
from tools.fake_gateway.wsp.frames import FrameWriter
from tools.fake_gateway.wsp.histories import Histories
from tools.fake_gateway.wsp.numbering import Epoch, Numbering
from tools.fake_gateway.wsp.order import DeliveryOrder

SENT, SENT_OF_UPDATE = 1, 2  # an event that was put on a socket, and one that an update caused


class Fact(NamedTuple):
    """What a row must say."""

    state: str
    at_us: int
    queue: str | None


class Extras(NamedTuple):
    """What a row must say as well, if every subscription asked for it."""

    presence: str | None
    correlation: str | None


class Expectation:
    """After `read`: `sent` and `named` have a byte per event, `first_sent_us` a time."""

    def __init__(self, directory: Path) -> None:
        lines = list(read_ledger(directory)) if (directory / LEDGER_NAME).exists() else []
        if not lines or lines[0]["kind"] != "run":
            raise LedgerError(f"{directory} holds no ledger that begins with its run")
        run = lines[0]
        self.script = Script(ScriptSettings(**run["script"]))
        self.event_log = EventLog(self.script)
        self.order = DeliveryOrder(run["script"]["seed"], **run["order"])
        self.event_times = EventTimes(self.script.distance_min)
        self.numbering = Numbering(run["script"]["agents"])
        self.writer = FrameWriter(self.script)
        self._allowed_losses = AllowedLosses(self.numbering, run["order"].get("window", 0))
        self.named_by = Histories()
        self.sockets: list[int] = []  # acknowledged ones
        self.shapes: set[int] = set()  # that they asked for
        self.seen_epochs: list[Epoch] = []  # in the order in which a runtime met them: 1, 2, …
        self.begin: int | None = None  # the first event that must be kept
        self.end = 0  # behind the last event that was told, on any socket and in any way
        self.sent_events = self.sent_history = self.sent_broken = 0
        self.histories: set[str] = set()  # names of epochs in which a history was sent
        self.whole_histories = 0
        self.is_history_whole = False  # of the last acknowledged socket, which was not taken away
        self.faults: Counter[str] = Counter()
        self.generated: int | None = None  # events that had happened at a clean end
        self.fault_outcomes = FaultOutcomes()
        self.exchanges = Exchanges()
        head = self._prepare(lines)
        self.head = head
        self.agents, self.states, self.queues, self.times_ms = (
            self.writer.facts(0, head) if head else (array("i"),) * 4
        )
        self.sent, self.named = bytearray(head), bytearray(head)
        self.first_sent_us = array("q", bytes(8 * head))
        self._last_changes: dict[int, array[int]] = {}
        for line in lines:
            self._read(line)
        for number in self.event_log.numbers:
            if number < head and self.sent[number]:
                self.sent[number] = SENT_OF_UPDATE

    def _prepare(self, lines: list[dict[str, Any]]) -> int:
        """Numbering and event times; returns how many events the lines speak of."""
        head = 0
        for line in lines:
            kind = line["kind"]
            if kind == "epoch":
                epoch = Epoch(line["name"], line["first"], line["first_sequence"], line.get("told"))
                self.numbering.begin(epoch)
                self.writer.add_epoch(epoch)
            elif kind == "stretch":
                stretch = Stretch(line["first"], line["start_ns"], line["step_ns"])
                self.event_times.add(stretch)
                self.writer.add_stretch(stretch)
            elif kind == "change":
                change = Change(**{name: line[name] for name in Change._fields})
                self.event_log.add(change)
                self.writer.add_change(change)
            elif kind == "sent":
                # A position's event lies within its block, which was begun if not ended.
                head = max(head, self.order.whole(line["last"] + 1))
            elif kind in ("subscribed", "history"):
                head = max(head, line["head"])
        return head

    def _read(self, line: dict[str, Any]) -> None:
        kind = line["kind"]
        self.fault_outcomes.add(line)
        self.exchanges.add(line)
        self._allowed_losses.add(line)
        self.named_by.add(line)
        if kind == "sent":
            self._sent(line["first"], line["last"] + 1, line["at_us"])
        elif kind == "subscribed":
            self.sockets.append(line["socket"])
            self.shapes.add(line["shape"])
            self.is_history_whole = False
            if self.begin is None:
                self.begin = line["head"]
            epoch = self.numbering.named(line["epoch"])
            if epoch not in self.seen_epochs:
                self.seen_epochs.append(epoch)
        elif kind == "history":
            self._named(line)
        elif kind == "end":
            self.generated = line["generated"]
        elif kind == "closed" and self.sockets and line["socket"] == self.sockets[-1]:
            # Who was thrown out may rightly have given up and hold everybody as Unknown.
            self.is_history_whole &= line["reason"].startswith("closed by the client")
        elif kind == "fault":
            self.faults[line["what"]] += 1
            self.sent_broken += line["what"] in (*FRAME_FAULTS, "poison")

    def _sent(self, first: int, end: int, at_us: int) -> None:
        if self.order.is_plain:
            self.sent_events += end - first
            self.end = max(self.end, end)
            if self.sent.find(1, first, end) < 0:
                self.sent[first:end] = bytes((SENT,)) * (end - first)
                self.first_sent_us[first:end] = array("q", [at_us]) * (end - first)
                return
            numbers = array("q", range(first, end))
        else:
            numbers = self.order.numbers(first, end, self.numbering.epoch_of(first).first)
            self.sent_events += len(numbers)
            self.end = max(self.end, max(numbers) + 1)
        for number in numbers:
            if not self.sent[number]:
                self.sent[number] = SENT
                self.first_sent_us[number] = at_us

    def _named(self, line: dict[str, Any]) -> None:
        head, first, last = line["head"], line["first"], line["last"]
        self.sent_history += last + 1 - first
        self.end = max(self.end, head)
        changes = self.last_changes(head)
        for number in changes[first : last + 1]:
            if number >= 0:
                self.named[number] = 1
        self.histories.add(self.numbering.epoch_of(head).name)
        self.is_history_whole = bool(line["complete"])
        self.whole_histories += self.is_history_whole

    def last_changes(self, head: int) -> array[int]:
        """Per agent its last event below `head`, or -1; kept, because histories come in parts."""
        if head not in self._last_changes:
            self._last_changes.clear()
            self._last_changes[head] = self.writer.last_changes(head)
        return self._last_changes[head]

    def fact(self, number: int) -> Fact:
        return Fact(
            STATES[self.states[number]],
            self.times_ms[number] * 1000,
            self.script.queues[self.queues[number]] if self.carries(WITH_QUEUE) else None,
        )

    def initial(self, agent: int) -> Fact:
        change = self.script.initial(agent)
        return Fact(
            STATES[change.state],
            self.script.initial_ms(agent) * 1000,
            self.script.queues[change.queue] if self.carries(WITH_QUEUE) else None,
        )

    def extras(self, agent: int, number: int) -> Extras:
        """Of an event, or (number < 0) of the agent's initial state."""
        change = self.event_log.change(number) if number >= 0 else self.script.initial(agent)
        has_presence = self.carries(WITH_PRESENCE) and change.has_presence
        if self.carries(WHOLE_AGENT):
            has_presence = True
        return Extras(
            PRESENCES[change.presence] if has_presence else None,
            change.correlation if self.carries(WITH_CORRELATION) else None,
        )

    @property
    def has_extras(self) -> bool:
        settings = self.script.settings
        return bool(
            self.carries(WHOLE_AGENT) or settings.presence_every or settings.correlation_every
        )

    def carries(self, part: int) -> bool:
        """Whether every socket was sent that part of an event."""
        return all(shape & (part | WHOLE_AGENT) for shape in self.shapes)

    def epoch_end(self, epoch: Epoch) -> int:
        """Behind the last event that the epoch numbered."""
        epochs = self.numbering.epochs
        place = epochs.index(epoch) + 1
        return epochs[place].first if place < len(epochs) else self.head

    def excused(self, gaps: set[tuple[int, int, int]]) -> list[Span]:
        """What a journal's gap rows (epoch, first, last sequence) account for."""
        return self._allowed_losses.meet(gaps, self.seen_epochs)

    @property
    def newest_mark(self) -> tuple[int, int]:
        """What a runtime that has met everything holds: the number of its epoch, a sequence."""
        head = self.head if self.generated is None else self.generated
        return len(self.seen_epochs), self.numbering.newest_sequence(head)

    @property
    def required(self) -> Span:
        """Every event behind the first acknowledgement, up to the last that was told."""
        begin = self.end if self.begin is None else self.begin
        return Span(begin, max(begin, self.end))

"""Around the machine: a clock, shards, users and a gateway that say only what they are told to."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from typing import Any

from actors.messages.commands import Accepted, CommandRequest, Rejected, StatusChanged
from actors.messages.partition import shard_of
from actors.messages.queries import (
    AgentRecord,
    AskAgent,
    AskQueue,
    QueueRecord,
    TransitionSeen,
    Watch,
)
from actors.sender import signals
from actors.sender.capacity import CapacityAnalyzer
from actors.sender.commands import Action, Ask, Command, CommandStep, Record, ReportOutcome
from actors.sender.dialect import Dialect, WspDialect
from actors.sender.machine import CommandMachine
from actors.settings.sender import SenderSettings

WALL_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z
SHARDS = 2


class Around:
    """Shards answer at once unless they are silent; users exist; the gateway says nothing by
    itself. `pass_s` lets time pass and wakes the machine exactly when it wants to be woken."""

    def __init__(
        self,
        analyzer: CapacityAnalyzer | None = None,
        *,
        line: int | None = 1,
        dialect: Callable[[SenderSettings], Dialect] = WspDialect,
        **settings: Any,
    ) -> None:
        self.settings = SenderSettings(**settings)
        self.analyzer = analyzer
        self.dialect = dialect
        self.now_s = 1_000.0
        self.wall_slip_us = 0
        self.rng = random.Random(7)
        self.orders = 0
        self.agents: dict[str, AgentRecord] = {}
        self.users: dict[str, signals.UserChecked] = {}
        self.queues: dict[tuple[int, str], QueueRecord] = {}
        self.silent: set[int] = set()  # shards
        self.uncounting: set[int] = set()  # shards that are slow to count a queue
        self.is_user_check_silent = False
        self.records: list[Record] = []
        self.store: dict[str, Command] = {}
        self.said: list[Accepted | StatusChanged | Rejected] = []
        self.asked: list[Ask] = []
        self.checked: list[str] = []
        self.sent: list[signals.Send | signals.Patch] = []
        self.sent_at_s: list[float] = []
        self.start()
        if line is not None:
            self.signal(signals.LineUp(line))
        self.pass_s(1.0)  # the bucket of the rate is full again

    @property
    def now_us(self) -> int:
        return WALL_US + round(self.now_s * 1e6) + self.wall_slip_us

    def start(self) -> None:
        """A sender starts, or starts again: what the store has is all that is left."""
        self.machine = CommandMachine(
            self.settings,
            SHARDS,
            random.Random(self.rng.random()),
            self.analyzer,
            dialect=self.dialect(self.settings),
        )
        unsettled = [each for each in self.store.values() if not each.step.is_end]
        self.do(self.machine.restore(unsettled, self.now_s, self.now_us))

    # What comes in

    def order(self, user_id: str = "ann", to_state: str = "busy", **fields: Any) -> str:
        """Somebody orders; ann and whoever is not told of otherwise is available, in no queue."""
        self.orders += 1
        command_id = fields.pop("command_id", str(uuid.UUID(int=self.orders, version=4)))
        order = CommandRequest(
            order=self.orders,
            command_id=command_id,
            key=fields.pop("key", command_id),
            who="uid:1000",
            user_id=user_id,
            to_state=to_state,
            reason=fields.pop("reason", ""),
            expected=fields.pop("expected", None),
            forced=fields.pop("forced", False),
            at_us=self.now_us,
        )
        stored = self.store.values()
        bound = next((each for each in stored if order.key == each.key), None)
        bound = fields.pop("bound", self.store.get(order.command_id, bound))
        assert not fields, fields
        self.do(self.machine.order(order, bound, self.now_s, self.now_us))
        return order.command_id

    def signal(self, signal: signals.Signal) -> None:
        self.do(self.machine.signal(signal, self.now_s, self.now_us))

    def answer(self, shard: int, answer: AgentRecord | QueueRecord | TransitionSeen) -> None:
        self.do(self.machine.answer(shard, answer, self.now_s, self.now_us))

    def acknowledge(self, command_id: str) -> None:
        self.signal(signals.Acknowledged(command_id, True, 200, "", "", None))

    def answer_with(self, command_id: str, shown_as: str) -> None:
        """Of a call in the cloud."""
        self.signal(signals.Acknowledged(command_id, True, 200, "", "", None, shown_as))

    def decline(self, command_id: str, status: int, **said: Any) -> None:
        told = {"code": "", "message": "", "retry_after_ms": None} | said
        self.signal(signals.Acknowledged(command_id, False, status, **told))

    def show(self, correlation: str, user_id: str = "ann", *, definition: str = "d-meal") -> None:
        shown = TransitionSeen(correlation, user_id, "Talking", "busy", self.now_us, definition)
        self.answer(shard_of(user_id, SHARDS), shown)

    def pass_s(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        for _ in range(10_000):
            due_s = self.machine.due_s
            if due_s is None or due_s > until_s:
                break
            self.now_s = max(self.now_s, due_s)
            self.signal(signals.Due())
        else:
            raise AssertionError("it is due for ever")
        self.now_s = until_s

    # What the world is

    def agent(self, user_id: str, state: str | None = "Available", **fields: Any) -> None:
        told = AgentRecord(0, user_id, state, None, None, self.now_us, None)
        self.agents[user_id] = told._replace(**fields)

    def counts(self, queue: str, available: int, busy: int = 0, **fields: Any) -> None:
        """All of them are shard 0's."""
        for shard in range(SHARDS):
            told = QueueRecord(0, queue, 0, 0, 0, 0, None)
            if shard == 0:
                told = told._replace(available=available, busy=busy, **fields)
            self.queues[shard, queue] = told

    # What comes out

    def command(self, command_id: str) -> Command:
        return self.store[command_id]

    def steps(self, command_id: str) -> list[str]:
        """As the audit has them."""
        return [str(each.step) for each in self.records if each.command.id == command_id]

    def told(self, command_id: str) -> StatusChanged:
        """What web heard of it last."""
        told = [each for each in self.said if isinstance(each, StatusChanged)]
        return [each for each in told if each.command_id == command_id][-1]

    def refused(self, command_id: str) -> tuple[str, str]:
        """Code and detail of what was refused before it was ever sent."""
        command = self.command(command_id)
        assert (command.step, command.tries) == (CommandStep.REFUSED, 0)
        assert self.told(command_id).code == command.code
        return command.code, command.detail

    def tries(self, command_id: str) -> int:
        return sum(each.correlation == command_id for each in self.sent)

    def watches(self, correlation: str) -> int:
        watches = [each.question for each in self.asked if isinstance(each.question, Watch)]
        return sum(each.correlation == correlation for each in watches)

    def do(self, actions: list[Action]) -> None:
        """All records first, as the actor does."""
        for action in actions:
            if isinstance(action, Record):
                self._keep(action)
        for action in actions:
            match action:
                case ReportOutcome(outcome=outcome):
                    if isinstance(outcome, Accepted):
                        assert outcome.command_id in self.store, "taken before it is durable"
                    self.said.append(outcome)
                case Ask():
                    self.asked.append(action)
                    self._reply(action)
                case signals.Send() | signals.Patch():
                    assert self.store[action.correlation].step is CommandStep.SENT, "not durable"
                    self.sent.append(action)
                    self.sent_at_s.append(self.now_s)
                case signals.CheckUser(user_id=user_id):
                    self.checked.append(user_id)
                    self._check(user_id)

    def _keep(self, record: Record) -> None:
        command = record.command
        before = self.store.get(command.id)
        assert before is None or not before.step.is_end, f"{before} has its end"
        assert record.step == command.step
        assert record.at_us == self.now_us
        assert (command.ended_us is None) != command.step.is_end
        assert (record.webhook is not None) == (command.step is CommandStep.ACKNOWLEDGED)
        bound = [each.id for each in self.store.values() if each.key == command.key is not None]
        assert bound in ([], [command.id]), "a key twice"
        self.store[command.id] = command
        self.records.append(record)

    def _reply(self, ask: Ask) -> None:
        if ask.shard in self.silent:
            return
        match ask.question:
            case AskAgent(question=question, user_id=user_id):
                assert ask.shard == shard_of(user_id, SHARDS)
                if user_id not in self.agents:
                    self.agent(user_id)
                self.answer(ask.shard, self.agents[user_id]._replace(question=question))
            case AskQueue(question=question, queue=queue) if ask.shard not in self.uncounting:
                told = self.queues[ask.shard, queue]
                self.answer(ask.shard, told._replace(question=question))
            case Watch(user_id=user_id):
                assert ask.shard == shard_of(user_id, SHARDS)

    def _check(self, user_id: str) -> None:
        if not self.is_user_check_silent:
            exists = signals.UserChecked(user_id, "exists", "")
            self.signal(self.users.get(user_id, exists))

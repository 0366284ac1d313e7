"""The world of a command machine, in plain lists: a store, shards, a stream, a gateway, a loop.

Nothing happens in it by itself. What the machine wants done stands in a queue until somebody does
it, in order, so that a crash may come between any two steps.
"""

from __future__ import annotations

import random
import uuid
from collections import deque
from typing import Final

from actors.genesys.presences import held
from actors.messages.commands import Accepted, CommandRequest, Rejected, StatusChanged
from actors.messages.partition import shard_of
from actors.messages.queries import (
    AgentRecord,
    Answer,
    AskAgent,
    AskQueue,
    Question,
    QueueRecord,
    TransitionSeen,
    Watch,
)
from actors.sender import signals
from actors.sender.commands import Action, Ask, Command, CommandStep, Record, ReportOutcome
from actors.sender.machine import CommandMachine
from actors.settings.sender import SenderSettings

SHARDS: Final = 2
QUEUE: Final = "support"
USERS: Final = ("ann", "bob", "cyd", "dan")
WALL_US: Final = 1_767_225_600_000_000

BEFORE_SEND: Final = {CommandStep.ACCEPTED, CommandStep.VALIDATED, CommandStep.ADMITTED}
FOLLOWS: Final[dict[CommandStep | None, set[CommandStep]]] = {
    None: {CommandStep.ACCEPTED},
    CommandStep.ACCEPTED: {CommandStep.VALIDATED, CommandStep.REFUSED},
    CommandStep.VALIDATED: {
        CommandStep.VALIDATED,
        CommandStep.ADMITTED,
        CommandStep.REFUSED,
    },  # twice: validated again
    CommandStep.ADMITTED: {
        CommandStep.VALIDATED,
        CommandStep.SENT,
        CommandStep.REFUSED,
        CommandStep.ACKNOWLEDGED,
        CommandStep.PENDING,
    },
    CommandStep.SENT: {
        CommandStep.ADMITTED,
        CommandStep.PENDING,
        CommandStep.UNANSWERED,
        CommandStep.ACKNOWLEDGED,
        CommandStep.REFUSED,
    },
    CommandStep.UNANSWERED: {
        *(CommandStep.SENT, CommandStep.UNANSWERED, CommandStep.ACKNOWLEDGED, CommandStep.ADMITTED),
        *(CommandStep.REFUSED, CommandStep.UNKNOWN, CommandStep.PENDING),
    },
    CommandStep.PENDING: {CommandStep.ACKNOWLEDGED, CommandStep.UNCONFIRMED},
    CommandStep.ACKNOWLEDGED: {CommandStep.CONFIRMED, CommandStep.UNCONFIRMED},
}
"""The steps that an audit may show one after the other; an end is followed by nothing."""


class World:
    def __init__(self, settings: SenderSettings) -> None:
        self.settings = settings
        self.now_s = 1_000.0
        self.lives = 0
        self.line: int | None = None
        self.lines = 0
        self.numbers = 0
        # The store: what is committed.
        self.store: dict[str, Command] = {}
        self.audit: dict[str, list[CommandStep]] = {}
        self.webhooks: dict[str, int] = {}
        # What the sender wants done and nobody has done yet.
        self.todo: deque[Action] = deque()
        self.asked: deque[tuple[int, Question]] = deque()
        self.users: deque[str] = deque()
        self.granted_s: list[float] = []
        self.resumed = 0
        # What is true out there.
        self.agents: dict[str, tuple[str, str]] = dict.fromkeys(USERS, ("Available", "available"))
        self.applied: dict[str, int] = {}
        self.shown: set[str] = set()
        self.stale_since_us: int | None = None
        self.acks: deque[tuple[int, signals.Acknowledged]] = deque()
        self.machine = self.new_machine()

    @property
    def now_us(self) -> int:
        return WALL_US + round(self.now_s * 1e6)

    # The sender's process

    def new_machine(self) -> CommandMachine:
        self.lives += 1
        machine = self.make_machine(random.Random(self.lives))
        unsettled = [each for each in self.store.values() if not each.step.is_end]
        self.resumed = sum(each.step not in BEFORE_SEND for each in unsettled)
        self.do(machine.restore(unsettled, self.now_s, self.now_us))
        return machine

    def make_machine(self, rng: random.Random) -> CommandMachine:
        return CommandMachine(self.settings, SHARDS, rng)

    def crash(self) -> None:
        """What was not committed is lost, and what was not done is not done; so is the socket."""
        self.line = None
        for left in (self.todo, self.asked, self.users, self.acks):
            left.clear()
        self.machine = self.new_machine()

    def lose_uncommitted(self, command_id: str, key: str) -> None:
        """An order comes in, and the sender is killed before anything of it is durable."""
        order = self.make_order(command_id, key, "ann", "busy", False)
        self.machine.order(order, self.bound(order), self.now_s, self.now_us)
        self.crash()

    def order(self, key: str, user_id: str, to_state: str, forced: bool) -> None:
        self.numbers += 1
        command_id = str(uuid.UUID(int=self.numbers, version=4))
        order = self.make_order(command_id, key or command_id, user_id, to_state, forced)
        self.do(self.machine.order(order, self.bound(order), self.now_s, self.now_us))

    def make_order(
        self, command_id: str, key: str, user_id: str, to_state: str, forced: bool
    ) -> CommandRequest:
        wanted = (user_id, to_state, "", None, forced)
        return CommandRequest(self.numbers, command_id, key, "uid:1", *wanted, self.now_us)

    def bound(self, order: CommandRequest) -> Command | None:
        return next((each for each in self.store.values() if each.key == order.key), None)

    def signal(self, signal: signals.Signal) -> None:
        self.do(self.machine.signal(signal, self.now_s, self.now_us))

    def answer(self, shard: int, answer: Answer) -> None:
        self.do(self.machine.answer(shard, answer, self.now_s, self.now_us))

    def pass_s(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        while self.machine.due_s is not None and self.machine.due_s <= until_s:
            before = (self.machine.due_s, self.machine.unsettled, len(self.todo))
            self.now_s = max(self.now_s, self.machine.due_s)
            self.signal(signals.Due())
            after = (self.machine.due_s, self.machine.unsettled, len(self.todo))
            assert before != after, "it is due for ever"
        self.now_s = until_s

    def do(self, actions: list[Action]) -> None:
        """One transaction; the rest waits to be done."""
        for action in actions:
            if isinstance(action, Record):
                self.commit(action)
            elif isinstance(action, signals.Send | signals.Patch):
                self.granted_s.append(self.now_s)
        self.todo.extend(each for each in actions if not isinstance(each, Record))

    def commit(self, record: Record) -> None:
        command = record.command
        before = self.store.get(command.id)
        last = before.step if before is not None else None
        assert command.step in FOLLOWS.get(last, set()), f"{last} → {command.step}"
        others = [each.id for each in self.store.values() if each.key == command.key is not None]
        assert others in ([], [command.id]), "two commands under one key"
        if command.step is CommandStep.UNCONFIRMED and self.stale_since_us is not None:
            most_s = self.settings.confirm_s + self.settings.confirm_stale_s
            assert self.now_us - (command.acknowledged_us or 0) >= most_s * 1e6, "it may be shown"
        self.store[command.id] = command
        self.audit.setdefault(command.id, []).append(command.step)
        if record.webhook is not None:
            self.webhooks[command.id] = self.webhooks.get(command.id, 0) + 1

    # What it wants done, the first of it

    def do_next(self, fate: str) -> None:
        match self.todo.popleft():
            case Ask(shard=shard, question=question):
                self.asked.append((shard, question))
            case ReportOutcome(
                outcome=Accepted(command_id=command_id) | StatusChanged(command_id=command_id)
            ):
                assert command_id in self.store, "taken before it was durable"
            case ReportOutcome(outcome=Rejected(code=code)):
                assert code == "key-bound"
            case signals.CheckUser(user_id=user_id):
                self.users.append(user_id)
            case signals.Send() | signals.Patch() as send:
                self.receive(send, fate)

    def receive(self, send: signals.Send | signals.Patch, fate: str) -> None:
        """`fate`: what becomes of the frame and of its acknowledgement."""
        assert isinstance(send, signals.Send)
        correlation = send.correlation
        assert send.frame.endswith(b"|corr:" + correlation.encode())
        if send.line != self.line:
            self.signal(signals.NotSent(correlation))
        elif fate == "lost":
            pass
        elif fate in {"403", "429", "500"}:  # decided before anybody looks at what was seen
            self.acks.append((send.line, _ack(correlation, int(fate))))
        elif correlation in self.applied:  # seen before: acknowledged again, not applied twice
            self.acks.append((send.line, _ack(correlation, 200)))
        else:
            self.applied[correlation] = self.applied.get(correlation, 0) + 1
            command = self.store[correlation]
            self.agents[command.user_id] = (_STATE_OF[command.to_state], command.to_state)
            if fate != "unanswered":
                self.acks.append((send.line, _ack(correlation, 200)))

    def go_on(self, fates: list[str]) -> None:
        """Until nobody has anything to do but the gateway, and time."""
        sent = 0
        while self.todo or self.asked or self.users:
            if self.todo:
                sent += isinstance(self.todo[0], signals.Send | signals.Patch)
                self.do_next(fates[sent % len(fates)])
            elif self.asked:
                self.reply_next(is_lost=False)
            else:
                self.check_next("exists")

    # What the others say

    def acknowledge_next(self, *, is_lost: bool, is_repeated: bool) -> None:
        line, ack = self.acks.popleft()
        if line == self.line and not is_lost:
            self.signal(ack)
            if is_repeated and ack.success:
                self.signal(ack)

    def reply_next(self, *, is_lost: bool) -> None:
        shard, question = self.asked.popleft()
        if is_lost:
            return
        match question:
            case AskAgent(question=number, user_id=user_id):
                assert shard == shard_of(user_id, SHARDS)
                told = (*self.agents[user_id], QUEUE, self.now_us, self.stale_since_us)
                self.answer(shard, self.native(AgentRecord(number, user_id, *told)))
            case AskQueue(question=number, queue=queue):
                self.answer(shard, QueueRecord(number, queue, *self.count(shard), None))
            case Watch():
                if (shown := self.shown_of(question)) is not None:
                    self.answer(shard, shown)

    def shown_of(self, watch: Watch) -> TransitionSeen | None:
        """What the stream has shown of what is waited for."""
        if watch.correlation not in self.shown:
            return None
        user_id = watch.user_id
        return TransitionSeen(watch.correlation, user_id, *self.agents[user_id], self.now_us)

    def native(self, told: AgentRecord) -> AgentRecord:
        """With what only the cloud dialect knows."""
        return told

    def show(self) -> None:
        """The stream shows what was applied."""
        self.shown |= self.applied.keys()

    def is_shown(self, command: Command) -> bool:
        return command.id in self.shown

    def by_hand(self, user_id: str, presence: str) -> None:
        self.agents[user_id] = (_STATE_OF[presence], presence)

    def count(self, shard: int) -> tuple[int, int, int, int]:
        mine = [self.agents[each] for each in USERS if shard_of(each, SHARDS) == shard]
        presences = [held(*each, self.settings.presence_of_state) for each in mine]
        available, busy = presences.count("available"), presences.count("busy")
        return available, busy, len(mine) - available - busy, 0

    def check_next(self, verdict: str) -> None:
        user_id = self.users.popleft()
        match verdict:
            case "exists" | "missing" | "failed" as said:
                self.signal(signals.UserChecked(user_id, said, ""))

    def line_up(self) -> None:
        self.lines += 1
        self.line = self.lines
        self.signal(signals.LineUp(self.line))

    def line_down(self) -> None:
        assert self.line is not None, "there is one"
        line, self.line = self.line, None
        self.signal(signals.LineDown(line, "cut"))


_STATE_OF: Final = {
    "available": "Available",
    "busy": "Talking",
    "break": "Not Available",
    "offline": "Not Available",
}


def _ack(correlation: str, status: int) -> signals.Acknowledged:
    return signals.Acknowledged(correlation, status == 200, status, "", "", None)

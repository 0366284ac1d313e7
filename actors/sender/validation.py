"""Validation: what must be asked about a command before it may be admitted, and what came of it.
Pure.

Agent first, then user, then capacity. Knows no permit, socket or store: answers and time in,
verdicts out; what is to be asked goes to `act`. Everything is asked again until it is answered, and
nothing is waited for longer than its limit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, TypeAlias

from actors.messages.partition import shard_of
from actors.messages.queries import AgentRecord, AskAgent, AskQueue, QueueRecord
from actors.messages.queues import queues_of
from actors.sender.capacity import CapacityAnalyzer, Departures, QueueCounts
from actors.sender.commands import Ask, Code, Command, Refusal
from actors.sender.deadlines import Deadlines
from actors.sender.dialect import Dialect
from actors.sender.signals import CheckUser, UserChecked
from actors.sender.transitions import AgentStatus
from actors.settings.sender import SenderSettings

ANSWER_WITHIN_S: Final = 2.0  # a shard
ASK_AGAIN_S: Final = 1.0
USER_WITHIN_S: Final = 12.0  # above the loop's own limits for one request and a repeat
USER_TRIES_MAX: Final = 2


class Passed(NamedTuple):
    command_id: str
    standing: AgentStatus


class RefusedCommand(NamedTuple):
    command_id: str
    refusal: Refusal


Verdict: TypeAlias = Passed | RefusedCommand


class _Timer(NamedTuple):
    kind: Literal["until", "agent", "queue"]
    key: str  # the command's id, or the queue


@dataclass(slots=True)
class _Check:
    """One command, and what it waits for."""

    command: Command
    patient_until_s: float
    question: int
    asked: str = ""  # for people, if no answer comes
    standing: AgentStatus | None = None  # once the agent is known
    queues: tuple[str, ...] = ()  # likewise: that it leaves
    awaited: set[str] = field(default_factory=set)  # queues whose counts are still to come
    short: list[str] = field(default_factory=list)  # why a queue cannot spare it, one text each


@dataclass(slots=True)
class _UserCheck:
    """One question about a user, for all commands that wait for its answer, in their order."""

    waiting: dict[str, None] = field(default_factory=dict)
    tries: int = 1


@dataclass(slots=True)
class _QueueCheck:
    """One question about a queue, for all commands that wait for its counts."""

    question: int
    waiting: dict[str, None] = field(default_factory=dict)  # commands, in their order
    told: dict[int, QueueRecord] = field(default_factory=dict)
    ended: int = 0  # departures that ended since: the counts may still hold their agents

    def counts(self) -> QueueCounts:
        told = self.told.values()
        stale = [each.stale_since_us for each in told if each.stale_since_us is not None]
        return QueueCounts(
            sum(each.available for each in told),
            sum(each.busy for each in told),
            sum(each.other for each in told),
            sum(each.unknown for each in told),
            min(stale, default=None),
            sum(each.unplaced for each in told),
        )


class Validation:
    """`first_question`: numbers of a predecessor, whose answers may still come, are far from it."""

    def __init__(
        self,
        settings: SenderSettings,
        dialect: Dialect,
        *,
        shards: int,
        analyzer: CapacityAnalyzer,
        act: Callable[[Ask | CheckUser], None],
        first_question: int,
    ) -> None:
        self._settings = settings
        self._dialect = dialect
        self._shards = shards
        self._analyzer = analyzer
        self._act = act
        self._question = first_question
        self._checks: dict[str, _Check] = {}
        self._agents: dict[int, str] = {}  # question: command
        self._users: dict[str, _UserCheck] = {}
        self._queues: dict[str, _QueueCheck] = {}
        self._deadlines: Deadlines[_Timer] = Deadlines()
        self._departures = Departures()
        self._verdicts: list[Verdict] = []
        self.strays = 0  # answers to what nobody asked, or asks any more

    def __len__(self) -> int:
        return len(self._checks)

    @property
    def departures(self) -> int:
        return len(self._departures)

    @property
    def due_s(self) -> float:
        return self._deadlines.due_s

    def begin(self, command: Command, now_s: float, patient_until_s: float = 0.0) -> None:
        """`patient_until_s`: until then it is in no hurry, whatever the limits say."""
        assert command.id not in self._checks, command.id
        check = _Check(command, patient_until_s, self._next_question())
        self._checks[command.id] = check
        self._agents[check.question] = command.id
        self._ask_agent(check, now_s)
        awaited = f"shard {shard_of(command.user_id, self._shards)} did not respond"
        if not self._dialect.is_ready:
            awaited = "the presence definitions could not be read"
        self._wait(check, now_s, ANSWER_WITHIN_S, awaited)

    def reserve(self, command: Command) -> None:
        """A predecessor's command that is on its way: its agent may be leaving its queues."""
        if self._dialect.leaves(command.held, command.to_state):
            for queue in queues_of(command.queue):
                self._departures.begin(command.id, queue)

    def ended(self, command_id: str) -> None:
        """The command has its end: its agent is not about to leave any more."""
        for queue in self._departures.end(command_id):
            if queue in self._queues:
                self._queues[queue].ended += 1

    def answer(self, shard: int, answer: AgentRecord | QueueRecord, now_s: float) -> list[Verdict]:
        if isinstance(answer, AgentRecord):
            self._agent_told(answer, now_s)
        else:
            self._queue_told(shard, answer)
        return self._taken()

    def user_checked(self, signal: UserChecked, now_s: float) -> list[Verdict]:
        check = self._users.get(signal.user_id)
        if check is None:
            self.strays += 1
        elif signal.verdict == "failed" and check.tries < USER_TRIES_MAX:
            check.tries += 1
            self._act(CheckUser(signal.user_id))
        else:
            del self._users[signal.user_id]
            refusal = _refusal_of(signal)
            for command_id in check.waiting:
                if refusal is None:
                    self._check_capacity(self._checks[command_id], now_s)
                else:
                    self._reject(command_id, refusal)
        return self._taken()

    def due(self, now_s: float) -> list[Verdict]:
        """What has been waited for long enough."""
        while (timer := self._deadlines.take(now_s)) is not None:
            match timer.kind:
                case "until":
                    self._too_late(self._checks[timer.key])
                case "agent":
                    self._ask_agent(self._checks[timer.key], now_s)
                case "queue":
                    self._ask_queue(timer.key, now_s)
        return self._taken()

    # The agent

    def learned(self, now_s: float) -> None:
        """It is known now which states there are: whoever waited for that is asked about."""
        for command_id in self._agents.values():
            self._ask_agent(self._checks[command_id], now_s)

    def _ask_agent(self, check: _Check, now_s: float) -> None:
        user_id = check.command.user_id
        if self._dialect.is_ready:
            self._act(Ask(shard_of(user_id, self._shards), AskAgent(check.question, user_id)))
        self._deadlines.set(_Timer("agent", check.command.id), now_s + ASK_AGAIN_S)

    def _agent_told(self, told: AgentRecord, now_s: float) -> None:
        check = self._checks.get(self._agents.get(told.question, ""))
        if check is None or told.user_id != check.command.user_id:
            self.strays += 1
            return
        del self._agents[told.question]
        self._deadlines.drop(_Timer("agent", check.command.id))
        judged = self._dialect.judge(check.command, told)
        if isinstance(judged, Refusal):
            self._reject(check.command.id, judged)
            return
        check.standing = judged
        if self._dialect.leaves(judged.presence, check.command.to_state):
            check.queues = queues_of(judged.queue)
            if not (check.queues or judged.is_placed) and self._is_limited:
                check.short.append("the agent's queues are not known yet")
        if self._dialect.checks_users:
            self._check_user(check, now_s)
        else:
            self._check_capacity(check, now_s)

    # The user

    def _check_user(self, check: _Check, now_s: float) -> None:
        user_id = check.command.user_id
        if user_id not in self._users:
            self._users[user_id] = _UserCheck()
            self._act(CheckUser(user_id))
        self._users[user_id].waiting[check.command.id] = None
        self._wait(check, now_s, USER_WITHIN_S, "the user could not be checked")

    # Capacity

    def _check_capacity(self, check: _Check, now_s: float) -> None:
        """Of each queue that the agent leaves."""
        assert check.standing is not None, "the agent is known by then"
        check.awaited = {queue for queue in check.queues if self._matters(queue)}
        for queue in check.queues:
            if queue not in check.awaited:
                self._departures.begin(check.command.id, queue)
        if not check.awaited:
            self._conclude(check)
            return
        for queue in sorted(check.awaited):
            if queue not in self._queues:
                self._queues[queue] = _QueueCheck(self._next_question())
                self._ask_queue(queue, now_s)
            self._queues[queue].waiting[check.command.id] = None
        queues = ", ".join(map(repr, sorted(check.awaited)))
        self._wait(check, now_s, ANSWER_WITHIN_S, f"not every shard counted queue {queues}")

    @property
    def _is_limited(self) -> bool:
        """Whether counts could refuse anything in some queue, named or not."""
        return any(map(self._matters, ("", *self._settings.capacity.queues)))

    def _matters(self, queue: str) -> bool:
        return self._analyzer.matters(queue, self._settings.capacity)

    def _ask_queue(self, queue: str, now_s: float) -> None:
        """All shards, also when asked again: what the first one said may be old by then."""
        question = AskQueue(self._queues[queue].question, queue)
        for shard in range(self._shards):
            self._act(Ask(shard, question))
        self._deadlines.set(_Timer("queue", queue), now_s + ASK_AGAIN_S)

    def _queue_told(self, shard: int, told: QueueRecord) -> None:
        check = self._queues.get(told.queue)
        if check is None or check.question != told.question:
            self.strays += 1
            return
        check.told[shard] = told
        if len(check.told) < self._shards:
            return
        self._close(told.queue)
        counts = check.counts()
        for command_id in check.waiting:
            one = self._checks[command_id]
            leaving = self._departures.of(told.queue) + check.ended
            limits = self._settings.capacity
            reason = self._analyzer.judge(told.queue, counts, leaving, limits)
            if reason is not None:
                one.short.append(reason)
            if reason is None or one.command.forced:
                # At once, while other queues of the agent are counted: nobody else may take it.
                self._departures.begin(command_id, told.queue)
            one.awaited.discard(told.queue)
            if not one.awaited:
                self._conclude(one)

    def _conclude(self, check: _Check) -> None:
        """Its queues were counted: it is refused for each that would fall short."""
        if check.short and not check.command.forced:
            detail = "; ".join(sorted(check.short))
            self._reject(check.command.id, Refusal(Code.CAPACITY, detail))
        else:
            self._pass(check, tuple(sorted(check.short)))

    def _close(self, queue: str) -> None:
        del self._queues[queue]
        self._deadlines.drop(_Timer("queue", queue))

    # The ends of a check

    def _wait(self, check: _Check, now_s: float, within_s: float, asked: str) -> None:
        check.asked = asked
        until_s = max(now_s + within_s, check.patient_until_s)
        self._deadlines.set(_Timer("until", check.command.id), until_s)

    def _too_late(self, check: _Check) -> None:
        command_id, user_id = check.command.id, check.command.user_id
        for queue in check.awaited:
            self._queues[queue].waiting.pop(command_id, None)
            if not self._queues[queue].waiting:
                self._close(queue)
        if user_id in self._users:
            self._users[user_id].waiting.pop(command_id, None)
            if not self._users[user_id].waiting:
                del self._users[user_id]
        self._reject(command_id, Refusal(Code.UNAVAILABLE, f"{check.asked} in time"))

    def _pass(self, check: _Check, overridden: tuple[str, ...]) -> None:
        standing = check.standing
        assert standing is not None, "the agent is known by then"
        command_id = check.command.id
        standing = standing._replace(overridden=standing.overridden + overridden)
        self._verdicts.append(Passed(command_id, standing))
        self._forget(check)

    def _reject(self, command_id: str, refusal: Refusal) -> None:
        self.ended(command_id)  # queues that could have spared it
        self._verdicts.append(RefusedCommand(command_id, refusal))
        self._forget(self._checks[command_id])

    def _forget(self, check: _Check) -> None:
        command_id = check.command.id
        del self._checks[command_id]
        self._agents.pop(check.question, None)
        self._deadlines.drop(_Timer("until", command_id))
        self._deadlines.drop(_Timer("agent", command_id))

    def _next_question(self) -> int:
        self._question += 1
        return self._question

    def _taken(self) -> list[Verdict]:
        taken, self._verdicts = self._verdicts, []
        return taken


def _refusal_of(signal: UserChecked) -> Refusal | None:
    match signal.verdict:
        case "exists":
            return None
        case "missing":
            return Refusal(Code.NO_SUCH_USER, "no user has this id")
        case "forbidden":
            return Refusal(Code.SCOPE, signal.detail)
        case "failed":
            detail = f"the user could not be checked: {signal.detail}"
            return Refusal(Code.UNAVAILABLE, detail)

"""A line machine in a test: what it is told, on a clock of the test, and what it wants done."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from actors.sender import line_signals as words
from actors.sender.line import ConnectionMachine, SenderPolicy
from actors.sender.signals import LineDown, LineUp
from tests.actors.receiver.play import FullJitter

TICK_S = 0.25
Act = TypeVar("Act", bound=words.Action)


@dataclass
class Play:
    policy: SenderPolicy = field(default_factory=SenderPolicy)
    now_s: float = 1000.0
    actions: list[words.Action] = field(default_factory=list)
    frames: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.machine = ConnectionMachine(self.policy, FullJitter())
        self.actions += self.machine.start(self.now_s)

    def tell(self, signal: words.Signal) -> list[words.Action]:
        """What follows from it, without the lines of the log."""
        actions = self.machine.handle(signal, self.now_s)
        self.actions += actions
        return [each for each in actions if not isinstance(each, words.Tell)]

    def wait(self, seconds: float, *, talking: bool = False) -> list[words.Action]:
        """In ticks; `talking`: each open line brings a frame between two."""
        actions = []
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s = min(self.now_s + TICK_S, end_s)
            if talking:
                self.frames = {line: self.frames.get(line, 0) + 1 for line in range(1, 100)}
            actions += self.tell(words.Tick(dict(self.frames)))
        return actions

    def bind(self, line: int) -> list[words.Action]:
        self.tell(words.Opened(line))
        return self.tell(words.ChannelBound(line))

    def fail(self, reason: str = "no route") -> float:
        """The line on its way fails; how long until the next one starts."""
        self.tell(words.Unreachable(self.newest, reason))
        return self.delay_s

    @property
    def delay_s(self) -> float:
        assert self.machine.due_s is not None
        return self.machine.due_s - self.now_s

    def go(self) -> int:
        """Wait until the next line starts; its number."""
        before = self.newest
        assert self.machine.due_s is not None
        self.now_s = self.machine.due_s
        self.tell(words.Tick(dict(self.frames)))
        assert self.newest == before + 1
        return self.newest

    def all(self, kind: type[Act]) -> list[Act]:
        return [each for each in self.actions if isinstance(each, kind)]

    @property
    def newest(self) -> int:
        return self.all(words.Connect)[-1].line

    @property
    def ups(self) -> list[int]:
        return [each.line for each in self.all(LineUp)]

    @property
    def downs(self) -> list[tuple[int, str]]:
        return [(each.line, each.reason) for each in self.all(LineDown)]

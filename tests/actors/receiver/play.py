"""A session machine on a stage: it is told what happens, and what it wants is kept."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TypeVar

from actors.messages.control import (
    ControlRecord,
)
from actors.receiver import signals
from actors.receiver.line import ReceiverPolicy
from actors.receiver.session import SessionMachine
from actors.receiver.signals import Action, Connect, Signal, Signs, Tick

A = TypeVar("A", bound=Action)
R = TypeVar("R", bound=ControlRecord)


class FullJitter(random.Random):
    """Always the longest delay."""

    def uniform(self, a: float, b: float) -> float:
        return b


@dataclass
class Play:
    """Drives a machine and keeps what it wants."""

    policy: ReceiverPolicy = field(default_factory=ReceiverPolicy)
    session: int = 0
    epoch: int = 0
    epoch_name: str = ""
    is_known: bool = False
    now_s: float = 1000.0
    watermark: int = 0
    marks: tuple[signals.Mark, ...] = ((0, 0), (0, 0))
    frames: dict[int, Signs] = field(default_factory=dict)
    is_reading: bool = True
    actions: list[Action] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.machine = SessionMachine(
            self.policy,
            FullJitter(),
            session=self.session,
            epoch=self.epoch,
            epoch_name=self.epoch_name,
            is_known=self.is_known,
        )
        self.take(self.machine.start(self.now_s, 0))

    def take(self, actions: list[Action]) -> list[Action]:
        self.actions += actions
        return actions

    def tell(self, signal: Signal) -> list[Action]:
        return self.take(self.machine.handle(signal, self.now_s, round(self.now_s * 1e6)))

    def wait(self, seconds: float, step_s: float = 0.25) -> list[Action]:
        """Time passes in ticks."""
        done: list[Action] = []
        for _ in range(round(seconds / step_s)):
            self.now_s += step_s
            done += self.tell(Tick(dict(self.frames), self.is_reading))
        return done

    def hear(self, frames: int = 1, history_frames: int = 0) -> None:
        before = self.frames.get(self.line, Signs(0, 0))
        self.frames[self.line] = Signs(
            before.frames + frames, before.history_frames + history_frames
        )

    @property
    def line(self) -> int:
        return self.all(Connect)[-1].line

    def all(self, kind: type[A]) -> list[A]:
        return [action for action in self.actions if isinstance(action, kind)]

    def written(self, kind: type[R]) -> list[R]:
        return [write.record for write in self.all(signals.Write) if isinstance(write.record, kind)]

    def open(self) -> list[Action]:
        return self.tell(signals.Opened(self.line, self.marks))

    def begin(self, newest: int = 100, name: str = "e1") -> list[Action]:
        self.open()
        return self.tell(signals.Acknowledged(self.line, newest, name, self.watermark))

    def serve(self, newest: int = 100, name: str = "e1") -> None:
        """A session with its history done."""
        self.begin(newest, name)
        self.tell(signals.HistorySeen(self.line, newest))

    def retry_delay_s(self) -> float:
        due_s = self.machine.due_s
        assert due_s is not None
        return due_s - self.now_s

    def retry(self) -> None:
        """Wait until the next try."""
        self.now_s = self.machine.due_s or self.now_s
        self.tell(Tick(dict(self.frames), self.is_reading))


def resumed(**fields: object) -> Play:
    """A receiver that knows an epoch and both marks at 5,000."""
    defaults: dict[str, object] = {
        "session": 7,
        "epoch": 3,
        "epoch_name": "e1",
        "marks": ((3, 5000), (3, 5200)),
        "watermark": 5000,
    }
    return Play(**(defaults | fields))  # type: ignore[arg-type]

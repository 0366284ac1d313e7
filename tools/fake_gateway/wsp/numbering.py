"""Numbering: the sequence of each event in each gateway epoch. Knows neither agents nor times.

An epoch numbers from its `first_sequence` on. What the agents were when it began has sequences too,
all of them below the first: agent number a has 1 + a * spread. So a history names quiet agents with
small, old sequences, as a real one does.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple


class Epoch(NamedTuple):
    name: str
    first: int  # number of its first event
    first_sequence: int
    told: str | None = None  # what clients are told it is called; None: its name

    @property
    def wire(self) -> str:
        return self.name if self.told is None else self.told


class Numbering:
    def __init__(self, agents: int) -> None:
        self._agents = agents
        self.epochs: list[Epoch] = []
        self._firsts: list[int] = []

    def begin(self, epoch: Epoch) -> None:
        if epoch.first_sequence <= self._agents:
            raise ValueError(
                f"the first sequence must be above {self._agents}, the number of agents, "
                f"not {epoch.first_sequence}: their initial states have the sequences below it"
            )
        assert not self.epochs or epoch.first >= self.epochs[-1].first
        self.epochs.append(epoch)
        self._firsts.append(epoch.first)

    @property
    def current(self) -> Epoch:
        return self.epochs[-1]

    def named(self, name: str) -> Epoch:
        return next(epoch for epoch in self.epochs if epoch.name == name)

    def epoch_of(self, number: int) -> Epoch:
        """The epoch in which event `number` was numbered."""
        return self.epochs[bisect_right(self._firsts, number) - 1]

    def sequence(self, number: int) -> int:
        epoch = self.epoch_of(number)
        return epoch.first_sequence + number - epoch.first

    def newest_sequence(self, head: int) -> int:
        """The sequence of the last event below `head`, in the current epoch."""
        return self.current.first_sequence + head - self.current.first - 1

    def position(self, epoch: Epoch, agent: int, last: int) -> int:
        """The sequence under which a history of `epoch` reports the agent's last change."""
        if last >= epoch.first:
            return epoch.first_sequence + last - epoch.first
        return 1 + agent * self.spread(epoch)

    def spread(self, epoch: Epoch) -> int:
        return (epoch.first_sequence - 1) // self._agents

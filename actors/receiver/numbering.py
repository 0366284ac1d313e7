"""Owns the gateway epochs: which numbering of sequences holds, and what must be told as a gap.

It knows no line and no clock. The number of an epoch is ours (1, 2, …), its name the gateway's; a
new name, or a newest sequence far below what we have routed, starts the next (design.md, "Words").
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from actors.messages.control import GAP_ANEW, RESUME_MARGIN, SEQUENCE_END
from actors.receiver.signals import Mark


class PendingGap(NamedTuple):
    """A gap that no session has told yet."""

    epoch: int
    first: int
    last: int
    reason: str


def kept_epoch(number: int, name: str, marks: Iterable[Mark]) -> tuple[int, str]:
    """The epoch that the last receiver kept; or one that it had begun in the rings, and died before
    it kept that: what it was called is forgotten, but no event bears it yet."""
    begun = max((epoch for epoch, _ in marks), default=0)
    return (begun, "") if begun > number else (number, name)


@dataclass(slots=True)
class Numbering:
    """`number` 0: no gateway was ever heard."""

    number: int = 0
    name: str = ""
    kept: int = 0  # the epoch of the last session: the one that rings and marks bear
    missed: list[PendingGap] = field(default_factory=list)

    def routed(self, watermark: int) -> int:
        """What we have routed of the present numbering."""
        return watermark if self.number == self.kept else 0

    def is_new(self, name: str, newest: int, watermark: int) -> bool:
        """Whether this acknowledgement counts anew."""
        is_named_anew = bool(name and self.name and name != self.name)
        is_behind = newest < self.routed(watermark) - RESUME_MARGIN
        return self.number > 0 and (is_named_anew or is_behind)

    def start_next(self, name: str, watermark: int) -> None:
        """What followed in the old numbering is gone; how much it is, nobody knows."""
        # Neighbours change places: what the highest routed one has overtaken may be missing too.
        first = max(1, self.routed(watermark) - RESUME_MARGIN)
        self.missed.append(PendingGap(self.number, first, SEQUENCE_END - 1, GAP_ANEW))
        self.number += 1
        self.name = name

    def confirm(self, name: str) -> None:
        """The numbering goes on, or is the first."""
        self.number = self.number or 1
        self.name = name or self.name

    def take_missed(self) -> list[PendingGap]:
        taken, self.missed = self.missed, []
        return taken

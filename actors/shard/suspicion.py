"""Suspicion: which records are accused of their shard's death, by what its page remembers.

Knows no ring, no page and no process. A life that breaks by itself (an exception, a signal of its
own, an endless loop) accuses the batch that it had in hand; the next one goes through that batch
record by record; a record that was alone in hand when another life broke is condemned: quarantined
without being looked at. A kill from outside accuses nobody, and changes nothing that is known.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from runtime.exit import Exit

REASON = "killed its shard twice"

HAND_WORDS = ("hand_ring", "hand_from", "hand_to", "hand_records", "hand_step")
SUSPICION_WORDS = ("suspicion_ring", "suspicion_from", "suspicion_to", "suspicion_verdict")
"""Words of a shard's page, in the order of the fields below; the last one says if they count."""


class BatchStep(IntEnum):
    """What was being done with the batch in hand."""

    NOTHING = 0
    JUDGING = 1
    COMMITTING = 2


class BatchInHand(NamedTuple):
    """The batch that a shard handles; the cursors of its ring."""

    ring: int
    cursor_from: int
    cursor_to: int
    records: int
    step: int


class Verdict(IntEnum):
    """What follows for the records."""

    NONE = 0
    SUSPECT = 1
    """Record by record."""
    CONDEMNED = 2
    """Quarantined unseen."""


class Suspicion(NamedTuple):
    """Records of one ring, between two cursors, and what is thought of them."""

    ring: int
    cursor_from: int
    cursor_to: int
    verdict: int

    def covers(self, ring: int, cursor: int) -> bool:
        """Whether the record at this cursor is meant."""
        return (
            self.verdict != Verdict.NONE
            and ring == self.ring
            and self.cursor_from <= cursor < self.cursor_to
        )

    def is_over(self, ring: int, cursor: int) -> bool:
        """Whether the ring has come to the end of what is meant."""
        return self.verdict == Verdict.NONE or (ring == self.ring and cursor >= self.cursor_to)


NO_SUSPICION = Suspicion(0, 0, 0, Verdict.NONE)


def suspicion_after(before: Suspicion, hand: BatchInHand, end: Exit | None) -> Suspicion:
    """What a new life must think of the records before it, its predecessor having ended so."""
    if end is None or not end.is_own or hand.step == BatchStep.NOTHING:
        return before
    if end.hung and hand.step == BatchStep.COMMITTING:  # in the disk: no record's doing
        return before
    is_again = before.verdict == Verdict.SUSPECT and before.covers(hand.ring, hand.cursor_from)
    verdict = Verdict.CONDEMNED if is_again and hand.records == 1 else Verdict.SUSPECT
    # Condemning one clears its neighbours: who dies of one of them has died of it once.
    return Suspicion(hand.ring, hand.cursor_from, hand.cursor_to, verdict)

"""Transition: one step of an agent, as the journal has it, and as readers of a journal get it.

Pure: records only. `docs/design.md` has the table; its columns stand here and nowhere else.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias


class Transition(NamedTuple):
    """One row of the table `transitions`.

    Hot code builds the plain tuple in this order: half the cost of the named one.
    """

    id: int
    agent: int
    """The agent's number in this journal; 0 for a gap."""
    previous: int
    """Row id of the same agent's previous row; 0 for its first."""
    from_state: str | None
    to_state: str
    at_us: int
    received_us: int
    epoch: int
    sequence: int
    queue: str | None
    presence: str | None
    correlation: str | None
    cause: str


Row: TypeAlias = tuple[
    int, int, int, str | None, str, int, int, int, int, str | None, str | None, str | None, str
]


class GapRow(NamedTuple):
    """What is known of a gap, beside its row among the transitions."""

    row: int
    scope: str
    epoch: int
    first_sequence: int
    last_sequence: int
    at_us: int
    """Until when: it was told of."""
    reason: str
    since_us: int = 0
    """Since when: the last time that all was confirmed, as far as is known."""


TOLD: Final = Transition._fields[3:]
"""Columns that say something without the journal's other tables."""


class JournalRow(NamedTuple):
    """A transition or gap as it is read: with the agent's id, and with what stands beside it."""

    journal: str
    """What the reader calls the journal."""
    row: int
    user_id: str | None
    """None: a gap, or a person who was forgotten."""
    from_state: str | None
    to_state: str
    at_us: int
    received_us: int
    epoch: int
    sequence: int
    queue: str | None
    presence: str | None
    correlation: str | None
    cause: str
    native: str | None = None
    """Cloud: as the table `natives` has it; None: not read, or of cause lost."""
    gap: GapRow | None = None

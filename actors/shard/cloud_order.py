"""Owns which of two values of one field of an agent holds, in the dialect cloud. Pure.

Knows no frame and no row. There are no sequences: a field's time decides, and where that says
nothing (it is missing, it is the same, a clock was wrong) the order in which they came. Rules and
reasons: `docs/design.md`, "What holds where a time says nothing".
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from actors.shard.held_time import decides_nothing
from actors.shard.native import NOTHING_US, PRESENCE, TIMELESS_US, Native, Tie

COPY_AFTER_US: Final = 250_000
"""Changes of one instant come together. What says later again what was held at that instant before
is a copy of it, and no further change."""
TIES_MAX: Final = 8


class Telling(NamedTuple):
    """Who tells a value, and when."""

    is_snapshot: bool
    session: int  # the newest one of the agent's scope; 0: nobody watches it
    received_us: int


def wins(
    native: Native, field: int, value: tuple[Any, ...], held: tuple[Any, ...], telling: Telling
) -> bool:
    """Whether a field's value, its time last, is to replace the held one; what is remembered of
    who told the field is brought up to date."""
    is_won = _wins(native, field, value, held, telling)
    if telling.is_snapshot:
        native.from_snapshot |= field * is_won
        return is_won
    if is_won or value[-1] in (held[-1], TIMELESS_US):
        native.from_snapshot &= ~field
    if telling.session:
        native.hear(field, telling.session)
    return is_won


def _wins(  # noqa: PLR0911  one per relation of the two times
    native: Native, field: int, value: tuple[Any, ...], held: tuple[Any, ...], telling: Telling
) -> bool:
    at_us, held_us = value[-1], held[-1]
    is_heard = telling.is_snapshot and native.has_heard(field, telling.session)
    if held_us == NOTHING_US:
        return True
    if at_us == TIMELESS_US:
        return not is_heard and timeless_wins(value, held)
    if at_us > held_us:
        return not (is_heard and at_us <= native.untimed_us(field))
    if at_us < held_us:
        return not is_heard and decides_nothing(held_us, at_us, telling.received_us)
    if telling.is_snapshot:
        return not is_heard and snapshot_heals(field, value, held)
    if native.from_snapshot & field:
        return value != held
    return value != held and later_holds(native, field, value, held, telling.received_us)


def timeless_wins(value: tuple[Any, ...], held: tuple[Any, ...]) -> bool:
    """What is told without a time counts as of its receipt: it replaces what says otherwise."""
    return value[:-1] != held[:-1]


def snapshot_heals(field: int, value: tuple[Any, ...], held: tuple[Any, ...]) -> bool:
    """Of the same time: a snapshot is right if no event has told the field since the session began,
    for what changed before may have been missed. A message alone is no reason: not every answer
    has it."""
    if field == PRESENCE:
        return value[:2] != held[:2]
    return value != held


def later_holds(
    native: Native, field: int, value: tuple[Any, ...], held: tuple[Any, ...], received_us: int
) -> bool:
    """Of the same time, both by events: on a stream in order the later one holds. Unless what is
    held came without a time, later than this; or this is a copy of what was held before. A message
    alone is no change of an instant: it may be damaged in one frame and whole in the next."""
    if native.untimed_us(field) or (field == PRESENCE and value[:2] == held[:2]):
        return False
    ties = native.ties = native.ties or {}
    tie = ties.get(field)
    if tie is None or tie.at_us != held[-1]:
        tie = Tie(held[-1], received_us, [])
        ties[field] = tie
    if value in tie.before and received_us - tie.first_received_us > COPY_AFTER_US:
        return False
    if held not in tie.before and len(tie.before) < TIES_MAX:
        tie.before.append(held)
    return True

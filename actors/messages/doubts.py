"""Owns how a shard says on its page which sessions of channels it doubts: one word each. Pure.

The receiver that owns the slot replaces the channel; a session that is over is doubted no more.
"""

from __future__ import annotations

from typing import Final, NamedTuple

DOUBTS_MAX: Final = 8
"""At a time: the rest waits. A client replaces one channel at a time in any case."""
DOUBT_WORDS: Final = tuple(f"doubted_{place}" for place in range(DOUBTS_MAX))
"""Of a shard's page; 0: none."""

_SESSION_BITS, _SLOT_BITS = 40, 8


class Doubt(NamedTuple):
    """A session that did not bring what the roster shows."""

    client: int
    slot: int
    session: int


def encode_doubt(client: int, slot: int, session: int) -> int:
    assert 0 <= slot < 1 << _SLOT_BITS, slot
    assert 0 < session < 1 << _SESSION_BITS, session
    return ((client + 1) << _SLOT_BITS | slot) << _SESSION_BITS | session


def decode_doubt(word: int) -> Doubt | None:
    """None: the word says nothing."""
    if word <= 0:
        return None
    place, session = word >> _SESSION_BITS, word & ((1 << _SESSION_BITS) - 1)
    return Doubt((place >> _SLOT_BITS) - 1, place & ((1 << _SLOT_BITS) - 1), session)

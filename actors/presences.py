"""Owns the four presences of the wsp dialect, and which of them an agent is held in.

Pure: `protocol.md` §1.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from actors.events import UNKNOWN

Presence: TypeAlias = Literal["available", "busy", "break", "offline"]
PRESENCES: Final[tuple[Presence, ...]] = ("available", "busy", "break", "offline")

PRESENCE_OF_STATE: Final[Mapping[str, Presence]] = {
    "Available": "available",
    "Talking": "busy",
    "Reserved": "busy",
    "Wrapped Up": "busy",
    "Not Available": "break",
}
"""The default of the setting `sender.presence_of_state`."""


def held(state: str | None, presence: str | None, of_state: Mapping[str, str]) -> str | None:
    """The presence that an agent is held in: what its last event bore, else what its state means.

    None: not known, because the agent was never seen, is Unknown, or is in a state nobody mapped.
    """
    if state is None or state == UNKNOWN:
        return None
    if presence in PRESENCES:
        return presence
    return of_state.get(state)

"""Owns what a presence may be called: one of four in the wsp dialect, a definition's name, label or
id in the cloud; and which of the four an agent is held in.

Pure: `protocol.md` §1.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from actors.messages.control import UNKNOWN

Presence: TypeAlias = Literal["available", "busy", "break", "offline"]
PRESENCES: Final[tuple[Presence, ...]] = ("available", "busy", "break", "offline")

PRESENCE_CHARS_MAX: Final = 200  # of what a definition is called

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


def misnamed(presence: str, dialect: str) -> str:
    """Why this can be no presence, "" if it may be one: in the cloud each organisation has its own,
    which only its gateway knows."""
    if dialect == "wsp":
        known = ", ".join(PRESENCES)
        return "" if presence in PRESENCES else f"is unknown; expected one of {known}"
    if 0 < len(presence.strip()) <= PRESENCE_CHARS_MAX:
        return ""
    return f"must have 1 to {PRESENCE_CHARS_MAX} characters"

"""Definitions: the presences and routing statuses of a cloud organisation, and how an agent walks
through them. Pure; knows neither agents nor times.

An event writes a system presence as ON_QUEUE, REST writes it as OnQueue: so does the platform.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from typing import Any, NamedTuple

SYSTEM_PRESENCES = (
    "Available",
    "Away",
    "Busy",
    "Offline",
    "Idle",
    "OnQueue",
    "Meal",
    "Training",
    "Meeting",
    "Break",
)
ROUTING_STATUSES = ("OFF_QUEUE", "IDLE", "INTERACTING", "NOT_RESPONDING", "COMMUNICATING")
OFF_QUEUE, IDLE, INTERACTING, NOT_RESPONDING, COMMUNICATING = range(5)
USUAL_LOCALE, ALL_LOCALES = "en_US", "ALL"
CREATED = "2021-03-01T09:00:00.417Z"
AVAILABLE, OFFLINE, ON_QUEUE = 0, 3, 5  # definitions and system presences
WALK = 64  # standings that an agent walks through before it begins again
_NAMESPACE = uuid.UUID("6b1f0c5e-7c1d-4f0e-9a53-5c3f7a0f2c11")
_OFF_QUEUE_SHARE = 0.25  # of the steps of an idle agent that lead off the queue
_AWAY_SHARE = 0.3  # of the steps off the queue that lead out of office


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """`label`: what people read; a secondary definition has a name of its own."""

    id: str
    kind: str  # System | User
    system: int
    label: str
    german: str
    deactivated: bool = False

    @property
    def system_presence(self) -> str:
        return SYSTEM_PRESENCES[self.system]

    @property
    def event_presence(self) -> str:
        return "ON_QUEUE" if self.system == ON_QUEUE else self.system_presence.upper()

    def labels(self, locale: str) -> dict[str, str]:
        """In that language, in all of them (ALL), or in the usual one."""
        labels = {USUAL_LOCALE: self.label, "de": self.german}
        if locale.upper() == ALL_LOCALES:
            return labels
        return {locale: labels[locale]} if locale in labels else {USUAL_LOCALE: self.label}

    def entity(self, locale: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": self.kind,
            "languageLabels": self.labels(locale),
            "systemPresence": self.system_presence,
            "divisionId": "*",
            "deactivated": self.deactivated,
            "selfUri": f"/api/v2/presence/definitions/{self.id}",
        }

    def legacy_entity(self, locale: str) -> dict[str, Any]:
        """As the older listing tells it; `primary`: none that somebody has added below another."""
        return {
            "id": self.id,
            "name": self.label,
            "languageLabels": self.labels(locale),
            "systemPresence": self.system_presence,
            "deactivated": self.deactivated,
            "primary": self.kind == "System",
            "createdDate": CREATED,
            "modifiedDate": CREATED,
            "selfUri": f"/api/v2/presencedefinitions/{self.id}",
        }


def _definition(
    label: str, german: str, *, below: int | None = None, deactivated: bool = False
) -> Definition:
    is_secondary = below is not None
    return Definition(
        id=str(uuid.uuid5(_NAMESPACE, label)),
        kind="User" if is_secondary else "System",
        system=SYSTEM_PRESENCES.index(label.replace(" ", "")) if below is None else below,
        label=label,
        german=german,
        deactivated=deactivated,
    )


DEFINITIONS = (
    _definition("Available", "Verfügbar"),
    _definition("Away", "Abwesend"),
    _definition("Busy", "Beschäftigt"),
    _definition("Offline", "Offline"),
    _definition("Idle", "Inaktiv"),
    _definition("On Queue", "In Warteschlange"),
    _definition("Meal", "Mahlzeit"),
    _definition("Training", "Schulung"),
    _definition("Meeting", "Besprechung"),
    _definition("Break", "Pause"),
    _definition("Coffee", "Kaffee", below=9),
    _definition("Team Huddle", "Teamrunde", below=8),
    _definition("Old Lunch", "Altes Mittagessen", below=6, deactivated=True),
)
NUMBER_OF = {definition.id: number for number, definition in enumerate(DEFINITIONS)}
USED = tuple(n for n, definition in enumerate(DEFINITIONS) if not definition.deactivated)


class WalkStep(NamedTuple):
    """Where a walk leads: absolute, whatever a change from outside has made of the agent."""

    presence: int
    routing: int
    is_away: bool


def walk(rng: random.Random) -> tuple[WalkStep, ...]:
    """A closed walk that leads out of office as well: no two neighbours have both presence and
    routing status in common."""
    off_queue = [number for number in USED if number != ON_QUEUE]
    while True:
        standings = [WalkStep(AVAILABLE, OFF_QUEUE, False)]
        while len(standings) < WALK:
            standings.append(_next(standings[-1], rng, off_queue))
        first, last = standings[0], standings[-1]
        is_closed = last[:2] != first[:2] and last.routing in (OFF_QUEUE, IDLE)
        if is_closed and any(one.is_away for one in standings):
            return tuple(standings)


def _next(now: WalkStep, rng: random.Random, off_queue: list[int]) -> WalkStep:
    if now.routing == OFF_QUEUE:
        if rng.random() < 0.6:
            return WalkStep(ON_QUEUE, IDLE, False)
        other = [number for number in off_queue if number != now.presence]
        return WalkStep(rng.choice(other), OFF_QUEUE, rng.random() < _AWAY_SHARE)
    if now.routing == IDLE:
        if rng.random() < _OFF_QUEUE_SHARE:
            return WalkStep(rng.choice(off_queue), OFF_QUEUE, False)
        routing = rng.choice((INTERACTING, INTERACTING, INTERACTING, COMMUNICATING))
        return WalkStep(ON_QUEUE, routing if rng.random() < 0.9 else NOT_RESPONDING, False)
    if now.routing == INTERACTING and rng.random() < 0.2:
        return WalkStep(ON_QUEUE, COMMUNICATING, False)
    return WalkStep(ON_QUEUE, IDLE, False)

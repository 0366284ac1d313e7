"""Directory: what an organisation's directory holds of people, queues, groups and divisions, beside
how anybody stands. Pure: the same number, the same entry (protocol.md §2.1).

A real user's entry is two to three times as large as its name and address: images, contacts, a
manager. `is_lean`: without those, for measurements that are to be compared with older ones.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

DIVISIONS, GROUPS = 4, 8
CREATED = "2021-03-01T09:00:00.417Z"
_NAMESPACE = uuid.UUID("0a8c36d3-2b54-45a5-9c5e-6a21c7ad3f60")
_NAMES = ("Ada", "Bo", "Chloé", "Dmitri", "Esra", "Frieda", "Gus", "Hà", "Inés", "Jörg")
_DEPARTMENTS = ("Service", "Sales", "Claims", "Back Office", "Technische Hilfe")
_TITLES = ("Agent", "Senior Agent", "Team Lead")
_SKILLS = ("Retention", "Français", "Level 2")
_IMAGES = ("x48", "x96", "x128", "x200", "x300", "x400")


def organisation_id(seed: int) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"organisation {seed}"))


def name_of(agent: int) -> str:
    return f"{_NAMES[agent % len(_NAMES)]} {agent:06d}"


class Directory:
    def __init__(
        self, users: Sequence[str], queues: Sequence[str], *, is_lean: bool = False
    ) -> None:
        self._users = users
        self._queues = queues
        self._is_lean = is_lean
        self.divisions = tuple(_id("division", number) for number in range(DIVISIONS))
        self.groups = tuple(_id("group", number) for number in range(GROUPS))

    def user(self, agent: int, state: str) -> dict[str, Any]:
        user, address = self._users[agent], f"agent{agent:06d}@example.invalid"
        entity: dict[str, Any] = {
            "id": user,
            "name": name_of(agent),
            "division": self.division(agent),
            "chat": {"jabberId": f"{user}@example.invalid"},
            "email": address,
            "primaryContactInfo": [],
            "addresses": [],
            "state": state,
            "username": address,
            "version": 7,
            "acdAutoAnswer": False,
            "selfUri": f"/api/v2/users/{user}",
        }
        return entity if self._is_lean else entity | self._details(agent, address)

    def _details(self, agent: int, address: str) -> dict[str, Any]:
        manager = self._users[agent // 20 * 20]
        number = f"+49305550{agent:06d}"
        phone = {"address": number, "display": number, "mediaType": "PHONE", "countryCode": "DE"}
        image = f"https://images.example.invalid/{self._users[agent]}/badge"
        return {
            "department": _DEPARTMENTS[agent % len(_DEPARTMENTS)],
            "title": _TITLES[agent % len(_TITLES)],
            "primaryContactInfo": [
                {"address": address, "mediaType": "EMAIL", "type": "PRIMARY"},
                phone | {"type": "PRIMARY"},
            ],
            "addresses": [
                phone | {"type": "WORK", "extension": f"{agent % 10_000:04d}"},
                phone | {"type": "MOBILE"},
            ],
            "manager": {"id": manager, "selfUri": f"/api/v2/users/{manager}"},
            "images": [
                {"resolution": size, "imageUri": f"{image}/{size}.thumb.jpg"} for size in _IMAGES
            ],
            "certifications": [],
            "preferredName": name_of(agent).partition(" ")[0],
        }

    def skills(self, agent: int) -> list[dict[str, Any]]:
        """None of every fourth, up to three of the others."""
        return [
            {
                "id": _id("skill", number),
                "name": _SKILLS[number],
                "proficiency": float((agent + number) % 6),
                "state": "active",
                "skillUri": f"/api/v2/routing/skills/{_id('skill', number)}",
                "selfUri": f"/api/v2/users/{self._users[agent]}/routingskills/{number}",
            }
            for number in range(agent % 4)
        ]

    def member(self, queue: int, agent: int, state: str) -> dict[str, Any]:
        """Of a queue: the user stands in it once more."""
        user = self._users[agent]
        return {
            "id": user,
            "name": name_of(agent),
            "user": self.user(agent, state),
            "ringNumber": 1,
            "joined": True,
            "memberBy": "user",
            "selfUri": f"/api/v2/routing/queues/{self._queues[queue]}/members/{user}",
        }

    def queue(self, number: int, members: int) -> dict[str, Any]:
        queue = self._queues[number]
        return {
            "id": queue,
            "name": f"Queue {number:04d}",
            "division": self.division(number),
            "description": "",
            "dateCreated": CREATED,
            "dateModified": CREATED,
            "memberCount": members,
            "userMemberCount": members,
            "joinedMemberCount": members,
            "skillEvaluationMethod": "ALL",
            "autoAnswerOnly": True,
            "enableTranscription": False,
            "enableManualAssignment": False,
            "suppressInQueueCallRecording": False,
            "selfUri": f"/api/v2/routing/queues/{queue}",
        }

    def group(self, number: int, members: int) -> dict[str, Any]:
        group = self.groups[number]
        return {
            "id": group,
            "name": f"Group {number}",
            "dateModified": CREATED,
            "memberCount": members,
            "state": "active",
            "version": 3,
            "type": "official",
            "rulesVisible": True,
            "visibility": "public",
            "rolesEnabled": False,
            "includeOwners": False,
            "callsEnabled": False,
            "owners": [],
            "selfUri": f"/api/v2/groups/{group}",
        }

    def division(self, number: int) -> dict[str, Any]:
        """As a user or a queue names its own."""
        number %= DIVISIONS
        division = self.divisions[number]
        return {
            "id": division,
            "name": "Home" if number == 0 else f"Division {number}",
            "selfUri": f"/api/v2/authorization/divisions/{division}",
        }

    def authorisation_division(self, number: int) -> dict[str, Any]:
        """As the listing of divisions has it."""
        return {
            **self.division(number),
            "description": "",
            "homeDivision": number == 0,
            "objectCounts": {},
        }


def _id(what: str, number: int) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{what} {number}"))

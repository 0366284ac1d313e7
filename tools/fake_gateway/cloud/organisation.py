"""CloudOrganisation: the people of a cloud organisation: who they are, how they stand, and what
changes about them; each change is noted in the ledger. Knows no socket, no HTTP and no clock.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from tools.fake_gateway.cloud.activity import Activity
from tools.fake_gateway.cloud.definitions import DEFINITIONS, ROUTING_STATUSES, walk
from tools.fake_gateway.event_times import NS_PER_MS, EventTimes
from tools.fake_gateway.ledger import Ledger
from tools.fake_gateway.script import Script, ScriptSettings

PURECLOUD = "PURECLOUD"
STATES = ("active", "inactive", "deleted")
DIVISIONS, GROUPS = 4, 8
_NAMESPACE = uuid.UUID("0a8c36d3-2b54-45a5-9c5e-6a21c7ad3f60")
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAMES = ("Ada", "Bo", "Chloé", "Dmitri", "Esra", "Frieda", "Gus", "Hà", "Inés", "Jörg")


def activity_of(script: Script, late: tuple[int, int]) -> Activity:
    """As it was before anything happened."""
    steps = walk(random.Random(f"walk {script.settings.seed}"))
    return Activity(script, steps, late_every=late[0], late_by=late[1])


class CloudOrganisation:
    """`late`: (every so-manieth step's frames come again, so many steps later); 0: none.
    `hidden`: so many of the last users are inactive at first. `forbidden_every`: the topics of
    every so-manieth user are refused for want of a permission."""

    def __init__(
        self,
        settings: ScriptSettings,
        ledger: Ledger,
        *,
        late: tuple[int, int] = (0, 0),
        hidden: int = 0,
        forbidden_every: int = 0,
    ) -> None:
        self.settings = settings
        self.script = Script(settings)
        self.activity = activity_of(self.script, late)
        self.agents = {user: agent for agent, user in enumerate(self.script.users)}
        self.event_times = EventTimes(
            NS_PER_MS
        )  # the activity itself keeps an agent's events apart
        self.states = ["active"] * (settings.agents - hidden) + ["inactive"] * hidden
        self.others: dict[tuple[int, str], dict[str, Any]] = {}  # presences of other sources
        self.divisions = tuple(_named("division", number) for number in range(DIVISIONS))
        self.groups = tuple(_named("group", number) for number in range(GROUPS))
        self.id = str(uuid.uuid5(_NAMESPACE, f"organisation {settings.seed}"))
        self._forbidden_every = forbidden_every
        self._ledger = ledger
        ledger.write("run", dialect="cloud", script=asdict(settings), late=late)

    def begin_stretch(self, first: int, now_ns: int, step_ns: int) -> None:
        stretch = self.event_times.begin(first, now_ns, step_ns)
        self.activity.add_stretch(stretch)
        self._ledger.write("stretch", **stretch._asdict())

    def run(self, steps: int, at_us: int) -> None:
        """So many steps of the script happen."""
        if steps > 0:
            first = self.activity.head
            self.activity.run(steps)
            self._ledger.write("steps", first=first, last=self.activity.head - 1, at_us=at_us)

    def change(
        self,
        agent: int,
        now_ns: int,
        *,
        by: str,
        presence: int | None = None,
        routing: int | None = None,
        message: str | None = None,
    ) -> int:
        """From outside; returns its time in ms."""
        number = self.activity.head
        at_ms = self.activity.change(
            agent, now_ns // NS_PER_MS, presence=presence, routing=routing, message=message
        )
        self._ledger.write(
            "change",
            number=number,
            agent=agent,
            presence=presence,
            routing=routing,
            message=message,
            at_ms=at_ms,
            by=by,
            at_us=now_ns // 1000,
        )
        return at_ms

    def is_forbidden(self, agent: int) -> bool:
        every = self._forbidden_every
        return every > 0 and agent % every == every - 1

    def roster(self, state: str) -> list[int]:
        """Agents in that state; `any` means those who are not deleted."""
        if state == "any":
            return [agent for agent, one in enumerate(self.states) if one != "deleted"]
        return [agent for agent, one in enumerate(self.states) if one == state]

    def set_state(self, agent: int, state: str, at_us: int) -> None:
        """Raises ValueError."""
        if state not in STATES:
            raise ValueError(f"state is one of {', '.join(STATES)}, not {state!r}")
        self.states[agent] = state
        head = self.activity.head
        self._ledger.write("roster", agent=agent, state=state, head=head, at_us=at_us)

    def queue_members(self, queue: int) -> list[int]:
        count = len(self.script.queues)
        homes = self.script.homes
        return [
            agent
            for agent, home in enumerate(homes)
            if self.states[agent] == "active" and queue in (home, (home + 1) % count)
        ]

    def group_members(self, group: int) -> list[int]:
        active = self.states
        return [agent for agent in range(group, len(active), GROUPS) if active[agent] == "active"]

    # As REST tells it.

    def name(self, agent: int) -> str:
        return f"{_NAMES[agent % len(_NAMES)]} {agent:06d}"

    def user(self, agent: int, expand: frozenset[str]) -> dict[str, Any]:
        user = self.script.users[agent]
        name = self.name(agent)
        entity: dict[str, Any] = {
            "id": user,
            "name": name,
            "division": self.divisions[agent % DIVISIONS],
            "chat": {"jabberId": f"{user}@example.invalid"},
            "email": f"agent{agent:06d}@example.invalid",
            "primaryContactInfo": [],
            "addresses": [],
            "state": self.states[agent],
            "username": f"agent{agent:06d}@example.invalid",
            "version": 7,
            "acdAutoAnswer": False,
            "selfUri": f"/api/v2/users/{user}",
        }
        if "routingstatus" in expand:
            entity["routingStatus"] = self.routing_status(agent)
        if "presence" in expand:
            entity["presence"] = self.presence(agent)
        if "outofoffice" in expand:
            held = self.activity.held(agent)
            entity["outOfOffice"] = {
                "id": user,
                "active": held.is_away,
                "indefinite": False,
                "modifiedDate": iso_time(held.away_ms),
                "selfUri": f"/api/v2/users/{user}/outofoffice",
            }
        return entity

    def presence(self, agent: int) -> dict[str, Any]:
        held = self.activity.held(agent)
        definition = DEFINITIONS[held.presence]
        user = self.script.users[agent]
        return {
            "id": user,
            "source": PURECLOUD,
            "primary": True,
            "presenceDefinition": {
                "id": definition.id,
                "systemPresence": definition.system_presence,
                "selfUri": f"/api/v2/presence/definitions/{definition.id}",
            },
            "message": held.message,
            "modifiedDate": iso_time(held.presence_ms),
            "selfUri": f"/api/v2/users/{user}/presences/{PURECLOUD}",
        }

    def routing_status(self, agent: int) -> dict[str, Any]:
        held = self.activity.held(agent)
        return {
            "userId": self.script.users[agent],
            "status": ROUTING_STATUSES[held.routing],
            "startTime": iso_time(held.routing_ms),
        }

    def queue(self, number: int) -> dict[str, Any]:
        queue = self.script.queues[number]
        return {
            "id": queue,
            "name": f"Queue {number:04d}",
            "division": self.divisions[number % DIVISIONS],
            "memberCount": len(self.queue_members(number)),
            "selfUri": f"/api/v2/routing/queues/{queue}",
        }


def iso_time(at_ms: int) -> str:
    """As the platform writes it: a full second has no fraction."""
    moment = _UNIX_EPOCH + timedelta(milliseconds=at_ms)
    precision = "milliseconds" if at_ms % 1000 else "seconds"
    return moment.isoformat(timespec=precision).removesuffix("+00:00") + "Z"


def _named(what: str, number: int) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid5(_NAMESPACE, f"{what} {number}")),
        "name": "Home" if (what, number) == ("division", 0) else f"{what.capitalize()} {number}",
    }

"""CloudOrganisation: the people of a cloud organisation: who they are, how they stand, and what
changes about them; each change is noted in the ledger. Knows no socket, no HTTP and no clock.
"""

from __future__ import annotations

import random
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from tools.fake_gateway.cloud.activity import Activity
from tools.fake_gateway.cloud.definitions import DEFINITIONS, ROUTING_STATUSES, walk
from tools.fake_gateway.cloud.directory import GROUPS, Directory, organisation_id
from tools.fake_gateway.event_times import NS_PER_MS, EventTimes
from tools.fake_gateway.ledger import Ledger
from tools.fake_gateway.script import Script, ScriptSettings

PURECLOUD = "PURECLOUD"
STATES = ("active", "inactive", "deleted")
DAY_MS = 86_400_000
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def activity_of(script: Script, late: tuple[int, int]) -> Activity:
    """As it was before anything happened."""
    steps = walk(random.Random(f"walk {script.settings.seed}"))
    return Activity(script, steps, late_every=late[0], late_by=late[1])


class Other(NamedTuple):
    """What a source of presences says of somebody."""

    presence: int
    message: str
    at_ms: int


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
        lean_entities: bool = False,
    ) -> None:
        self.settings = settings
        self.script = Script(settings)
        self.activity = activity_of(self.script, late)
        self.agents = {user: agent for agent, user in enumerate(self.script.users)}
        self.event_times = EventTimes(
            NS_PER_MS
        )  # the activity itself keeps an agent's events apart
        self.states = ["active"] * (settings.agents - hidden) + ["inactive"] * hidden
        self.directory = Directory(self.script.users, self.script.queues, is_lean=lean_entities)
        self.primaries: dict[int, str] = {}  # the source of those whose primary one is another
        self.others: dict[tuple[int, str], Other] = {}  # presences of sources that are not primary
        self.id = organisation_id(settings.seed)
        self._at_home: list[list[int]] = []  # by queue
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
        """Of whom it is the home, or the one after the home."""
        if not self._at_home:
            self._at_home = [[] for _ in self.script.queues]
            for agent, home in enumerate(self.script.homes):
                self._at_home[home].append(agent)
        members = {*self._at_home[queue], *self._at_home[queue - 1]}
        return [agent for agent in sorted(members) if self.states[agent] == "active"]

    def queues_of(self, agent: int) -> list[int]:
        """The home, and the one after it."""
        home = self.script.homes[agent]
        return sorted({home, (home + 1) % len(self.script.queues)})

    def group_members(self, group: int) -> list[int]:
        active = self.states
        return [agent for agent in range(group, len(active), GROUPS) if active[agent] == "active"]

    # As REST tells it.

    def user(self, agent: int, expand: frozenset[str]) -> dict[str, Any]:
        entity = self.directory.user(agent, self.states[agent])
        if "routingstatus" in expand:
            entity["routingStatus"] = self.routing_status(agent)
        if "presence" in expand:
            entity["presence"] = self.presence(agent)
        if "outofoffice" in expand:
            entity["outOfOffice"] = self.out_of_office(agent)
        if "skills" in expand:
            entity["skills"] = self.directory.skills(agent)
        return entity

    def out_of_office(self, agent: int) -> dict[str, Any]:
        """Without a time of its last change: REST has none."""
        held, user = self.activity.held(agent), self.script.users[agent]
        told = {
            "id": user,
            "active": held.is_away,
            "indefinite": False,
            "selfUri": f"/api/v2/users/{user}/outofoffice",
        }
        if held.is_away:
            told["startDate"] = iso_time(held.away_ms)
            told["endDate"] = iso_time(held.away_ms + DAY_MS)
        return told

    def presence(self, agent: int) -> dict[str, Any]:
        """The one that counts, of whatever source."""
        held = self.activity.held(agent)
        source = self.primaries.get(agent, PURECLOUD)
        other = Other(held.presence, held.message, held.presence_ms)
        return self._presence(agent, source, other, is_primary=True)

    def presence_of(self, agent: int, source: str) -> dict[str, Any] | None:
        """None: that source has never said anything."""
        if source == self.primaries.get(agent, PURECLOUD):
            return self.presence(agent)
        other = self.others.get((agent, source))
        return None if other is None else self._presence(agent, source, other, is_primary=False)

    def bulk_presence(self, agent: int, source: str) -> dict[str, Any] | None:
        """As the call for many tells it: whose it is stands apart, and nothing of primary."""
        told = self.presence_of(agent, source)
        if told is not None:
            del told["primary"]
            told["userId"] = told["id"]
        return told

    def make_primary(self, agent: int, source: str) -> Other | None:
        """What that source says counts from now on (None: it says nothing); what counted until now
        is kept beside it."""
        former = self.primaries.get(agent, PURECLOUD)
        if former == source:
            return None
        held = self.activity.held(agent)
        self.others[agent, former] = Other(held.presence, held.message, held.presence_ms)
        self.activity.set_source(agent, source != PURECLOUD)
        if source == PURECLOUD:
            del self.primaries[agent]
        else:
            self.primaries[agent] = source
        return self.others.pop((agent, source), None)

    def _presence(
        self, agent: int, source: str, said: Other, *, is_primary: bool
    ) -> dict[str, Any]:
        definition, user = DEFINITIONS[said.presence], self.script.users[agent]
        return {
            "id": user,
            "source": source,
            "primary": is_primary,
            "presenceDefinition": {
                "id": definition.id,
                "systemPresence": definition.system_presence,
                "selfUri": f"/api/v2/presence/definitions/{definition.id}",
            },
            "message": said.message,
            "modifiedDate": iso_time(said.at_ms),
            "selfUri": f"/api/v2/users/{user}/presences/{source}",
        }

    def routing_status(self, agent: int) -> dict[str, Any]:
        held = self.activity.held(agent)
        return {
            "userId": self.script.users[agent],
            "status": ROUTING_STATUSES[held.routing],
            "startTime": iso_time(held.routing_ms),
        }

    def queue(self, number: int) -> dict[str, Any]:
        return self.directory.queue(number, len(self.queue_members(number)))

    def user_queue(self, number: int) -> dict[str, Any]:
        """As the listing of a user's queues has it."""
        queue = self.queue(number) | {"joined": True}
        del queue["autoAnswerOnly"]
        return queue

    def queue_member(self, queue: int, agent: int, expand: frozenset[str]) -> dict[str, Any]:
        """A member's routing status stands beside its user, a presence in it."""
        member = self.directory.member(queue, agent, self.states[agent])
        if "routingstatus" in expand:
            member["routingStatus"] = self.routing_status(agent)
        if "presence" in expand:
            member["user"]["presence"] = self.presence(agent)
        return member

    def group(self, number: int) -> dict[str, Any]:
        return self.directory.group(number, len(self.group_members(number)))


def iso_time(at_ms: int) -> str:
    """As the platform writes it: a full second has no fraction."""
    moment = _UNIX_EPOCH + timedelta(milliseconds=at_ms)
    precision = "milliseconds" if at_ms % 1000 else "seconds"
    return moment.isoformat(timespec=precision).removesuffix("+00:00") + "Z"

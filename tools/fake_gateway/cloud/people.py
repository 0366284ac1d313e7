"""People: the REST resources of users, their presences, queues, groups (protocol.md §2.1)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import unquote

from aiohttp import web

from tools.fake_gateway.cloud.api_middleware import CLIENT, asked_json
from tools.fake_gateway.cloud.definitions import (
    COMMUNICATING,
    DEFINITIONS,
    IDLE,
    INTERACTING,
    NUMBER_OF,
    OFF_QUEUE,
    ON_QUEUE,
    ROUTING_STATUSES,
)
from tools.fake_gateway.cloud.organisation import PURECLOUD, CloudOrganisation, iso_time
from tools.fake_gateway.cloud.paging import Page
from tools.fake_gateway.cloud.problems import ApiError, bad_request, not_found
from tools.fake_gateway.rest import RestCall, json_response

USERS_PAGE_MAX = 500
MEMBERS_PAGE_MAX = 100
IDS_MAX = 100
BULK_MAX = 50  # ours: the source says nothing
MESSAGE_MAX = 250
OTHER_SOURCES = ("MICROSOFTTEAMS", "ZOOMPHONE", "EIGHT_BY_EIGHT")


class Changing(Protocol):
    def __call__(
        self,
        agent: int,
        *,
        by: str,
        presence: int | None = None,
        routing: int | None = None,
        message: str | None = None,
    ) -> int: ...


class People:
    """`change`: makes a change and tells everybody who hears of it."""

    def __init__(self, organisation: CloudOrganisation, change: Changing) -> None:
        self._organisation = organisation
        self._change = change
        self.patches = 0  # presences that were changed by calls
        self.reads = 0

    @property
    def calls(self) -> tuple[RestCall, ...]:
        user = "/api/v2/users/{user}"
        return (
            RestCall("GET", "/api/v2/users", self._users),
            RestCall("PUT", "/api/v2/users/presences/bulk", self._bulk),
            RestCall("GET", user, self._user),
            RestCall("GET", user + "/presences/{source}", self._presence),
            RestCall("PATCH", user + "/presences/{source}", self._patch),
            RestCall("PUT", user + "/presences/{source}", self._patch),
            RestCall("GET", user + "/routingstatus", self._routing_status),
            RestCall("PUT", user + "/routingstatus", self._set_routing_status),
            RestCall("GET", "/api/v2/presence/definitions", self._definitions),
            RestCall("GET", "/api/v2/presencedefinitions", self._definitions),
            RestCall("GET", "/api/v2/organizations/me", self._me),
            RestCall("GET", "/api/v2/routing/queues", self._queues),
            RestCall("GET", "/api/v2/routing/queues/{queue}/members", self._queue_members),
            RestCall("GET", "/api/v2/groups", self._groups),
            RestCall("GET", "/api/v2/groups/{group}/members", self._group_members),
            RestCall("GET", "/api/v2/authorization/divisions", self._divisions),
        )

    # Reading.

    async def _users(self, request: web.Request) -> web.StreamResponse:
        organisation, expand = self._organisation, _expand(request)
        page = Page(request, size_max=USERS_PAGE_MAX)
        state = request.query.get("state", "active")
        if state not in ("active", "inactive", "deleted", "any"):
            raise bad_request(f"state {state!r} is none", "invalid.value")
        ids = [each for text in request.query.getall("id", []) for each in text.split(",")]
        if len(ids) > IDS_MAX:
            raise bad_request(f"At most {IDS_MAX} ids", "too.many.ids")
        self.reads += 1
        agents = organisation.roster(state)
        if ids:
            asked = {organisation.agents.get(user) for user in ids}
            agents = [agent for agent in agents if agent in asked]
        entities = [organisation.user(agent, expand) for agent in page.of(agents)]
        return json_response(page.listing(entities, len(agents)))

    async def _user(self, request: web.Request) -> web.StreamResponse:
        agent = self._agent(request.match_info["user"])
        return json_response(self._organisation.user(agent, _expand(request)))

    async def _presence(self, request: web.Request) -> web.StreamResponse:
        agent, source = self._agent(request.match_info["user"]), _source(request)
        if source == PURECLOUD:
            return json_response(self._organisation.presence(agent))
        other = self._organisation.others.get((agent, source))
        if other is None:
            raise not_found("presence")
        return json_response(other)

    async def _routing_status(self, request: web.Request) -> web.StreamResponse:
        agent = self._agent(request.match_info["user"])
        return json_response(self._organisation.routing_status(agent))

    async def _definitions(self, request: web.Request) -> web.StreamResponse:
        asked = request.query.get("deactivated", "false").lower()
        entities = [
            definition.entity()
            for definition in DEFINITIONS
            if asked == "any" or definition.deactivated == (asked == "true")
        ]
        return json_response({"entities": entities, "total": len(entities)})

    async def _me(self, _: web.Request) -> web.StreamResponse:
        name = "Fake Contact Center"
        return json_response({"id": self._organisation.id, "name": name, "state": "active"})

    async def _queues(self, request: web.Request) -> web.StreamResponse:
        queues = list(range(len(self._organisation.script.queues)))
        return _listing(Page(request, size_max=USERS_PAGE_MAX), queues, self._organisation.queue)

    async def _queue_members(self, request: web.Request) -> web.StreamResponse:
        queues, asked = self._organisation.script.queues, request.match_info["queue"]
        if asked not in queues:
            raise not_found("queue")
        members = self._organisation.queue_members(queues.index(asked))
        page = Page(request, size_max=MEMBERS_PAGE_MAX)
        return _listing(page, members, lambda agent: self._member(agent) | {"joined": True})

    async def _groups(self, request: web.Request) -> web.StreamResponse:
        groups = self._organisation.groups
        page = Page(request, size_max=USERS_PAGE_MAX)
        return _listing(page, list(range(len(groups))), groups.__getitem__)

    async def _group_members(self, request: web.Request) -> web.StreamResponse:
        ids = [group["id"] for group in self._organisation.groups]
        if request.match_info["group"] not in ids:
            raise not_found("group")
        members = self._organisation.group_members(ids.index(request.match_info["group"]))
        return _listing(Page(request, size_max=MEMBERS_PAGE_MAX), members, self._member)

    async def _divisions(self, request: web.Request) -> web.StreamResponse:
        divisions = self._organisation.divisions
        page = Page(request, size_max=USERS_PAGE_MAX)
        return _listing(page, list(range(len(divisions))), divisions.__getitem__)

    def _member(self, agent: int) -> dict[str, Any]:
        user = self._organisation.script.users[agent]
        name = self._organisation.name(agent)
        return {"id": user, "name": name, "selfUri": f"/api/v2/users/{user}"}

    def _agent(self, user: str) -> int:
        agent = self._organisation.agents.get(user.lower())
        if agent is None or self._organisation.states[agent] == "deleted":
            raise not_found("user")
        return agent

    # Changing.

    async def _patch(self, request: web.Request) -> web.StreamResponse:
        agent, source = self._agent(request.match_info["user"]), _source(request)
        asked = await asked_json(request)
        presence, message = _asked_presence(asked)
        if source != PURECLOUD:
            return json_response(self._set_other(agent, source, presence, message))
        self._set(agent, presence, message, by=f"client {request[CLIENT].number}")
        return json_response(self._organisation.presence(agent))

    async def _bulk(self, request: web.Request) -> web.StreamResponse:
        """An entry that is wrong is not applied, and the answer does not tell of it: *ours*."""
        asked = await asked_json(request)
        if not isinstance(asked, list) or not 1 <= len(asked) <= BULK_MAX:
            raise bad_request(f"The body is a list of 1 to {BULK_MAX} presences")
        if not all(isinstance(one, dict) and one.get("source") == PURECLOUD for one in asked):
            raise bad_request(f"source must be {PURECLOUD}")
        if len({str(one.get("id", "")).lower() for one in asked}) < len(asked):
            raise bad_request("Each user once")
        answers = []
        for one in asked:
            try:
                agent = self._agent(str(one.get("id", "")))
                presence, message = _asked_presence(one)
            except ApiError:
                continue
            self._set(agent, presence, message, by=f"client {request[CLIENT].number}")
            answers.append(self._organisation.presence(agent))
        return json_response(answers)

    async def _set_routing_status(self, request: web.Request) -> web.StreamResponse:
        agent, asked = self._agent(request.match_info["user"]), await asked_json(request)
        status = asked.get("status") if isinstance(asked, dict) else None
        if status not in (ROUTING_STATUSES[OFF_QUEUE], ROUTING_STATUSES[IDLE]):
            raise bad_request("status must be OFF_QUEUE or IDLE", "invalid.value")
        by = f"client {request[CLIENT].number}"
        self._change(agent, by=by, routing=ROUTING_STATUSES.index(status))
        return json_response(self._organisation.routing_status(agent))

    def _set(self, agent: int, presence: int, message: str, *, by: str) -> None:
        self.patches += 1
        set_presence(self._organisation, self._change, agent, presence, message, by=by)

    def _set_other(self, agent: int, source: str, presence: int, message: str) -> dict[str, Any]:
        """Of another source: kept apart, never the primary one."""
        definition = DEFINITIONS[presence]
        self._organisation.others[agent, source] = told = {
            "id": self._organisation.script.users[agent],
            "source": source,
            "primary": False,
            "presenceDefinition": {
                "id": definition.id,
                "systemPresence": definition.system_presence,
            },
            "message": message,
            "modifiedDate": iso_time(time.time_ns() // 1_000_000),
        }
        return told


def set_presence(
    organisation: CloudOrganisation,
    change: Changing,
    agent: int,
    presence: int,
    message: str,
    *,
    by: str,
) -> int:
    """On queue an agent becomes idle, else off queue; who talks goes on talking. In ms."""
    held = organisation.activity.held(agent)
    routing: int | None = IDLE if presence == ON_QUEUE else OFF_QUEUE
    if held.routing in (INTERACTING, COMMUNICATING, routing):
        routing = None
    return change(agent, by=by, presence=presence, routing=routing, message=message)


def _asked_presence(asked: Any) -> tuple[int, str]:
    """(definition, message); raises ApiError."""
    wanted = asked.get("presenceDefinition") if isinstance(asked, dict) else None
    definition = wanted.get("id") if isinstance(wanted, dict) else None
    number = NUMBER_OF.get(definition) if isinstance(definition, str) else None
    if number is None:
        raise bad_request("The presence definition is unknown", "invalid.presence.definition")
    if DEFINITIONS[number].deactivated:
        raise bad_request("The presence definition is deactivated", "deactivated.definition")
    message = asked.get("message") or ""
    if not isinstance(message, str) or len(message) > MESSAGE_MAX:
        raise bad_request(f"message has at most {MESSAGE_MAX} characters", "invalid.message")
    return number, message


def _source(request: web.Request) -> str:
    source = unquote(request.match_info["source"]).upper()
    if source != PURECLOUD and source not in OTHER_SOURCES:
        raise not_found("presence source")
    return source


def _expand(request: web.Request) -> frozenset[str]:
    texts = request.query.getall("expand", [])
    return frozenset(part.strip().lower() for text in texts for part in text.split(","))


def _listing(page: Page, numbers: list[int], entity: Callable[[int], Any]) -> web.Response:
    return json_response(page.listing([entity(n) for n in page.of(numbers)], len(numbers)))

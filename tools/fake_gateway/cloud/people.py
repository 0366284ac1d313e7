"""People: the REST resources of users, their presences, queues, groups (protocol.md §2.1)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol
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
    USUAL_LOCALE,
)
from tools.fake_gateway.cloud.directory import DIVISIONS
from tools.fake_gateway.cloud.organisation import PURECLOUD, CloudOrganisation, Other
from tools.fake_gateway.cloud.paging import Page
from tools.fake_gateway.cloud.problems import ApiError, bad_request, not_found
from tools.fake_gateway.rest import RestCall, json_response

USERS_PAGE_MAX = 500
MEMBERS_PAGE_MAX = 100
IDS_MAX = 100
BULK_MAX = 50  # of reading; of writing it is ours: the source says nothing
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
            RestCall("GET", "/api/v2/users/presences/{source}/bulk", self._presences),
            RestCall("GET", user, self._user),
            RestCall("GET", user + "/presences/{source}", self._presence),
            RestCall("PATCH", user + "/presences/{source}", self._patch),
            RestCall("GET", user + "/routingstatus", self._routing_status),
            RestCall("PUT", user + "/routingstatus", self._set_routing_status),
            RestCall("GET", user + "/queues", self._queues_of),
            RestCall("GET", "/api/v2/presence/definitions", self._definitions),
            RestCall("GET", "/api/v2/presencedefinitions", self._legacy_definitions),
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
        ids = _asked_ids(request, IDS_MAX)
        self.reads += 1
        agents = organisation.roster(state)
        if ids:
            asked = {organisation.agents.get(user.lower()) for user in ids}
            agents = [agent for agent in agents if agent in asked]
        entities = [organisation.user(agent, expand) for agent in page.of(agents)]
        return json_response(page.listing(entities, len(agents)))

    async def _user(self, request: web.Request) -> web.StreamResponse:
        agent = self._agent(request.match_info["user"])
        return json_response(self._organisation.user(agent, _expand(request)))

    async def _presence(self, request: web.Request) -> web.StreamResponse:
        agent, source = self._agent(request.match_info["user"]), _source(request)
        presence = self._organisation.presence_of(agent, source)
        if presence is None:
            raise not_found("presence")
        return json_response(presence)

    async def _presences(self, request: web.Request) -> web.StreamResponse:
        """Of those who are known: nothing is said of the others."""
        organisation, source = self._organisation, _source(request)
        answers = []
        for user in _asked_ids(request, BULK_MAX):
            agent = organisation.agents.get(user.lower())
            if agent is None or organisation.states[agent] == "deleted":
                continue
            presence = organisation.bulk_presence(agent, source)
            if presence is not None:
                answers.append(presence)
        return json_response(answers)

    async def _routing_status(self, request: web.Request) -> web.StreamResponse:
        """Who does not exist is off queue: the platform says so itself."""
        try:
            agent = self._agent(user := request.match_info["user"])
        except ApiError:
            return json_response({"userId": user, "status": ROUTING_STATUSES[OFF_QUEUE]})
        return json_response(self._organisation.routing_status(agent))

    async def _definitions(self, request: web.Request) -> web.StreamResponse:
        """All at once; labels in one language unless all are asked for."""
        deactivated = _one_of(request, "deactivated", "false", "true") == "true"
        locale = request.query.get("localeCode", USUAL_LOCALE)
        entities = [one.entity(locale) for one in DEFINITIONS if one.deactivated == deactivated]
        path = request.path
        return json_response({"entities": entities, "total": len(entities), "selfUri": path})

    async def _legacy_definitions(self, request: web.Request) -> web.StreamResponse:
        """Page by page; `deleted`: those that are deactivated."""
        asked = _one_of(request, "deleted", "false", "true", "all")
        locale = request.query.get("localeCode", USUAL_LOCALE)
        numbers = [
            number
            for number, one in enumerate(DEFINITIONS)
            if asked == "all" or one.deactivated == (asked == "true")
        ]
        page = Page(request, size_max=USERS_PAGE_MAX)
        return _listing(page, numbers, lambda n: DEFINITIONS[n].legacy_entity(locale))

    async def _me(self, _: web.Request) -> web.StreamResponse:
        name = "Fake Contact Center"
        told = {"id": self._organisation.id, "name": name, "state": "active"}
        return json_response(told | {"version": 3, "selfUri": "/api/v2/organizations/me"})

    async def _queues(self, request: web.Request) -> web.StreamResponse:
        queues = list(range(len(self._organisation.script.queues)))
        return _listing(Page(request, size_max=USERS_PAGE_MAX), queues, self._organisation.queue)

    async def _queue_members(self, request: web.Request) -> web.StreamResponse:
        queues, asked = self._organisation.script.queues, request.match_info["queue"]
        if asked not in queues:
            raise not_found("queue")
        organisation, number = self._organisation, queues.index(asked)
        members, expand = organisation.queue_members(number), _expand(request)
        page = Page(request, size_max=MEMBERS_PAGE_MAX)
        entities = [organisation.queue_member(number, agent, expand) for agent in page.of(members)]
        return json_response(page.uncounted(entities, len(members)))

    async def _queues_of(self, request: web.Request) -> web.StreamResponse:
        """Everybody has joined each of theirs."""
        agent = self._agent(request.match_info["user"])
        is_joined = _one_of(request, "joined", "true", "false") == "true"
        queues = self._organisation.queues_of(agent) if is_joined else []
        page = Page(request, size_max=MEMBERS_PAGE_MAX)
        return _listing(page, queues, self._organisation.user_queue)

    async def _groups(self, request: web.Request) -> web.StreamResponse:
        numbers = list(range(len(self._organisation.directory.groups)))
        return _listing(Page(request, size_max=USERS_PAGE_MAX), numbers, self._organisation.group)

    async def _group_members(self, request: web.Request) -> web.StreamResponse:
        organisation, asked = self._organisation, request.match_info["group"]
        if asked not in organisation.directory.groups:
            raise not_found("group")
        members = organisation.group_members(organisation.directory.groups.index(asked))
        page, expand = Page(request, size_max=MEMBERS_PAGE_MAX), _expand(request)
        return _listing(page, members, lambda agent: organisation.user(agent, expand))

    async def _divisions(self, request: web.Request) -> web.StreamResponse:
        division = self._organisation.directory.authorisation_division
        page = Page(request, size_max=USERS_PAGE_MAX)
        return _listing(page, list(range(DIVISIONS)), division)

    def _agent(self, user: str) -> int:
        agent = self._organisation.agents.get(user.lower())
        if agent is None or self._organisation.states[agent] == "deleted":
            raise not_found("user")
        return agent

    # Changing.

    async def _patch(self, request: web.Request) -> web.StreamResponse:
        agent, source = self._agent(request.match_info["user"]), _source(request)
        asked = _asked_patch(await asked_json(request))
        self._say(agent, source, asked, by=f"client {request[CLIENT].number}")
        return json_response(self._organisation.presence_of(agent, source))

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
                asked_of_one = _asked_patch(one)
            except ApiError:
                continue
            self._say(agent, PURECLOUD, asked_of_one, by=f"client {request[CLIENT].number}")
            answers.append(self._organisation.presence_of(agent, PURECLOUD))
        return json_response(answers)

    async def _set_routing_status(self, request: web.Request) -> web.StreamResponse:
        agent, asked = self._agent(request.match_info["user"]), await asked_json(request)
        status = asked.get("status") if isinstance(asked, dict) else None
        if status not in (ROUTING_STATUSES[OFF_QUEUE], ROUTING_STATUSES[IDLE]):
            raise bad_request("status must be OFF_QUEUE or IDLE", "invalid.value")
        if self._organisation.activity.held(agent).routing == OFF_QUEUE:
            raise bad_request("The user is not on queue")
        by = f"client {request[CLIENT].number}"
        self._change(agent, by=by, routing=ROUTING_STATUSES.index(status))
        return json_response(self._organisation.routing_status(agent))

    def _say(self, agent: int, source: str, asked: AskedPatch, *, by: str) -> None:
        """What is not of the primary source is kept apart: nobody hears of it."""
        organisation, said = self._organisation, None
        if asked.is_primary:
            said = organisation.make_primary(agent, source)
        is_primary = organisation.primaries.get(agent, PURECLOUD) == source
        said = said or organisation.others.get((agent, source))
        if is_primary and said is None and asked.presence is None and asked.message is None:
            return
        if said is None:
            held = organisation.activity.held(agent)
            said = Other(held.presence, held.message if is_primary else "", 0)
        presence = said.presence if asked.presence is None else asked.presence
        if asked.message is not None:
            message = asked.message
        else:  # a new presence has no message of the last one
            message = said.message if asked.presence is None else ""
        if is_primary:
            self.patches += 1
            set_presence(organisation, self._change, agent, presence, message, by=by)
        else:
            now_ms = time.time_ns() // 1_000_000
            organisation.others[agent, source] = Other(presence, message, now_ms)


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


class AskedPatch(NamedTuple):
    """What a presence is to become: at least one of the three. None: as it is."""

    presence: int | None
    message: str | None
    is_primary: bool


def _asked_patch(asked: Any) -> AskedPatch:
    """Raises ApiError."""
    if not isinstance(asked, dict):
        raise bad_request("The body is an object", "invalid.body")
    wanted, message = asked.get("presenceDefinition"), asked.get("message")
    is_primary = asked.get("primary") is True
    if wanted is None and message is None and not is_primary:
        raise bad_request("Nothing of primary, presenceDefinition and message", "invalid.body")
    if message is not None and (not isinstance(message, str) or len(message) > MESSAGE_MAX):
        raise bad_request(f"message has at most {MESSAGE_MAX} characters", "invalid.message")
    return AskedPatch(None if wanted is None else _definition(wanted), message, is_primary)


def _definition(wanted: Any) -> int:
    """Raises ApiError."""
    definition = wanted.get("id") if isinstance(wanted, dict) else None
    number = NUMBER_OF.get(definition) if isinstance(definition, str) else None
    if number is None:
        raise bad_request("The presence definition is unknown", "invalid.presence.definition")
    if DEFINITIONS[number].deactivated:
        raise bad_request("The presence definition is deactivated", "deactivated.definition")
    return number


def _asked_ids(request: web.Request, most: int) -> list[str]:
    """Repeated, or with commas between them. Raises ApiError."""
    ids = [each for text in request.query.getall("id", []) for each in text.split(",")]
    if len(ids) > most:
        raise bad_request(f"At most {most} ids", "too.many.ids")
    return ids


def _one_of(request: web.Request, name: str, usual: str, *others: str) -> str:
    """In whatever case. Raises ApiError."""
    text = request.query.get(name, usual).lower()
    if text not in (usual, *others):
        raise bad_request(f"{name} {text!r} is unknown", "invalid.value")
    return text


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

"""Owns the calls of the platform API that we make, in the name of one OAuth client.

It knows no plan and no command: arguments in, values or a CloudError out (protocol.md §2.1). Each
call takes its place in the rate budget, and what its answer says of the limit corrects it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias
from urllib.parse import quote

import httpx
import orjson

from actors.genesys.cloud import is_user_id
from actors.genesys.cloud_answers import (
    ChannelAnswer,
    Entity,
    ListingPage,
    Subscriptions,
    channel_of,
    entities_of,
    listed,
    page_of,
    subscriptions_of,
)
from actors.genesys.cloud_errors import (
    NoAnswerError,
    NotFoundError,
    NoTokenError,
    OddAnswerError,
    RateLimitedError,
    UnauthorisedError,
    refusal,
)
from actors.genesys.http import GatewayAddress, place_of, read_bounded
from actors.genesys.pacer import Pacer
from actors.genesys.retry_after import http_date_us
from actors.genesys.secret import Secret
from actors.genesys.tokens import TokenProvider, TokenUnavailableError
from runtime.clock import Clock
from runtime.log import MASK

CALL_TIMEOUT_S: Final = 10.0
PAGE_TIMEOUT_S: Final = 30.0  # 500 users with all that they are
ANSWER_BYTES_MAX: Final = 32 << 20
REQUEST_BYTES_MAX: Final = 512_000
USERS_PER_PAGE: Final = 500
USERS_BY_ID_MAX: Final = 100
NAMED_PER_PAGE: Final = 100
PRESENCES_AT_ONCE_MAX: Final = 50
SNAPSHOT_PARTS: Final = ("presence", "routingStatus", "outOfOffice")

Collection: TypeAlias = Literal["queues", "groups", "divisions"]
MemberKind: TypeAlias = Literal["queues", "groups"]
_COLLECTIONS: Final[dict[Collection, str]] = {
    "queues": "/api/v2/routing/queues",
    "groups": "/api/v2/groups",
    "divisions": "/api/v2/authorization/divisions",
}


class NewPresence(NamedTuple):
    """What a user is to hold; "": without a message."""

    user_id: str
    definition_id: str
    message: str = ""

    def entity(self) -> Entity:
        body: Entity = {
            "id": self.user_id,
            "source": "PURECLOUD",
            "presenceDefinition": {"id": self.definition_id},
        }
        return body | {"message": self.message} if self.message else body


class CloudRest:
    """For one event loop. Every call raises CloudError and its kinds, and ConfigurationError if the
    gateway refuses the first token of all. The counters only grow."""

    def __init__(
        self,
        address: GatewayAddress,
        tokens: TokenProvider,
        client: httpx.AsyncClient,
        pacer: Pacer,
        *,
        clock: Clock,
    ) -> None:
        self._api_url = address.api_url
        self._at = place_of(address)
        self._tokens = tokens
        self._client = client
        self._pacer = pacer
        self._clock = clock
        self.gateway_ahead_us = 0
        """Of our clock, by the `Date` of the newest answer that had one; to a second or so."""
        self.requests = 0
        self.rate_limited = 0

    # -- users -----------------------------------------------------------------------------------

    async def user_page(self, number: int, expand: Sequence[str] = ()) -> ListingPage:
        """Of all active users; pages are numbered from 1."""
        params = {"state": "active", **({"expand": ",".join(expand)} if expand else {})}
        return await self._page("users", "/api/v2/users", number, USERS_PER_PAGE, params)

    def user_pages(self, expand: Sequence[str] = ()) -> AsyncIterator[ListingPage]:
        return _pages(lambda number: self.user_page(number, expand))

    async def users_by_id(self, ids: Sequence[str], expand: Sequence[str] = ()) -> list[Entity]:
        """Those of them who are active, at most USERS_BY_ID_MAX; in no order."""
        assert 0 < len(ids) <= USERS_BY_ID_MAX, len(ids)
        params: dict[str, Any] = {
            "id": list(ids),
            "pageSize": USERS_BY_ID_MAX,
            "pageNumber": 1,
            "state": "active",
        }
        if expand:
            params["expand"] = ",".join(expand)
        answer = await self._object("GET", "users by id", "/api/v2/users", params=params)
        wanted = set(ids)
        return [user for user in entities_of("users by id", answer) if user["id"] in wanted]

    async def member_page(self, kind: MemberKind, collection: str, number: int) -> ListingPage:
        """Of one queue or group; an entity's `id` is a user's."""
        path = f"{_COLLECTIONS[kind]}/{quote(collection, safe='')}/members"
        return await self._page(f"members of {kind}", path, number, NAMED_PER_PAGE)

    def member_pages(self, kind: MemberKind, collection: str) -> AsyncIterator[ListingPage]:
        return _pages(lambda number: self.member_page(kind, collection, number))

    async def named_page(self, kind: Collection, number: int) -> ListingPage:
        """Of all queues, groups or divisions."""
        return await self._page(kind, _COLLECTIONS[kind], number, NAMED_PER_PAGE)

    def named_pages(self, kind: Collection) -> AsyncIterator[ListingPage]:
        return _pages(lambda number: self.named_page(kind, number))

    # -- channels --------------------------------------------------------------------------------

    async def create_channel(self) -> ChannelAnswer:
        answer = await self._object("POST", "new channel", "/api/v2/notifications/channels")
        channel = channel_of(answer)
        if channel is None:
            raise OddAnswerError("new channel", 200, message="it has no id or no connectUri")
        return channel

    async def channels(self) -> list[ChannelAnswer]:
        """All of this OAuth client, whoever made them."""
        answer = await self._object("GET", "channels", "/api/v2/notifications/channels")
        return [one for each in listed(answer) if (one := channel_of(each)) is not None]

    async def is_channel_alive(self, channel: Secret) -> bool:
        try:
            await self._call("HEAD", "channel", _channel_path(channel), hidden=channel)
        except NotFoundError:
            return False
        return True

    async def put_topics(self, channel: Secret, topics: Iterable[str]) -> Subscriptions:
        """From now on these and no others. A topic that is refused takes no other one with it."""
        return await self._subscribe("PUT", channel, topics)

    async def add_topics(self, channel: Secret, topics: Iterable[str]) -> Subscriptions:
        """These as well; told are all that the gateway tells of."""
        return await self._subscribe("POST", channel, topics)

    async def topics(self, channel: Secret) -> frozenset[str]:
        """What it listens to."""
        path = _channel_path(channel) + "/subscriptions"
        answer = await self._object("GET", "topics of a channel", path, hidden=channel)
        return frozenset(
            each["id"]
            for each in listed(answer)
            if isinstance(each, dict) and isinstance(each.get("id"), str)
        )

    async def let_go(self, channel: Secret) -> None:
        """Clears its topics, so that it ends by itself; one that is gone already is no error."""
        path = _channel_path(channel) + "/subscriptions"
        try:
            await self._call("DELETE", "releasing a channel", path, hidden=channel)
        except NotFoundError:
            return

    async def _subscribe(
        self, method: str, channel: Secret, topics: Iterable[str]
    ) -> Subscriptions:
        asked = list(topics)
        answer = await self._object(
            method,
            "topics of a channel",
            _channel_path(channel) + "/subscriptions",
            params={"ignoreErrors": "true"},
            body=[{"id": topic} for topic in asked],
            hidden=channel,
        )
        return subscriptions_of(asked, answer)

    # -- presences -------------------------------------------------------------------------------

    async def definitions(self, *, deactivated: bool = False) -> list[Entity]:
        """Of presences, for `actors.genesys.definitions`: those in use, or those that are not."""
        params = {"deactivated": "true"} if deactivated else None
        path = "/api/v2/presence/definitions"
        answer = await self._object("GET", "presence definitions", path, params=params)
        return [each for each in listed(answer) if isinstance(each, dict)]

    async def presence(self, user_id: str) -> Entity:
        return await self._object("GET", "presence of a user", _presence_path(user_id))

    async def patch_presence(
        self, user_id: str, definition_id: str, message: str | None = None
    ) -> Entity:
        """The user's presence as it is now; `modifiedDate` names the change."""
        body: Entity = {"presenceDefinition": {"id": definition_id}}
        if message is not None:
            body["message"] = message
        path = _presence_path(user_id)
        return await self._object("PATCH", "presence of a user", path, body=body)

    async def put_presences(self, presences: Sequence[NewPresence]) -> list[Entity]:
        """At most PRESENCES_AT_ONCE_MAX in one call; the presences as they are now, of whom it
        tells."""
        assert 0 < len(presences) <= PRESENCES_AT_ONCE_MAX, len(presences)
        body = [each.entity() for each in presences]
        path = "/api/v2/users/presences/bulk"
        answer = await self._json("PUT", "presences of users", path, body=body)
        return [each for each in listed(answer) if isinstance(each, dict)]

    async def presences_of(self, ids: Sequence[str]) -> dict[str, Entity]:
        """Of those of them that the answer tells of, at most PRESENCES_AT_ONCE_MAX; by their ids as
        they were asked for. For what `expand` left out (protocol.md §4, R3)."""
        assert 0 < len(ids) <= PRESENCES_AT_ONCE_MAX, len(ids)
        path = "/api/v2/users/presences/purecloud/bulk"
        answer = await self._json("GET", "presences of users", path, params={"id": ",".join(ids)})
        asked = {user_id.lower(): user_id for user_id in ids}
        told: dict[str, Entity] = {}
        for each in listed(answer):
            if isinstance(each, dict):
                named = (each.get("userId"), each.get("id"))
                spelt = (name.lower() for name in named if isinstance(name, str))
                user = next((asked[name] for name in spelt if name in asked), None)
                if user is not None:
                    told[user] = each
        return told

    async def routing_status_of(self, user_id: str) -> Entity:
        """NotFoundError for a user to whom no contact is ever routed."""
        assert is_user_id(user_id), user_id
        path = f"/api/v2/users/{user_id}/routingstatus"
        return await self._object("GET", "routing status of a user", path)

    # -- how a call is made ----------------------------------------------------------------------

    async def _page(
        self, call: str, path: str, number: int, size: int, params: Mapping[str, Any] | None = None
    ) -> ListingPage:
        asked = {**(params or {}), "pageSize": size, "pageNumber": number}
        answer = await self._object("GET", call, path, params=asked, timeout_s=PAGE_TIMEOUT_S)
        return page_of(call, answer, number)

    async def _object(self, method: str, call: str, path: str, **how: Any) -> Entity:
        answer = await self._json(method, call, path, **how)
        if not isinstance(answer, dict):
            raise OddAnswerError(call, 200, message="the response is not an object")
        return answer

    async def _json(self, method: str, call: str, path: str, **how: Any) -> Any:
        content = await self._call(method, call, path, **how)
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError:
            raise OddAnswerError(call, 200, message="the response is not JSON") from None

    async def _call(
        self,
        method: str,
        call: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        hidden: Secret | None = None,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> bytes:
        """The body of a success. A refused token is answered with another one, once."""
        content = orjson.dumps(body) if method not in ("GET", "HEAD", "DELETE") else None
        assert len(content or b"") <= REQUEST_BYTES_MAX, f"{call}: {len(content or b'')} bytes"
        rejected: Secret | None = None
        while True:
            token = await self._token(call, rejected)
            request = self._client.build_request(
                method,
                self._api_url + path,
                params=params,
                content=content,
                headers=_headers(token, content),
                timeout=timeout_s,
            )
            try:
                return await self._send(call, request, timeout_s, hidden)
            except UnauthorisedError:
                if rejected is not None:
                    raise
                rejected = token

    async def _token(self, call: str, rejected: Secret | None) -> Secret:
        try:
            return (await self._tokens.current(rejected=rejected)).value
        except TokenUnavailableError as error:
            raise NoTokenError(call, 0, message=error.reason, retry_after=error.retry_s) from None

    async def _send(
        self, call: str, request: httpx.Request, timeout_s: float, hidden: Secret | None
    ) -> bytes:
        async with self._pacer.turn() as budget:
            self.requests += 1
            asked_us = self._clock.wall_us()
            try:
                async with asyncio.timeout(timeout_s):
                    reply = await self._client.send(request, stream=True)
                    try:
                        budget.corrected(reply.headers, self._clock.now_s())
                        self._compare_clocks(reply.headers.get("Date"), asked_us)
                        content = await _read(call, reply)
                    finally:
                        await reply.aclose()
            except TimeoutError:
                message = f"{self._at}: no response within {timeout_s:g} s"
                raise NoAnswerError(call, 0, message=message) from None
            except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
                said = _without(hidden, str(error))
                message = f"{self._at}: {type(error).__name__}: {said}"
                raise NoAnswerError(call, 0, message=message) from None
            if reply.is_success:
                return content
            problem = refusal(
                call,
                reply.status_code,
                reply.headers,
                _bytes_without(hidden, content),
                self._clock.wall_us(),
            )
            if isinstance(problem, RateLimitedError):
                self.rate_limited += 1
                budget.refused(problem.retry_after_s, self._clock.now_s())
            raise problem

    def _compare_clocks(self, date: str | None, asked_us: int) -> None:
        """A `Date` is cut to its second, and was written some time between question and answer."""
        written_us = http_date_us(date)
        if written_us is not None:
            between_us = (asked_us + self._clock.wall_us()) // 2
            self.gateway_ahead_us = written_us + 500_000 - between_us


async def _pages(page: Callable[[int], Awaitable[ListingPage]]) -> AsyncIterator[ListingPage]:
    """Until the last one, whatever number it has by then."""
    number, pages = 1, 1
    while number <= pages:
        found = await page(number)
        yield found
        number, pages = number + 1, found.pages


def _headers(token: Secret, content: bytes | None) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {token.reveal()}", "Accept": "application/json"}
    return headers if content is None else headers | {"Content-Type": "application/json"}


async def _read(call: str, reply: httpx.Response) -> bytes:
    try:
        return await read_bounded(reply, ANSWER_BYTES_MAX)
    except ValueError as error:
        message = f"the response is too long or damaged: {error}"
        raise OddAnswerError(call, reply.status_code, message=message) from None


def _without(hidden: Secret | None, text: str) -> str:
    return text if hidden is None else text.replace(hidden.reveal(), MASK)


def _bytes_without(hidden: Secret | None, content: bytes) -> bytes:
    return content if hidden is None else content.replace(hidden.reveal().encode(), MASK.encode())


def _channel_path(channel: Secret) -> str:
    return f"/api/v2/notifications/channels/{quote(channel.reveal(), safe='')}"


def _presence_path(user_id: str) -> str:
    assert is_user_id(user_id), "checked by whoever takes commands"
    return f"/api/v2/users/{user_id}/presences/PURECLOUD"

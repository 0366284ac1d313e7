"""Owns the calls of the platform API that we make, in the name of one OAuth client.

It knows no plan and no command: arguments in, values or a CloudError out (protocol.md §2.1). How a
call is made is `api_calls`'.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, Literal, NamedTuple, TypeAlias
from urllib.parse import quote

import structlog

from actors.genesys.api_calls import ApiCalls, without
from actors.genesys.cloud import is_user_id, user_id_of
from actors.genesys.cloud_answers import (
    ChannelAnswer,
    ChannelListing,
    Entity,
    ListingPage,
    Subscriptions,
    channel_of,
    channels_of,
    entities_of,
    is_listing,
    listed,
    page_of,
    subscriptions_of,
)
from actors.genesys.cloud_errors import DistrustedError, NotFoundError, OddAnswerError
from actors.genesys.connect_uri import distrust_of
from actors.genesys.paging import PageWalk, Query
from actors.genesys.secret import Secret
from actors.genesys.unreadable import UnreadableError, halved, ids_in, pages_in

PAGE_TIMEOUT_S: Final = 30.0  # 500 users with all that they are
USERS_PER_PAGE: Final = 500
USERS_BY_ID_MAX: Final = 100
NAMED_PER_PAGE: Final = 100
PRESENCES_AT_ONCE_MAX: Final = 50
DEFINITIONS_PER_PAGE_MAX: Final = 100_000  # it is one page, unless it says otherwise
UNREADABLE_TOLD_MAX: Final = 1_000
DISTRUSTED_WAIT_S: Final = 60.0  # each try leaves a channel behind
ALL_LOCALES: Final = "ALL"
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


class CloudRest(ApiCalls):
    """For one event loop. Every call raises CloudError and its kinds, and ConfigurationError if the
    gateway refuses the first token of all. The counters only grow."""

    @cached_property
    def _unreadable(self) -> set[str]:
        """Users of whom that was told."""
        return set()

    # -- users -----------------------------------------------------------------------------------

    async def user_page(
        self, number: int, expand: Sequence[str] = (), query: Query = ()
    ) -> ListingPage:
        """Of all active users; pages are numbered from 1. `query`: as the page before has it. Of a
        page that is no JSON even so, the users are asked for by id: who cannot be read costs no
        other one."""
        params = {"state": "active", **({"expand": ",".join(expand)} if expand else {})}
        try:
            return await self._page(
                "users", "/api/v2/users", number, USERS_PER_PAGE, params=params, query=query
            )
        except UnreadableError as error:
            return await self._salvaged(error, number, expand)

    async def _salvaged(
        self, error: UnreadableError, number: int, expand: Sequence[str] = ()
    ) -> ListingPage:
        """Of a page that cannot be read: the users whose ids stand in it."""
        ids = ids_in(error.body) if error.is_whole else []
        if not ids:
            raise error
        users = await self._halved(ids, expand)
        return ListingPage(users, number, pages_in(error.body, number), None)

    async def users_by_id(self, ids: Sequence[str], expand: Sequence[str] = ()) -> list[Entity]:
        """Those of them who are active, at most USERS_BY_ID_MAX; in no order. Of whom cannot be
        read there is the id, and nothing else."""
        assert 0 < len(ids) <= USERS_BY_ID_MAX, len(ids)
        return await self._halved(ids, expand)

    async def _halved(self, ids: Sequence[str], expand: Sequence[str]) -> list[Entity]:
        return await halved(
            ids,
            lambda some: self._users_by_id(some, expand),
            USERS_BY_ID_MAX,
            self._tell_unreadable,
        )

    def _tell_unreadable(self, user_id: str) -> None:
        """Once for each, and for so many at most."""
        if user_id not in self._unreadable and len(self._unreadable) < UNREADABLE_TOLD_MAX:
            self._unreadable.add(user_id)
            what = "the response with this user is not JSON; its name and state cannot be read"
            log = structlog.get_logger("actors.genesys")
            log.warning("user.unreadable", user=user_id, what=what)

    async def _users_by_id(self, ids: Sequence[str], expand: Sequence[str]) -> list[Entity]:
        params: dict[str, Any] = {
            "id": list(ids),
            "pageSize": USERS_BY_ID_MAX,
            "pageNumber": 1,
            "state": "active",
        }
        if expand:
            params["expand"] = ",".join(expand)
        answer = await self._object("GET", "users by id", "/api/v2/users", params=params)
        wanted = {user_id_of(each) for each in ids}
        return [user for user in entities_of("users by id", answer) if user["id"] in wanted]

    async def member_page(
        self, kind: MemberKind, collection: str, number: int, query: Query = ()
    ) -> ListingPage:
        """Of one queue or group; an entity's `id` is a user's. Members of a queue who have not
        joined it are members: without `joined` all are listed. A page that is no JSON is read as
        one of users is."""
        path = f"{_COLLECTIONS[kind]}/{quote(collection, safe='')}/members"
        try:
            return await self._page(f"members of {kind}", path, number, NAMED_PER_PAGE, query=query)
        except UnreadableError as error:
            return await self._salvaged(error, number)

    async def queue_page_of(self, user_id: str, number: int, query: Query = ()) -> ListingPage:
        """Of the queues that a user has joined."""
        assert is_user_id(user_id), user_id
        path, params = f"/api/v2/users/{user_id}/queues", {"joined": "true"}
        return await self._page(
            "queues of a user", path, number, NAMED_PER_PAGE, params=params, query=query
        )

    async def named_page(self, kind: Collection, number: int, query: Query = ()) -> ListingPage:
        """Of all queues, groups or divisions."""
        return await self._page(kind, _COLLECTIONS[kind], number, NAMED_PER_PAGE, query=query)

    # -- channels --------------------------------------------------------------------------------

    async def create_channel(self) -> ChannelAnswer:
        answer = await self._object("POST", "new channel", "/api/v2/notifications/channels")
        channel = channel_of(answer)
        if channel is None:
            raise OddAnswerError("new channel", 200, message="it has no id or no connectUri")
        if reason := self.distrust(channel.connect_uri):
            reason = without(channel.id, reason)
            raise DistrustedError("new channel", 200, message=reason, retry_after=DISTRUSTED_WAIT_S)
        return channel

    def distrust(self, connect_uri: Secret) -> str:
        """Why no socket may be opened there; "" if one may."""
        return distrust_of(connect_uri.reveal(), self._api_url)

    async def channels(self) -> ChannelListing:
        """All of this OAuth client, whoever made them: by default only those of our token are
        listed (protocol.md R2). An answer that lists nothing does not say that there are none: one
        made too many ends another one."""
        params = {"includechannels": "oauthclient"}
        path = "/api/v2/notifications/channels"
        answer = await self._json("GET", "channels", path, params=params)
        if not is_listing(answer):
            raise OddAnswerError("channels", 200, message="the response lists no channels")
        return channels_of(answer)

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
        """Of presences, for `actors.genesys.definitions`: those in use, or those that are not, with
        their labels in all languages (protocol.md R8)."""
        params = {"deactivated": "true"} if deactivated else {}
        pages = all_pages(lambda number, query: self._definitions(number, query, params))
        return [each async for page in pages for each in page.entities]

    async def _definitions(
        self, number: int, query: Query, params: Mapping[str, str]
    ) -> ListingPage:
        """In one piece, as far as is known; but where there is another page it is read."""
        asked = {"localeCode": ALL_LOCALES, **params, **dict(query)}
        if number > 1:
            asked.setdefault("pageNumber", str(number))
        path, call = "/api/v2/presence/definitions", "presence definitions"
        answer = await self._json("GET", call, path, params=asked)
        answer = answer if isinstance(answer, dict) else {"entities": listed(answer)}
        return page_of(call, answer, number, DEFINITIONS_PER_PAGE_MAX)

    async def presence(self, user_id: str) -> Entity:
        return await self._object("GET", "presence of a user", _presence_path(user_id))

    async def patch_presence(
        self,
        user_id: str,
        definition_id: str,
        message: str | None = None,
        *,
        is_primary: bool = False,
    ) -> Entity:
        """The user's presence as the answer has it, which need not be the wanted one yet.
        `is_primary`: the source becomes the user's primary one by it."""
        body: Entity = {"presenceDefinition": {"id": definition_id}}
        if message is not None:
            body["message"] = message
        if is_primary:
            body["primary"] = True
        path = _presence_path(user_id)
        return await self._object("PATCH", "presence of a user", path, body=body)

    async def put_presences(
        self, presences: Sequence[NewPresence], *, is_primary: bool = False
    ) -> list[Entity]:
        """At most PRESENCES_AT_ONCE_MAX in one call; the presences as the answer has them, of whom
        it tells. `is_primary`: as above."""
        assert 0 < len(presences) <= PRESENCES_AT_ONCE_MAX, len(presences)
        more: Entity = {"primary": True} if is_primary else {}
        body = [each.entity() | more for each in presences]
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
        self,
        call: str,
        path: str,
        number: int,
        size: int,
        *,
        params: Mapping[str, Any] | None = None,
        query: Query = (),
    ) -> ListingPage:
        asked = {**(params or {}), "pageSize": size, "pageNumber": number}
        if query:
            del asked["pageNumber"]  # it is in there, or else there is a cursor
            asked |= dict(query)
        answer = await self._object("GET", call, path, params=asked, timeout_s=PAGE_TIMEOUT_S)
        return page_of(call, answer, number, size)


async def all_pages(
    page: Callable[[int, Query], Awaitable[ListingPage]],
) -> AsyncIterator[ListingPage]:
    """Until the last one, whatever number it has by then."""
    walk = PageWalk()
    while True:
        found = await page(walk.number, walk.query)
        yield found
        if not walk.read(found.pages, found.query, (each["id"] for each in found.entities)):
            return


def _channel_path(channel: Secret) -> str:
    return f"/api/v2/notifications/channels/{quote(channel.reveal(), safe='')}"


def _presence_path(user_id: str) -> str:
    assert is_user_id(user_id), "checked by whoever takes commands"
    return f"/api/v2/users/{user_id}/presences/PURECLOUD"

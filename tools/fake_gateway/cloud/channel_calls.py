"""ChannelCalls: the REST resources of channels and their subscriptions (protocol.md §2.1)."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from aiohttp import web

from tools.fake_gateway.cloud.api_middleware import CLIENT, GRANT, asked_json
from tools.fake_gateway.cloud.channels import Channel, Channels
from tools.fake_gateway.cloud.organisation import CloudOrganisation
from tools.fake_gateway.cloud.problems import ApiError, bad_request, missing_permission
from tools.fake_gateway.cloud.topics import Topic, parse_topic
from tools.fake_gateway.rest import RestCall, json_response

PERMISSION = "users:activity:view"


class ChannelListener(Protocol):
    """Who must know when channels change."""

    def created(self, channel: Channel) -> None: ...
    def subscribed(self, channel: Channel) -> None: ...
    def lost(self, channel: Channel, reason: str) -> None: ...


class Subscriptions:
    """Takes topics as texts, by REST or over a socket; decides which of them are permitted."""

    def __init__(
        self, channels: Channels, organisation: CloudOrganisation, listener: ChannelListener
    ) -> None:
        self._channels = channels
        self._organisation = organisation
        self._listener = listener

    def take(
        self, channel: Channel, texts: list[str], *, replaces: bool, ignores: bool
    ) -> list[dict[str, Any]]:
        """What the reply lists. One topic that is refused fails all, unless errors are ignored."""
        answers, topics = [], {}
        for text in dict.fromkeys(texts):
            try:
                topics[text] = self._permitted(text)
                answers.append(_permitted(text))
            except ApiError as problem:
                if not ignores:
                    raise
                answers.append(_rejected(text, problem))
        now_s = time.monotonic()
        self._channels.subscribe(channel, topics, replaces=replaces, now_s=now_s)
        self._listener.subscribed(channel)
        return answers

    def _permitted(self, text: str) -> Topic:
        topic = parse_topic(text)
        agent = None if topic is None else self._organisation.agents.get(topic.user)
        if topic is None or agent is None or self._organisation.states[agent] == "deleted":
            raise bad_request(f"The topic is invalid: {text}", "notification.invalid.topic")
        if self._organisation.is_forbidden(agent):
            raise missing_permission(PERMISSION)
        return topic


class ChannelCalls:
    def __init__(
        self, channels: Channels, subscriptions: Subscriptions, listener: ChannelListener
    ) -> None:
        self._channels = channels
        self._subscriptions = subscriptions
        self._listener = listener

    @property
    def calls(self) -> tuple[RestCall, ...]:
        path = "/api/v2/notifications/channels"
        subscriptions = path + "/{channel}/subscriptions"
        return (
            RestCall("POST", path, self._create),
            RestCall("GET", path, self._list),
            RestCall("HEAD", path + "/{channel}", self._look),
            RestCall("GET", subscriptions, self._subscribed, has_head=False),
            RestCall("POST", subscriptions, self._add),
            RestCall("PUT", subscriptions, self._replace),
            RestCall("DELETE", subscriptions, self._clear),
        )

    async def _create(self, request: web.Request) -> web.StreamResponse:
        if await asked_json(request) is not None:
            raise bad_request("No body is expected", "invalid.body")
        now_s = time.monotonic()
        channel, evicted = self._channels.create(request[CLIENT].number, request[GRANT], now_s)
        if evicted is not None:
            self._listener.lost(evicted, "evicted")
        self._listener.created(channel)
        return json_response(_entity(channel, request))

    async def _list(self, request: web.Request) -> web.StreamResponse:
        """Those that this token made; of the whole client on request, and then the others without
        what could open them."""
        included = request.query.get("includechannels", "token").lower()
        if included not in ("token", "oauthclient"):
            raise bad_request("includechannels is token or oauthclient", "invalid.value")
        entities = []
        for channel in self._channels.of(request[CLIENT].number):
            if channel.grant is request[GRANT]:
                entities.append(_entity(channel, request))
            elif included == "oauthclient":
                entities.append({"expires": _expires(channel)})
        return json_response({"entities": entities})

    async def _look(self, request: web.Request) -> web.StreamResponse:
        self._channel(request)
        return web.Response()

    async def _subscribed(self, request: web.Request) -> web.StreamResponse:
        channel = self._channel(request)
        return json_response({"entities": [_permitted(text) for text in channel.topics]})

    async def _add(self, request: web.Request) -> web.StreamResponse:
        return await self._take(request, replaces=False)

    async def _replace(self, request: web.Request) -> web.StreamResponse:
        return await self._take(request, replaces=True)

    async def _clear(self, request: web.Request) -> web.StreamResponse:
        channel = self._channel(request)
        self._channels.clear(channel)
        self._listener.subscribed(channel)
        return web.Response()

    async def _take(self, request: web.Request, *, replaces: bool) -> web.StreamResponse:
        channel, asked = self._channel(request), await asked_json(request)
        if not isinstance(asked, list) or not all(
            isinstance(one, dict) and isinstance(one.get("id"), str) for one in asked
        ):
            raise bad_request('The body is a list of {"id": topic}', "invalid.body")
        answers = self._subscriptions.take(
            channel,
            [one["id"] for one in asked],
            replaces=replaces,
            ignores=request.query.get("ignoreErrors", "").lower() == "true",
        )
        return json_response({"entities": answers})

    def _channel(self, request: web.Request) -> Channel:
        return self._channels.owned(request.match_info["channel"], request[CLIENT].number)


def _permitted(text: str) -> dict[str, Any]:
    return {"id": text, "selfUri": "/api/v2/notifications/availabletopics", "state": "Permitted"}


def _rejected(text: str, problem: ApiError) -> dict[str, Any]:
    told: dict[str, Any] = {"id": text, "state": "Rejected", "rejectionReason": problem.message}
    if problem.status == 403:
        told["missingPermissions"] = [PERMISSION]
    return told


def _entity(channel: Channel, request: web.Request) -> dict[str, Any]:
    scheme = "wss" if request.secure else "ws"
    return {
        "connectUri": f"{scheme}://{request.host}/channels/{channel.id}",
        "id": channel.id,
        "expires": _expires(channel),
    }


def _expires(channel: Channel) -> str:
    left = timedelta(seconds=channel.expires_s - time.monotonic())
    expires = (datetime.now(UTC) + left).isoformat(timespec="milliseconds")
    return expires.removesuffix("+00:00") + "Z"

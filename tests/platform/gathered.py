"""Gathered: one answer of every kind that the bundled gateway gives, and one frame of every kind
that it sends, as records for `sdk_models`.

Each route of the gateway is called by name, in a success and in a refusal; `test_held_against_sdk`
fails for a route that is missing here.
"""

from __future__ import annotations

from typing import Any

from tests.gateway.bundled import Client, CloudServed
from tools.fake_gateway.pacing import Load

Record = dict[str, Any]
CHANNELS = "/api/v2/notifications/channels"
EXPAND = "expand=presence,routingStatus,outOfOffice,skills"
NOBODY = "00000000-0000-4000-8000-000000000000"
KINDS = ("activity", "presence", "routingStatus", "outOfOffice")


class Gathered:
    def __init__(self, gateway: CloudServed) -> None:
        self._gateway = gateway
        self.records: list[Record] = []

    async def call(self, method: str, path: str, asked: Any = None, *, token: str = "") -> Any:
        answer = await self._gateway.call(method, path, asked, token=token)
        self._add(method, path, answer.status, answer.told)
        return answer.told

    def _add(self, method: str, path: str, status: int, body: Any) -> None:
        path = path.partition("?")[0]
        self.records.append({"method": method, "path": path, "status": status, "body": body})

    async def everything(self) -> list[Record]:
        token = await self._gateway.token()
        self._add("POST", "/oauth/token", token.status, token.told)
        users = await self._gateway.users()
        channel = await self._channels(users)
        await self._events(channel, users)
        await self._people(users)
        await self._collections()
        await self._ends(users)
        return self.records

    async def _channels(self, users: list[str]) -> dict[str, Any]:
        found: dict[str, Any] = await self.call("POST", CHANNELS)
        other = (await self._gateway.token()).told["access_token"]
        await self.call("GET", CHANNELS)
        await self.call("GET", CHANNELS + "?includechannels=oauthclient", token=other)
        path = f"{CHANNELS}/{found['id']}"
        await self.call("HEAD", path)
        await self.call("HEAD", f"{CHANNELS}/nothing")
        forbidden = [{"id": f"v2.users.{user}.activity"} for user in users]
        listed = path + "/subscriptions"
        await self.call("PUT", listed + "?ignoreErrors=true", [*forbidden, {"id": "v2.weather"}])
        await self.call("PUT", listed, forbidden)  # one of them is not permitted
        await self.call("DELETE", listed)
        topics = [{"id": f"v2.users.{user}.{kind}"} for user in users[:9] for kind in KINDS]
        await self.call("POST", listed, topics)
        await self.call("GET", listed)
        return found

    async def _events(self, channel: dict[str, Any], users: list[str]) -> None:
        """Of all kinds of topics, of whoever is away, with other sources."""
        client = await self._gateway.connect(channel)
        path = f"/api/v2/users/{users[0]}/presences/MICROSOFTTEAMS"
        asked = {"primary": True, "presenceDefinition": {"id": await self._definition()}}
        await self.call("PATCH", path, asked)
        self._gateway.gateway.start_load(Load(10_000.0, 0.5))
        await self._gateway.eventually(lambda status: status["load"] == "done")
        for word in ("ping", "nonsense"):
            await client.socket.send_json({"message": word})
        topics = [f"v2.users.{users[10]}.activity"]
        ask = {"message": "subscribe", "topics": topics, "correlationId": "c"}
        await client.socket.send_json(ask)
        await self._gateway.fault("closing", seconds=0.2)
        await self._read(client)

    async def _definition(self) -> str:
        found = (await self.call("GET", "/api/v2/presence/definitions?localeCode=ALL"))["entities"]
        return str(found[2]["id"])

    async def _read(self, client: Client) -> None:
        """To the end of the socket."""
        await client.end()
        self.records += [{"frame": frame} for frame in client.frames]

    async def _people(self, users: list[str]) -> None:
        definition = {"presenceDefinition": {"id": await self._definition()}, "message": "m"}
        user, nobody = f"/api/v2/users/{users[0]}", f"/api/v2/users/{NOBODY}"
        await self.call("GET", f"/api/v2/users?pageSize=20&pageNumber=2&{EXPAND}")
        await self.call("GET", f"/api/v2/users?pageSize=60&{EXPAND}")
        await self.call("GET", "/api/v2/users?pageSize=1000")
        await self.call("GET", f"{user}?{EXPAND}")
        await self.call("GET", nobody)
        for source in ("PURECLOUD", "MICROSOFTTEAMS", "ZOOMPHONE"):
            await self.call("PATCH", f"{user}/presences/{source}", definition)
            await self.call("GET", f"{user}/presences/{source}")
        await self.call("GET", f"{nobody}/presences/PURECLOUD")
        for source in ("purecloud", "microsoftteams"):
            ids = ",".join(users[:5])
            await self.call("GET", f"/api/v2/users/presences/{source}/bulk?id={ids}")
        entry = {"id": users[1], "source": "PURECLOUD", **definition}
        await self.call("PUT", "/api/v2/users/presences/bulk", [entry])
        await self.call("PUT", "/api/v2/users/presences/bulk", [])
        for who in (user, nobody):
            await self.call("GET", f"{who}/routingstatus")
        await self._gateway.control("/updates", {"user": users[2], "state": "On Queue"})
        on_queue = f"/api/v2/users/{users[2]}/routingstatus"
        for _ in range(2):
            await self.call("PUT", on_queue, {"status": "OFF_QUEUE"})

    async def _collections(self) -> None:
        members = "members?pageSize=5&pageNumber=2&expand=routingStatus,presence"
        for path in ("/api/v2/routing/queues", "/api/v2/groups"):
            found = (await self.call("GET", path))["entities"]
            for one in (found[0]["id"], "nothing"):
                await self.call("GET", f"{path}/{one}/{members}")
        user = next(iter(await self._gateway.users()))
        for query in ("?pageSize=1", "?joined=false", "?joined=perhaps"):
            await self.call("GET", f"/api/v2/users/{user}/queues{query}")
        await self.call("GET", "/api/v2/authorization/divisions")
        for query in ("", "?localeCode=ALL&deactivated=true"):
            await self.call("GET", "/api/v2/presence/definitions" + query)
        await self.call("GET", "/api/v2/presencedefinitions?pageSize=5&pageNumber=2&deleted=ALL")
        await self.call("GET", "/api/v2/organizations/me")
        await self.call("GET", "/api/v2/users", token="wrong")

    async def _ends(self, users: list[str]) -> None:
        """All ways in which a channel is lost."""
        for kind in ("evict-channel", "expire-channel", "revoke-channel", "lose-channel"):
            channel, client = await self._gateway.hear(users[:1])
            serials = (await self._gateway.control("/channels"))["channels"]
            serial = next(one["channel"] for one in serials if one["id"] == channel["id"])
            await self._gateway.fault(kind, channel=serial)
            await self._read(client)
        await self._read(await self._gateway.connect(channel))

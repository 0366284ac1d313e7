"""Keeper: the plainest runtime that keeps what a cloud gateway tells: one shard, no process, and no
disk until the end. It does what design.md §4 asks, so that verification can be seen to pass; and
what it has kept can be spoilt, so that verification can be seen to find it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import apsw
import orjson

from tests.fake_gateway.kept import SCHEMA
from tests.gateway.bundled import Client, CloudServed

EXPANDED = "expand=presence,routingStatus,outOfOffice"
LEFT_BEHIND = "closed by the keeper"
IMPATIENCE_S = 0.02


@dataclass
class Row:
    user: str
    to_state: str
    at_us: int
    queue: str | None
    presence: str | None
    cause: str
    from_state: str | None = None
    previous: int = 0


@dataclass
class Gap:
    scope: str
    since_us: int
    until_us: int
    reason: str


@dataclass
class Held:
    """What is held of one agent."""

    presence_us: int = 0
    presence: str = ""
    routing_us: int = 0
    routing: str = ""
    queues_us: int = 0
    queue: str | None = None
    message: str = ""
    definition: str = ""
    away: tuple[bool, int] = (False, 0)
    timeless: int = 0  # 8: out of office was told by a snapshot, which has no time for it

    @property
    def packed(self) -> list[Any]:
        system = self.presence.replace("ONQUEUE", "ON_QUEUE")
        presence = [system, self.definition, self.message, self.presence_us]
        return [*presence, self.routing, self.routing_us, [], 0, *self.away, self.timeless]

    @property
    def mapped(self) -> tuple[str, str]:
        if self.routing in ("INTERACTING", "COMMUNICATING"):
            return "Talking", "busy"
        if self.routing == "IDLE" and self.presence == "ONQUEUE":
            return "Available", "available"
        return "Not Available", "offline" if self.presence == "OFFLINE" else "break"


@dataclass
class Keeper:
    gateway: CloudServed
    users: list[str]
    slots: int = 2
    kind: str = ".activity"
    rows: list[Row | Gap] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    fresh: set[int] = field(default_factory=set)  # slots that have a socket and a snapshot
    _slots: list[asyncio.Task[None]] = field(default_factory=list)
    _is_ending: bool = False

    def __post_init__(self) -> None:
        self.counts = dict.fromkeys(("received", "applied", "unchanged", "duplicates", "late"), 0)
        self.counts["quarantined"] = 0

    async def start(self) -> None:
        for slot in range(self.slots):
            self._slots.append(asyncio.create_task(self._keep(slot)))
        await self.settled()

    async def settled(self) -> None:
        """Every slot has a socket and a snapshot."""
        async with asyncio.timeout(20.0):
            while len(self.fresh) < self.slots:
                for task in self._slots:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """What is on its way arrives; then the sockets are closed."""
        await self.gateway.eventually(lambda status: status["load"] != "running")
        await self.settled()
        await asyncio.sleep(0.3)  # long after the last frame on loopback
        self._is_ending = True
        await asyncio.gather(*self._slots)

    async def _keep(self, slot: int) -> None:
        """One slot of the plan, channel after channel, socket after socket."""
        since_us = 0
        channel: dict[str, Any] | None = None
        while not self._is_ending:
            try:
                channel = channel if channel and await self._alive(channel) else None
                channel = channel or await self._channel(slot)
                client = await self.gateway.connect(channel)
                await self._snapshot(slot, client, since_us)
                await self._read(slot, client)
            except (AssertionError, aiohttp.ClientError, KeyError, TimeoutError):
                self.gateway.tokens.clear()  # refused: once more, with another token
                await asyncio.sleep(IMPATIENCE_S)
            if slot in self.fresh:
                self.fresh.discard(slot)
                since_us = _now_us()

    async def _alive(self, channel: dict[str, Any]) -> bool:
        path = f"/api/v2/notifications/channels/{channel['id']}"
        return (await self.gateway.call("HEAD", path)).status == 200

    async def _channel(self, slot: int) -> dict[str, Any]:
        channel = await self.gateway.channel()
        mine = self.users[slot :: self.slots]
        answer = await self.gateway.subscribe(
            channel, [f"v2.users.{user}{self.kind}" for user in mine]
        )
        assert answer.status == 200, answer
        return channel

    async def _snapshot(self, slot: int, client: Client, since_us: int) -> None:
        if since_us:
            self.rows.append(Gap(f"c0/{slot}", since_us, _now_us(), "lost"))
        mine = self.users[slot :: self.slots]
        for begin in range(0, len(mine), 100):
            ids = ",".join(mine[begin : begin + 100])
            path = f"/api/v2/users?pageSize=100&{EXPANDED}&id={ids}"
            answer = await self.gateway.call("GET", path)
            for user in answer.entities:
                self._told(user["id"], user, "history")
        self.fresh.add(slot)

    async def _read(self, slot: int, client: Client) -> None:
        """Until the socket is lost, or we leave."""
        while True:
            try:
                message = await client.socket.receive(timeout=IMPATIENCE_S)
            except TimeoutError:
                if self._is_ending:
                    await client.socket.close()
                    return
                continue
            if message.type is aiohttp.WSMsgType.TEXT:
                self._frame(message.data)
            elif message.type is aiohttp.WSMsgType.BINARY:
                self.counts["received"] += 1
                self.counts["quarantined"] += 1
            elif message.type is aiohttp.WSMsgType.CLOSE:
                await client.socket.close()
                return
            else:
                return

    def _frame(self, text: str) -> None:
        try:
            frame = orjson.loads(text)
            topic, body = frame.get("topicName", ""), frame.get("eventBody", {})
        except orjson.JSONDecodeError:
            topic, body = "", {}
        if topic.startswith("v2.system") or topic.lower() == "channel.metadata":
            return
        self.counts["received"] += 1
        kind = topic.rpartition(".")[2]
        user = topic.split(".")[2] if topic.startswith("v2.users.") else ""
        if user not in self.users or '"LEVITATING"' in text:
            self.counts["quarantined"] += 1
        elif kind == "presence":
            self._told(user, {"presence": body} if body["primary"] else {}, "live")
        else:
            self._told(user, body, "live")

    def _told(self, user: str, body: dict[str, Any], cause: str) -> None:
        held, newest_us = self.held.setdefault(user, Held()), 0
        self.counts["received"] += cause == "history"
        presence, routing = body.get("presence"), body.get("routingStatus")
        office, queues = body.get("outOfOffice"), body.get("activeQueueIds")
        if presence is not None and _us(presence["modifiedDate"]) > held.presence_us:
            held.presence_us = newest_us = _us(presence["modifiedDate"])
            definition = presence["presenceDefinition"]
            held.presence = definition["systemPresence"].replace("_", "").upper()
            held.definition = definition["id"]
            held.message = presence.get("presenceMessage") or presence.get("message") or ""
        if routing is not None and _us(routing["startTime"]) > held.routing_us:
            held.routing_us, held.routing = _us(routing["startTime"]), routing["status"]
            newest_us = max(newest_us, held.routing_us)
        if queues is not None and _us(body["dateActiveQueuesChanged"]) > held.queues_us:
            held.queues_us, held.queue = _us(body["dateActiveQueuesChanged"]), queues[0]
            newest_us = max(newest_us, held.queues_us)
        if office is not None and cause == "history":
            held.away, held.timeless = (office["active"], 0), 8
        elif office is not None and _us(office["modifiedDate"]) > held.away[1]:
            held.away, held.timeless = (office["active"], _us(office["modifiedDate"])), 0
        if not newest_us:
            self.counts["unchanged" if cause == "history" else "duplicates"] += 1
            return
        self.counts["applied"] += 1
        state, mapped = held.mapped
        self.rows.append(Row(user, state, newest_us, held.queue, mapped, cause))

    def chain(self) -> None:
        """Fills in what each row must say of the one before it."""
        last: dict[str, tuple[int, str]] = {}
        for row_id, row in enumerate(self.rows, start=1):
            if isinstance(row, Row):
                row.previous, row.from_state = last.get(row.user, (0, None))
                last[row.user] = (row_id, row.to_state)

    def write(self, directory: Path) -> Path:
        """As the journal of one shard."""
        self.chain()
        directory.mkdir()
        connection = apsw.Connection(str(directory / "shard-00.db"))
        connection.pragma("synchronous", "OFF")  # nothing of it must outlive the test
        connection.execute(SCHEMA + "ALTER TABLE gaps ADD COLUMN since_us INTEGER;")
        ids = {user: number for number, user in enumerate(sorted(self.held), start=1)}
        pages: dict[str, list[Any]] = {}
        with connection:
            connection.executemany(
                "INSERT INTO agents VALUES (?, ?)", [(n, u) for u, n in ids.items()]
            )
            for row_id, row in enumerate(self.rows, start=1):
                if isinstance(row, Gap):
                    _write_gap(connection, row_id, row)
                    continue
                agent = ids[row.user]
                connection.execute(
                    "INSERT INTO transitions VALUES (?,?,?,?,?,?,0,1,?,?,?,NULL,?)",
                    (
                        row_id, agent, row.previous, row.from_state, row.to_state, row.at_us,
                        row.at_us, row.queue, row.presence, row.cause,
                    ),
                )  # fmt: skip
                pages[row.user] = [agent, row.user, row.to_state, row.at_us, row.queue]
                pages[row.user] += [row.presence, 1, row.at_us, row_id, None]
                pages[row.user].append(self.held[row.user].packed)
            connection.execute("INSERT INTO commits VALUES (?, ?)", (len(self.rows), _now_us()))
            data = orjson.dumps(list(pages.values()))
            connection.execute("INSERT INTO pages VALUES (0, ?, ?)", (len(self.rows), data))
            counts = orjson.dumps(self.counts).decode()
            connection.execute("INSERT INTO progress VALUES (?, 1, 0)", (counts,))
        connection.close()
        return directory


def write_plan(directory: Path, slots: list[list[str]]) -> None:
    """As the planner's store, of one client."""
    connection = apsw.Connection(str(directory / "cloud.db"))
    connection.pragma("synchronous", "OFF")
    connection.execute("CREATE TABLE users(id TEXT PRIMARY KEY, client INTEGER, slot INTEGER)")
    rows = [(user, 0, slot) for slot, users in enumerate(slots) for user in users]
    with connection:
        connection.executemany("INSERT INTO users VALUES (?, ?, ?)", rows)
    connection.close()


def _write_gap(connection: apsw.Connection, row_id: int, gap: Gap) -> None:
    connection.execute(
        "INSERT INTO transitions VALUES (?,0,0,NULL,'',0,0,1,0,NULL,NULL,NULL,'gap')", (row_id,)
    )
    connection.execute(
        "INSERT INTO gaps VALUES (?,?,1,0,0,?,?,?)",
        (row_id, gap.scope, gap.until_us, gap.reason, gap.since_us),
    )


def _us(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000_000)


def _now_us() -> int:
    return time.time_ns() // 1000

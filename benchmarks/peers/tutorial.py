"""Tutorial: the pipeline of the tutorials, ported faithfully: `websockets`, `json`, a bounded queue
between a reader and a worker."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import websockets

from benchmarks.peers.agents import Agents
from benchmarks.peers.looping import HISTORY_COMPLETE, Looping
from benchmarks.peers.part import SUBSCRIPTION, Given, path_of

QUEUE_EVENTS_MAX = 2_000


async def play(given: Given) -> None:
    agents = Agents(path_of(given))
    looping = Looping(agents)
    events: asyncio.Queue[dict[str, Any]] = asyncio.Queue(QUEUE_EVENTS_MAX)
    url = given.socket_url()
    async with websockets.connect(
        url, ssl=given.tls, compression=None, max_size=None, proxy=None
    ) as socket:
        await socket.send(SUBSCRIPTION)
        json.loads(await socket.recv())  # the acknowledgement
        tasks = [
            asyncio.create_task(read(socket, events, looping)),
            asyncio.create_task(work(events, agents, looping)),
        ]
        await looping.over()
        for task in tasks:
            task.cancel()


async def read(
    socket: websockets.ClientConnection, events: asyncio.Queue[dict[str, Any]], looping: Looping
) -> None:
    async for frame in socket:
        await events.put(json.loads(frame))
    looping.lost()


async def work(events: asyncio.Queue[dict[str, Any]], agents: Agents, looping: Looping) -> None:
    while True:
        event = await events.get()
        if event["type"] == HISTORY_COMPLETE:
            looping.ready()
        else:
            agents.take(event)


if __name__ == "__main__":
    asyncio.run(play(Given.from_arguments()))

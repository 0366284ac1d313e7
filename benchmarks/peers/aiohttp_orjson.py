"""The usual fast script: aiohttp, orjson, uvloop; each event is handled where it is read."""

from __future__ import annotations

import asyncio

import aiohttp
import orjson
import uvloop

from benchmarks.peers.agents import Agents
from benchmarks.peers.looping import HISTORY_COMPLETE, Looping
from benchmarks.peers.part import SUBSCRIPTION, Given, path_of


async def play(given: Given) -> None:
    agents = Agents(path_of(given))
    looping = Looping(agents)
    url = given.socket_url()
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(url, ssl=given.tls or True, max_msg_size=0, decode_text=False) as socket,
    ):
        await socket.send_str(SUBSCRIPTION)
        await socket.receive()  # the acknowledgement
        reading = asyncio.create_task(read(socket, agents, looping))
        await looping.over()
        reading.cancel()


async def read(
    socket: aiohttp.ClientWebSocketResponse[bool], agents: Agents, looping: Looping
) -> None:
    loads, take = orjson.loads, agents.take
    async for frame in socket:
        event = loads(frame.data)
        if event["type"] == HISTORY_COMPLETE:
            looping.ready()
        else:
            take(event)
    looping.lost()


if __name__ == "__main__":
    uvloop.run(play(Given.from_arguments()))

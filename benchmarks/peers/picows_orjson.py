"""One process, tuned as well as one can: picows, orjson, uvloop, and all of it in the callback."""

from __future__ import annotations

import orjson
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks.peers.agents import Agents
from benchmarks.peers.looping import HISTORY_COMPLETE, Looping
from benchmarks.peers.part import SUBSCRIPTION, Given, path_of

TEXT = WSMsgType.TEXT  # an attribute of an enumeration costs 30 ns each time


class Listener(WSListener):
    def __init__(self, agents: Agents, looping: Looping) -> None:
        self._take = agents.take
        self._looping = looping
        self._loads = orjson.loads

    def on_ws_connected(self, transport: WSTransport) -> None:
        transport.send(WSMsgType.TEXT, SUBSCRIPTION.encode())

    def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != TEXT:
            return
        event = self._loads(frame.get_payload_as_memoryview())
        if event["type"] == "routing.agents.state":
            self._take(event)
        elif event["type"] == HISTORY_COMPLETE:
            self._looping.ready()

    def on_ws_disconnected(self, _transport: WSTransport) -> None:
        self._looping.lost()


async def play(given: Given) -> None:
    agents = Agents(path_of(given))
    looping = Looping(agents)
    transport, _ = await ws_connect(
        lambda: Listener(agents, looping),
        given.socket_url(),
        ssl_context=given.tls,
        max_frame_size=1 << 24,
    )
    await looping.over()
    transport.disconnect()


if __name__ == "__main__":
    uvloop.run(play(Given.from_arguments()))

"""A sender's loop against a gateway of a page: real sockets, one event loop (protocol.md §1.3)."""

from __future__ import annotations

from actors.genesys.presence import update_frame
from actors.sender.signals import Acknowledged, LineDown, LineUp, Send
from tests.actors.receiver.rig import in_loop
from tests.actors.receiver.small_gateway import Socket
from tests.actors.sender.living import Living
from tests.actors.sender.presence_gateway import PresenceGateway, ack, bind, next_update, silent


def send(line: int, correlation: str = "c1", state: str = "busy") -> Send:
    return Send(line, correlation, update_frame("agent-1", state, "", correlation))


def test_from_the_token_to_the_acknowledgement() -> None:
    received: list[object] = []

    async def script(socket: Socket) -> None:
        await bind(socket)
        received.append(await next_update(socket))
        socket.send(ack("c1"))
        await silent(socket)

    async def test() -> None:
        async with PresenceGateway(script) as gateway:
            living = Living(gateway.url)
            async with living.running() as loop:
                up = await living.first(LineUp)
                assert living.counters.get("connected") == 1
                loop.wish([send(up.line)])
                told = await living.first(Acknowledged)
                assert told == Acknowledged("c1", True, 200, "", "", None)
        assert gateway.targets == ["/api/v2/ws"]
        assert gateway.authorizations == ["Bearer tok/1+"]
        assert living.told[-1] == LineDown(up.line, "stopped")
        counters = living.counters.snapshot()
        assert (counters["updates_sent"], counters["acknowledgements"]) == (1, 1)
        assert (counters["connected"], counters["token_refreshes"]) == (0, 1)

    in_loop(test)
    update = {"type": "presence", "userId": "agent-1", "stateName": "busy", "reasonId": ""}
    assert received == [(update, "c1")]

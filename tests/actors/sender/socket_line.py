"""A line's socket in a test: it binds itself, and what it told is kept."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from actors.genesys.http import GatewayAddress, reach
from actors.genesys.secret import Secret
from actors.genesys.tokens import Token, TokenProvider
from actors.sender import line_signals as words
from actors.sender.socket import Heard, PresenceSocket
from tests.actors.receiver.rig import DEADLINE_S, credentials
from tests.gateway.loopback import Script, Socket
from tests.gateway.scripted import ScriptedGateway, bind, silent


class Tokens(TokenProvider):
    """Has one token for all."""

    def __init__(self) -> None:
        self.failure: Exception | None = None

    async def current(self, *, rejected: Secret | None = None) -> Token:
        if self.failure is not None:
            raise self.failure
        return Token(value=Secret("tok/1+"), granted_s=0.0, life_s=3600.0)


@dataclass
class Line:
    """A socket that binds itself, and what it told."""

    url: str
    told: list[Heard] = field(default_factory=list)
    tokens: Tokens = field(default_factory=Tokens)

    def __post_init__(self) -> None:
        address = GatewayAddress(api_url=self.url, credentials=credentials)
        self.socket = PresenceSocket(7, address=address, route=reach(address), tell=self._tell)

    def _tell(self, line: int, heard: Heard) -> None:
        assert line == 7
        self.told.append(heard)
        if isinstance(heard, words.Opened):
            self.socket.bind()

    async def end(self) -> words.Signal:
        async with asyncio.timeout(DEADLINE_S):
            return await self.socket.live(self.tokens, None)

    @property
    def heard(self) -> list[Heard]:
        """Behind the binding."""
        assert self.told[:2] == [words.Opened(7), words.ChannelBound(7)]
        return self.told[2:]


@contextlib.asynccontextmanager
async def open_line(*scripts: Script) -> AsyncIterator[tuple[Line, ScriptedGateway]]:
    async with ScriptedGateway(*scripts) as gateway:
        yield Line(gateway.url), gateway


def then(*raws: bytes) -> Script:
    """A gateway that binds, sends these and reads on."""

    async def script(socket: Socket) -> None:
        await bind(socket)
        for raw in raws:
            socket.send_raw(raw)
        await silent(socket)

    return script

"""UnixSocket: `web.sock`, there for as long as we are. Knows no HTTP.

Who tidies up a data directory may delete it; every command would then find nobody. So its name is
looked at, and the socket is made again.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from actors.web import address
from runtime.errors import TemporaryError


class UnixSocket:
    """Of one life."""

    def __init__(self, data_dir: Path) -> None:
        """Raises TemporaryError."""
        self._data_dir = data_dir
        self._log = structlog.get_logger("actors.web")
        self._cause: str | None = None  # why it could not be made again
        try:
            self.bound = address.bind(data_dir)
        except OSError as error:
            path = data_dir / address.SOCKET
            raise TemporaryError(f"{path} cannot be created: {error.strerror}") from error
        self._held = -1
        self._hold()

    def remove(self) -> None:
        """Ours only: another may stand there by now."""
        if address.identity(self._data_dir) == self._known:
            address.remove(self._data_dir)
        self._let_go()

    def _hold(self) -> None:
        """From now on, what bears the name is known again."""
        self._let_go()
        with suppress(OSError):  # deleted since: the next look finds that out
            self._held = address.hold(self._data_dir)
        self._known = address.identity(self._data_dir) if self._held >= 0 else None

    def _let_go(self) -> None:
        if self._held >= 0:
            os.close(self._held)
            self._held = -1

    @property
    def is_gone(self) -> bool:
        found = address.identity(self._data_dir)
        return found is None or found != self._known

    async def make_again(
        self, make_protocol: Callable[[], asyncio.Protocol], servers: list[asyncio.Server]
    ) -> None:
        """Whoever is connected stays so."""
        try:
            bound = address.bind(self._data_dir)
        except OSError as error:
            if error.strerror != self._cause:  # each further try says the same
                self._cause = error.strerror
                self._log.error("web.socket_lost", cause=error.strerror, what=self._what)
            return
        old, self.bound = self.bound, bound
        self._hold()
        loop = asyncio.get_running_loop()
        servers.append(await loop.create_server(make_protocol, sock=bound, backlog=address.BACKLOG))
        for server in [each for each in servers if _is_of(each, old)]:
            server.close()  # nobody finds it any more
            servers.remove(server)
        self._cause = None
        self._log.warning("web.socket_made_again", what=self._what)

    @property
    def _what(self) -> str:
        return f"{self._data_dir / address.SOCKET} was deleted or replaced"


def _is_of(server: asyncio.Server, bound: socket.socket) -> bool:
    return any(each.fileno() == bound.fileno() for each in server.sockets)

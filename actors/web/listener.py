"""Listener: an address that is served, taken as soon as it is free. Knows no HTTP.

An address that is in use ends nothing: the Unix socket serves meanwhile, and it is tried again.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Final, NamedTuple

import structlog

from actors.settings.web import ListenAddress
from actors.web.port_holder import holder
from runtime.counters import Counters

RETRY_S: Final = 5.0
BACKLOG: Final = 2048
SEND_BUFFER_BYTES: Final = 256 << 10
"""Of each connection. The kernel's own choice grows to 4 MB: a reader of the stream that does not
read would be seconds behind before we saw it, and some hundred of them are gigabytes."""


class ListenSetting(NamedTuple):
    """One of the addresses that can be set. `port`: the word of our page, what is bound. It
    outlives us, so that a successor that may choose takes the same: the pages that are open find it
    again."""

    key: str
    port: str


PAGE: Final = ListenSetting("web.listen", "port")
PROBES: Final = ListenSetting("web.probes_listen", "probes_port")
PORT: Final = PAGE.port

MakeProtocol = Callable[[], asyncio.Protocol]


class ListeningSocket:
    """Of one life; what is open is closed by whoever opened it."""

    def __init__(
        self, wanted: ListenAddress, page: Counters, setting: ListenSetting = PAGE
    ) -> None:
        self._wanted = wanted
        self._setting = setting
        self._page = page
        self._log = structlog.get_logger("actors.web")
        self._trouble: str | None = None
        self._errno: int | None = None  # of the last try

    @property
    def trouble(self) -> str | None:
        """Why nobody can reach us there, in words; None: they can."""
        return self._trouble

    def reasons(self) -> list[str]:
        """For /readyz."""
        return [self._trouble] if self._trouble else []

    async def open(self, make_protocol: MakeProtocol) -> asyncio.Server:
        """Returns once it is bound, however long that takes."""
        loop = asyncio.get_running_loop()
        # Beside the loop: whoever is asked for a name's address may take their time.
        while (bound := await asyncio.to_thread(self._bind)) is None:
            await asyncio.sleep(RETRY_S)  # until somebody else has ended
        server = await loop.create_server(make_protocol, sock=bound, backlog=BACKLOG)
        host, port = bound.getsockname()[:2]
        self._page.set(self._setting.port, port)
        self._trouble, self._errno = None, None
        address = ListenAddress(host, port)
        page, is_loopback = f"http://{address}/", address.is_loopback
        if self._setting is PAGE:
            self._log.info("web.listens", page=page, is_loopback=is_loopback)
        else:
            self._log.info("web.probes_listens", page=page, is_loopback=is_loopback)
        return server

    def _bind(self) -> socket.socket | None:
        try:
            bound = self._bound_again() or bind(self._wanted)
        except OSError as error:
            if error.errno != self._errno:  # a change of regime; each further try says the same
                self._trouble = trouble_of(self._wanted, error, self._setting.key)
                self._log.error(
                    "web.cannot_listen", what=self._trouble, tried_again_after_s=RETRY_S
                )
            self._errno = error.errno
            self._page.set(self._setting.port, 0)
            return None
        return bound

    def _bound_again(self) -> socket.socket | None:
        """To the port that a predecessor was given, if nobody else has it now."""
        port = self._page.get(self._setting.port)
        if self._wanted.port != 0 or port == 0:
            return None
        try:
            return bind(ListenAddress(self._wanted.host, port))
        except OSError:
            return None


def trouble_of(wanted: ListenAddress, error: OSError, key: str = PAGE.key) -> str:
    """What stands in the way, and what to do; for `status`, /readyz and the log."""
    said = f"{key} = {wanted}: {error.strerror}"
    if error.errno == errno.EADDRINUSE:
        by = holder(wanted.port)
        return f"{said}{f' by {by}' if by else ''}; stop it, or give another port"
    if error.errno == errno.EACCES:
        return f"{said}: a port below 1024 is for root; give another port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{said}: no address of this machine; give one of its own, or 0.0.0.0 for all"
    if isinstance(error, socket.gaierror):
        return f"{said}: give an address of this machine, such as 127.0.0.1"
    return said


def bind(address: ListenAddress) -> socket.socket:
    """Raises OSError."""
    found = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, kind, _, _, place = found[0]
    bound = socket.socket(family, kind | socket.SOCK_NONBLOCK)
    try:
        # After a restart, what is left of the old connections does not keep us out.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)  # inherited
        bound.bind(place)
    except BaseException:
        bound.close()
        raise
    return bound

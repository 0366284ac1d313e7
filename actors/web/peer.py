"""Peer: who stands at the other end of a Unix socket, as the kernel says. Knows no route.

The uid is that of the moment of connecting; it cannot be forged by what is sent.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

PEER_UID: Final = "peer_uid"
"""The key in a scope's `state`; absent if the connection came over a network."""
_UCRED: Final = struct.Struct("3i")  # pid, uid, gid: struct ucred of <sys/socket.h>


class PeerProtocol(HttpToolsProtocol):
    """uvicorn's own, which tells the application who connected."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family == socket.AF_UNIX:
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
            _, uid, _ = _UCRED.unpack(credentials)
            # A copy of it becomes `state` in the scope of each of this connection's requests.
            self.app_state = {**self.app_state, PEER_UID: uid}


def uid_of(scope: Any) -> int | None:
    """Who sent this request; None if it did not come over a Unix socket."""
    uid = scope.get("state", {}).get(PEER_UID)
    return uid if isinstance(uid, int) else None

"""Notifier: what a service manager is told of us, as sd_notify(3) has it. Knows no child.

A datagram of `NAME=value` lines to the Unix socket that NOTIFY_SOCKET names; where it names none,
nothing is said. Nothing here may stop a runtime: a service manager that does not listen misses it.

    READY=1                         once all is up, and again when a reload is over
    STATUS=…                        one line for people, when it changes
    WATCHDOG=1                      at half of WATCHDOG_USEC, from the loop that must not stop
    RELOADING=1, MONOTONIC_USEC=…   SIGHUP is being obeyed
    STOPPING=1
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, Self

SOCKET: Final = "NOTIFY_SOCKET"
WATCHDOG_USEC: Final = "WATCHDOG_USEC"
WATCHDOG_PID: Final = "WATCHDOG_PID"
VARIABLES: Final = (SOCKET, WATCHDOG_USEC, WATCHDOG_PID)
"""Meant for us: a child that spoke as well would be taken for us."""
STATUS_CHARS_MAX: Final = 500


class Notifier:
    """For the one thread that supervises."""

    def __init__(self, address: str, *, watchdog_s: float | None = None) -> None:
        """`address`: a path, or "@" and the name of an abstract socket; "": nobody listens.
        `watchdog_s`: how long our silence is borne; None: for ever."""
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket = socket.socket(
            socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        )
        self._beat_every_s = None if watchdog_s is None else watchdog_s / 2
        self._beat_at_s = float("-inf")
        self._status = ""
        self._is_ready_told = False
        self._is_stopping_told = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """As the service manager has set it for this very process."""
        period = environment.get(WATCHDOG_USEC, "")
        watched = environment.get(WATCHDOG_PID, "") in ("", str(os.getpid()))
        watchdog_s = int(period) / 1e6 if period.isdecimal() and int(period) and watched else None
        return cls(environment.get(SOCKET, ""), watchdog_s=watchdog_s)

    def close(self) -> None:
        self._socket.close()

    @property
    def beat_every_s(self) -> float | None:
        """How often `show` must be called at least; None: as one likes."""
        return self._beat_every_s

    def show(self, *, is_ready: bool, status: str, now_s: float) -> None:
        """What has changed since the last call, and that we live, if that is due."""
        lines = []
        if is_ready and not self._is_ready_told and not self._is_stopping_told:
            self._is_ready_told = True
            lines.append("READY=1")
        if status != self._status:
            self._status = status
            lines.append(f"STATUS={' '.join(status.split())[:STATUS_CHARS_MAX]}")
        if self._beat_every_s is not None and now_s >= self._beat_at_s:
            self._beat_at_s = now_s + self._beat_every_s
            lines.append("WATCHDOG=1")
        self._send(lines)

    def reloading(self, now_ns: int) -> None:
        """`now_ns`: CLOCK_MONOTONIC, as the service manager wants it. The next `show` that is ready
        says that it is over."""
        if self._is_ready_told:
            self._is_ready_told = False
            self._send(["RELOADING=1", f"MONOTONIC_USEC={now_ns // 1_000}"])

    def stopping(self) -> None:
        if not self._is_stopping_told:
            self._is_stopping_told = True
            self._send(["STOPPING=1"])

    def _send(self, lines: list[str]) -> None:
        if self._address and lines:
            with suppress(OSError):
                self._socket.sendto("\n".join(lines).encode(), self._address)

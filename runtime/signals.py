"""Signals: what reaches a supervisor from outside, as wishes for its next turn. Decides nothing.

SIGTERM, SIGINT  end                                  SIGHUP   read again what stands in files
SIGUSR1          dump the stacks of all threads       … or end, when it is the terminal that left

A handler only leaves a note and rings: to log in one could re-enter the very stream that was
interrupted.
"""

from __future__ import annotations

import faulthandler
import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, Self

from runtime.exit import signal_name

TERMINAL: Final = "/dev/tty"


class Signals:
    """From `with` to its end these signals are ours. Main thread only."""

    def __init__(
        self,
        *,
        stop: Callable[[str], None],
        reload: Callable[[], None] | None,
        dump: Callable[[], None],
    ) -> None:
        """Each is called in a handler. Without `reload` SIGHUP ends us, too."""
        self._stop = stop
        self._reload = reload
        self._dump = dump
        self._previous: dict[int, Any] = {}
        self._had_terminal = has_terminal()

    def __enter__(self) -> Self:
        numbers = [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup means it
            numbers.append(signal.SIGHUP)
        self._previous = {number: signal.signal(number, self._on_signal) for number in numbers}
        # On top of our handler, so that even a main thread that hangs shows where.
        faulthandler.register(signal.SIGUSR1, chain=True)
        return self

    def __exit__(self, *_: object) -> None:
        faulthandler.unregister(signal.SIGUSR1)
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGUSR1:
            self._dump()
        elif number == signal.SIGHUP and self._reload is not None and not self._is_left_alone():
            self._reload()
        else:
            self._stop(signal_name(number))

    def _is_left_alone(self) -> bool:
        """The terminal that we were started from has hung up; nobody asks for anything."""
        return self._had_terminal and not has_terminal()


def has_terminal() -> bool:
    """Whether this process has a controlling terminal that still answers."""
    try:
        os.close(os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC | os.O_NONBLOCK))
    except OSError:
        return False
    return True

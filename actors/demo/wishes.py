"""Wishes: what somebody who watches a demo wants of it: that it ends."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Interrupted(Exception):  # noqa: N818 - a wish, not an error
    """A second Ctrl-C, or one before there was anything to verify."""


class StopRequests:
    """How often somebody wanted it to end."""

    def __init__(self) -> None:
        self.count = 0

    def note(self, _number: int, _frame: object) -> None:
        self.count += 1


@contextmanager
def wishes_noted() -> Iterator[StopRequests]:
    """Signals leave a note instead of interrupting: the drain must not be torn apart."""
    wishes = StopRequests()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup means it
        numbers.append(signal.SIGHUP)
    previous = {number: signal.signal(number, wishes.note) for number in numbers}
    try:
        yield wishes
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)

"""Sink: what every kind of sink can do. Knows no journal, no position and no kind.

Further kinds (message queues) come on this seam: they are given batches, in order, one at a time,
and whatever was delivered once may come once more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol, TypeVar

from actors.sinks.envelope import SinkEvent
from runtime.errors import RemoteError

Done = TypeVar("Done")


class InThread(Protocol):
    """Does what may block, in the one thread of a sink; the loop goes on meanwhile."""

    def __call__(self, work: Callable[[], Done], /) -> Awaitable[Done]: ...


class SinkBatch(NamedTuple):
    """Events in their order, at least one."""

    events: tuple[SinkEvent, ...]

    @property
    def id(self) -> str:
        """The same for the same events."""
        return f"{self.events[0].id}_{self.events[-1].id}_{len(self.events)}"


class UndeliveredError(RemoteError):
    """Nothing, or only a part of a batch, was taken. It is tried again as a whole."""

    def __init__(
        self, reason: str, *, is_refused: bool = False, retry_after_s: float | None = None
    ) -> None:
        """`is_refused`: to try the same again soon is of no use, a person must act."""
        super().__init__(reason)
        self.is_refused = is_refused
        self.retry_after_s = retry_after_s


class Sink(Protocol):
    """Raises UndeliveredError for what the world may do; anything else ends the child."""

    async def open(self) -> None:
        """Before the first batch, and again after each failure."""
        ...

    async def deliver(self, batch: SinkBatch) -> None:
        """Returns once the batch is safe with the other side."""
        ...

    async def close(self) -> None:
        """At the end; never raises."""
        ...

"""Death: a SIGKILL at a named step of the product, without a signal. Knows not who is killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from runtime import crash_point


class KilledError(BaseException):
    """Stands for SIGKILL. A BaseException, so that nothing on its way handles it."""

    def __init__(self, point: str) -> None:
        super().__init__(point)
        self.point = point


class Death:
    """At which passage of which crash point somebody dies."""

    def __init__(self) -> None:
        self.point: str | None = None
        self._passages_left = 0

    def arm(self, point: str, passages: int) -> None:
        self.point, self._passages_left = point, passages

    def passes(self, point: str) -> None:
        if point == self.point:
            self._passages_left -= 1
            if self._passages_left <= 0:
                self.point = None
                raise KilledError(point)

    @contextmanager
    def rules(self) -> Iterator[None]:
        """While this lasts, the product's crash points lead here."""
        before = crash_point._armed, crash_point._pass
        crash_point._armed = "simulated"
        crash_point._pass = self.passes  # type: ignore[assignment]  # a method instead
        try:
            yield
        finally:
            crash_point._armed, crash_point._pass = before

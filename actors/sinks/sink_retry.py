"""Patience: how long a sink waits before it tries again what was not delivered.

Pure. It never gives up: what is not delivered waits in the journals, until their retention.
"""

from __future__ import annotations

import random
from typing import Final

from actors.genesys.reconnect import backoff_s
from actors.sinks.sink import UndeliveredError

BACKOFF_FIRST_S: Final = 0.5


class SinkRetry:
    """Of one sink."""

    def __init__(self, *, backoff_most_s: float, pause_s: float, rng: random.Random) -> None:
        self._backoff_most_s = backoff_most_s
        self._pause_s = pause_s
        self._rng = rng
        self.failures = 0
        """In a row."""

    def after(self, failure: UndeliveredError) -> float:
        """Seconds to wait: full jitter under a doubling bound; after a refusal at least half of the
        pause; never less than the other side asked for."""
        self.failures += 1
        if failure.is_refused:
            own_s = self._pause_s * self._rng.uniform(0.5, 1.0)
        else:
            own_s = backoff_s(
                self.failures,
                self._rng,
                first_s=BACKOFF_FIRST_S / 2,
                most_s=self._backoff_most_s,
            )
        return max(own_s, failure.retry_after_s or 0.0)

    def succeeded(self) -> None:
        self.failures = 0

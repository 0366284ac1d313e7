"""Reception: what becomes of each presence update, and of its acknowledgement.

Pure: times are arguments. Knows no socket; faults that were ordered wait here until they meet
somebody.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from tools.fake_gateway.wsp.faults import ACK_FAULTS, WspFault
from tools.fake_gateway.wsp.updates import CODES, Update, UpdateAnswer

WINDOW_S = 1.0
SEEN_MAX = 1_000_000  # correlation ids; the oldest are forgotten
DONE = UpdateAnswer()


class UpdateDecision(NamedTuple):
    answer: UpdateAnswer | None  # None: the update was lost on its way
    is_new: bool  # it is to be applied now


class AckOutcome(NamedTuple):
    """Of an acknowledgement."""

    how: str = "good"  # good | missing | late | duplicate | malformed
    seconds: float = 0.0


class Reception:
    def __init__(
        self,
        users: Mapping[str, int],
        *,
        updates_per_s: int = 0,
        ack_loss: float = 0.0,
        seed: int = 0,
    ) -> None:
        """`updates_per_s`: more in any one second are told 429; 0 = any number."""
        if not 0.0 <= ack_loss <= 1.0:
            raise ValueError(f"the share of lost acknowledgements must be 0 to 1, not {ack_loss}")
        if updates_per_s < 0:
            raise ValueError(f"updates per second must not be negative: {updates_per_s}")
        self._users = users
        self._updates_per_s = updates_per_s
        self._ack_loss = ack_loss
        self._rng = random.Random(f"acknowledgements {seed}")
        self._seen: dict[str, None] = {}
        self._passes: deque[float] = deque()
        self._losses = 0
        self._negative: deque[WspFault] = deque()
        self._fates: deque[AckOutcome] = deque()

    def order(self, fault: WspFault) -> None:
        assert fault.kind in ACK_FAULTS, fault
        if fault.kind == "update-lost":
            self._losses += fault.count
        elif fault.kind == "ack-negative":
            self._negative.extend([fault] * fault.count)
        else:
            fate = AckOutcome(fault.kind.removeprefix("ack-"), fault.seconds)
            self._fates.extend([fate] * fault.count)

    def is_ordered(self, kind: str) -> bool:
        """Whether faults of that kind wait for an update to come."""
        if kind == "update-lost":
            return self._losses > 0
        if kind == "ack-negative":
            return bool(self._negative)
        return any(fate.how == kind.removeprefix("ack-") for fate in self._fates)

    def decide(self, update: Update, now_s: float) -> UpdateDecision:
        """What was applied once is acknowledged again and not applied again, whatever else there
        would be to say: so that no client is told of a failure that was none."""
        if self._losses:
            self._losses -= 1
            return UpdateDecision(None, False)
        if update.correlation in self._seen:
            self._pass(now_s)
            return UpdateDecision(DONE, False)
        refusal = self._refusal(update, now_s)
        if refusal is not None:
            return UpdateDecision(refusal, False)
        self._pass(now_s)
        self._seen[update.correlation] = None
        if len(self._seen) > SEEN_MAX:
            del self._seen[next(iter(self._seen))]
        return UpdateDecision(DONE, True)

    def _refusal(self, update: Update, now_s: float) -> UpdateAnswer | None:
        if self._negative:
            fault = self._negative.popleft()
            wait_ms = round(1000 * fault.seconds) or None
            return UpdateAnswer(fault.status, CODES[fault.status], "as a fault wants it", wait_ms)
        while self._passes and self._passes[0] <= now_s - WINDOW_S:
            self._passes.popleft()
        if self._updates_per_s and len(self._passes) >= self._updates_per_s:
            wait_s = self._passes[-self._updates_per_s] + WINDOW_S - now_s
            text = f"over {self._updates_per_s} updates per second"
            return UpdateAnswer(429, CODES[429], text, int(1000 * wait_s) + 1)
        if update.user not in self._users:
            return UpdateAnswer(404, CODES[404], "there is no such user")
        return None

    def _pass(self, now_s: float) -> None:
        if self._updates_per_s:
            self._passes.append(now_s)

    def fate(self) -> AckOutcome:
        """Of the next acknowledgement."""
        if self._fates:
            return self._fates.popleft()
        is_lost = self._ack_loss > 0 and self._rng.random() < self._ack_loss
        return AckOutcome("missing") if is_lost else AckOutcome()

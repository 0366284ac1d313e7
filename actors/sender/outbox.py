"""The outbox: which webhook messages are tried when, and what each attempt means for one.

Pure. A message is a row of the store: written with the command's acknowledgement, in one
transaction. It waits until its attempt is due; attempts are repeated with a growing delay until one
succeeds or the message is too old, which is its *dead* state: a person may list those, and have one
sent again. A webhook that is down costs at most DELIVERIES_MAX attempts at a time, and no command
waits for any of them.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Final, NamedTuple

from standardwebhooks import Webhook

from actors.genesys.reconnect import backoff_s
from actors.genesys.times import as_datetime
from actors.sender.signals import Deliver, Delivered
from actors.settings.sender import WebhookSettings

WAITING: Final = "waiting"
DELIVERED: Final = "delivered"
DEAD: Final = "dead"

DELIVERIES_MAX: Final = 4
"""At once."""
BACKOFF_FIRST_S: Final = 1.0
"""Before the second attempt; doubled for each further one, and half of it is chance."""
DELAY_MOST_S: Final = 86_400
"""The most that a person may choose. A message that is due later than that was written by a clock
that has been put back since: it is due now."""
DETAIL_LENGTH_MAX: Final = 500
"""What is kept of an answer."""


class WebhookMessage(NamedTuple):
    """A message that waits."""

    message_id: str
    command: str
    body: bytes
    attempts: int
    born_us: int
    due_us: int


class Attempt(NamedTuple):
    """How one attempt ended; durable with the next commit."""

    message_id: str
    state: str  # of the message now
    due_us: int  # if it still waits
    at_us: int
    status: int
    detail: str


class WebhookResent(NamedTuple):
    """Somebody has a dead message sent again: its age begins anew. Audited; durable with the next
    commit, and nothing if the message is not dead by then."""

    message_id: str
    who: str
    at_us: int


def message_id(command_id: str) -> str:
    """The idempotency id of a command's message: one for ever, so that a second row is none."""
    return f"msg_{command_id}"


class Outbox:
    """Which messages are on their way. What it forgets in a crash is tried again."""

    def __init__(self, settings: WebhookSettings, rng: random.Random) -> None:
        self._give_up_after_us = round(settings.give_up_after_s * 1e6)
        self._backoff_most_s = settings.backoff_max_s
        self._rng = rng
        self._on_way: dict[str, WebhookMessage] = {}
        self._judged: set[str] = set()

    @property
    def room(self) -> int:
        """So many more may go out now."""
        return DELIVERIES_MAX - len(self._on_way)

    @property
    def on_way(self) -> frozenset[str]:
        """The message ids that an answer is awaited for."""
        return frozenset(self._on_way)

    def take(self, messages: Iterable[WebhookMessage], now_us: int) -> list[Deliver]:
        """Sends as many of the due messages as there is room for; who is on the way stays so."""
        deliveries = []
        for message in messages:
            if self.room <= 0:
                break
            if message.message_id not in self._on_way:
                self._on_way[message.message_id] = message
                deliveries.append(Deliver(message.message_id, message.body, now_us // 1_000_000))
        return deliveries

    def judge(self, told: Delivered, now_us: int) -> Attempt | None:
        """What an answer means; None if none was awaited. Once the attempt is durable, `settled`
        gives its place to the next: before that the store would lend the same message again."""
        message = self._on_way.get(told.message_id)
        if message is None or told.message_id in self._judged:
            return None
        self._judged.add(told.message_id)
        state, due_us = DELIVERED, now_us
        if not told.success:
            own_s = backoff_s(
                message.attempts,
                self._rng,
                first_s=BACKOFF_FIRST_S,
                most_s=self._backoff_most_s,
                least=0.5,
            )
            due_us = now_us + round(max(own_s, told.retry_after_s or 0.0) * 1e6)
            is_over = now_us - message.born_us >= self._give_up_after_us
            state = DEAD if is_over else WAITING
        detail = told.detail[:DETAIL_LENGTH_MAX]
        return Attempt(told.message_id, state, due_us, now_us, told.status, detail)

    def settled(self) -> None:
        """What was judged is durable."""
        for one in self._judged:
            del self._on_way[one]
        self._judged.clear()


def signed_headers(secret: str, delivery: Deliver) -> dict[str, str]:
    """The headers of one attempt, by the Standard Webhooks convention; unsigned without a secret.

    ValueError if the secret is none (`whsec_` and base64)."""
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": delivery.message_id,
        "webhook-id": delivery.message_id,
        "webhook-timestamp": str(delivery.created_s),
    }
    if secret:
        at = as_datetime(delivery.created_s * 1_000_000)
        webhook = Webhook(secret)
        headers["webhook-signature"] = webhook.sign(delivery.message_id, at, delivery.body.decode())
    return headers

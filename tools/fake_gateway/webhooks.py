"""Webhooks: the receiver that a workforce management would be; it checks what it is told.

A message that it refused, for whatever reason, was not received. Knows nothing of who sends them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Collection, Mapping
from typing import Any

import orjson
from aiohttp import web

from tools.fake_gateway.gates import Gate
from tools.fake_gateway.ledger import Ledger, now_us
from tools.fake_gateway.rest import json_response, refuse
from tools.fake_gateway.script import PRESENCES

PATH = "/webhook"
SECRET_PREFIX = "whsec_"  # noqa: S105 - the convention's, not a secret
TOLERANCE_S = 300
_KEYS = {"event", "userId", "state", "timestamp"}


class WebhookReceiver:
    """`secret`: messages must be signed with it (the Standard Webhooks convention). `states`: that
    a message may tell of; None: any."""

    def __init__(
        self,
        ledger: Ledger,
        gate: Gate,
        secret: str | None,
        *,
        states: Collection[str] | None = PRESENCES,
    ) -> None:
        self._states = states
        self._ledger = ledger
        self._gate = gate
        self._key = None if secret is None else key_of(secret)
        self.received = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        refusal = self._gate.refusal(time.monotonic())
        headers = request.headers  # names without regard to case
        message, complaint = _told(body, headers, self._states)
        if complaint is None and self._key is not None:
            complaint = wrong_signature(self._key, headers, body, time.time())
        status = 204 if complaint is None else 400
        if refusal is not None:
            status = refusal.status
            self._ledger.refused(self._gate.name, status, now_us())
        self.received += status == 204
        self._ledger.write(
            "webhook",
            id=headers.get("webhook-id"),
            status=status,
            complaint=complaint,
            **message,
            at_us=now_us(),
        )
        if refusal is not None:
            return await refuse(refusal.status, refusal.retry_after_s)
        if complaint is not None:
            return json_response({"error": complaint}, status)
        return web.Response(status=status)


def _told(
    body: bytes, headers: Mapping[str, str], states: Collection[str] | None
) -> tuple[dict[str, Any], str | None]:
    """What the body says, and what is wrong with it."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}, "the body is not JSON"
    if not isinstance(told, dict) or told.keys() != _KEYS:
        return {}, f"the body is not an object of {', '.join(sorted(_KEYS))}"
    message = {"user": told["userId"], "state": told["state"], "timestamp": told["timestamp"]}
    is_state = isinstance(told["state"], str) if states is None else told["state"] in states
    if told["event"] != "presence_change" or not is_state:
        return message, "the body tells of no presence change"
    if not headers.get("webhook-id"):
        return message, "no webhook-id"
    if headers.get("Idempotency-Key") != headers["webhook-id"]:
        return message, "Idempotency-Key is not the webhook-id"
    return message, None


def key_of(secret: str) -> bytes:
    """Raises ValueError."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError(f"a webhook secret is {SECRET_PREFIX} and base64: {error}") from None
    if not key:
        raise ValueError("the webhook secret is empty")
    return key


def wrong_signature(
    key: bytes, headers: Mapping[str, str], body: bytes, now_s: float
) -> str | None:
    """None: it is right."""
    stamp = headers.get("webhook-timestamp", "")
    if not stamp.isdigit() or abs(int(stamp) - now_s) > TOLERANCE_S:
        return "webhook-timestamp is not a time of now"
    content = f"{headers.get('webhook-id')}.{stamp}.".encode() + body
    rightly = b"v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest())
    said = headers.get("webhook-signature", "").encode().split()
    if not any(hmac.compare_digest(one, rightly) for one in said):
        return "no webhook-signature that is right"
    return None

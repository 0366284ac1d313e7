"""Webhook: a sink that posts batches of events, signed by the Standard Webhooks convention.

A batch is delivered when it was answered with 2xx; no redirect is followed. What is refused (4xx)
is tried again slowly: dropping it would be a loss, and what follows must not overtake it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Final

import httpx

from actors.genesys.http import GatewayAddress, Route, http_client, reach, read_away
from actors.genesys.proxy import proxy_for
from actors.genesys.retry_after import asked_wait_s
from actors.sender.outbox import signed_headers
from actors.sender.signals import Deliver
from actors.settings.sinks import SinkSettings
from actors.sinks.sink import SinkBatch, UndeliveredError
from runtime.errors import ConfigurationError
from runtime.log import hide

CONTENT_TYPE: Final = "application/cloudevents-batch+json"
BODY_BYTES_MAX: Final = 1024
"""Of an answer, that nobody reads."""
PASSES_BY_ITSELF: Final = frozenset({408, 425, 429})
"""Statuses below 500 after which the same may be taken in a moment."""


class WebhookSink:
    """For one event loop. Certificates and proxy are chosen as for Genesys, for its own URL."""

    def __init__(
        self, settings: SinkSettings, address: GatewayAddress, wall_us: Callable[[], int]
    ) -> None:
        self._settings = settings
        self._address = address
        self._wall_us = wall_us
        self._client: httpx.AsyncClient | None = None

    async def open(self) -> None:
        if self._client is not None:
            return
        try:
            route = Route(
                ssl_context=reach(self._address).ssl_context,
                proxy=proxy_for(self._settings.url, self._address.proxy, os.environ),
            )
        except ConfigurationError as error:
            raise UndeliveredError(str(error), is_refused=True) from None
        self._client = http_client(route)

    async def deliver(self, batch: SinkBatch) -> None:
        timeout_s = self._settings.timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                status, asked_s = await self._post(batch)
        except ConfigurationError as error:  # the file of the secret
            raise UndeliveredError(str(error), is_refused=True) from None
        except (TimeoutError, httpx.TimeoutException):
            raise UndeliveredError(f"no answer within {timeout_s:g} s") from None
        except httpx.InvalidURL:  # what it says may hold a secret
            raise UndeliveredError("Invalid webhook URL", is_refused=True) from None
        except (httpx.HTTPError, OSError) as error:
            raise UndeliveredError(f"{type(error).__name__}: {error}") from None
        if not 200 <= status <= 299:
            raise UndeliveredError(
                f"answered with {status}",
                is_refused=status < 500 and status not in PASSES_BY_ITSELF,
                retry_after_s=asked_s,
            )

    async def close(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()

    async def _post(self, batch: SinkBatch) -> tuple[int, float | None]:
        """Status of the answer, and how long it asks to wait."""
        assert self._client is not None, "not opened"
        secret = self._settings.signing_secret()
        hide(secret)
        body = b"[" + b",".join(event.body for event in batch.events) + b"]"
        headers = signed_headers(secret, Deliver(batch.id, body, self._wall_us() // 1_000_000))
        headers["Content-Type"] = CONTENT_TYPE
        async with self._client.stream(
            "POST",
            self._settings.url,
            content=body,
            headers=headers,
            timeout=self._settings.timeout_s,
        ) as reply:
            await read_away(reply, BODY_BYTES_MAX)
            return reply.status_code, asked_wait_s(reply.headers, self._wall_us())

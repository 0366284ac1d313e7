"""Owns one attempt to deliver a webhook message: the POST, and what its answer means.

It knows no outbox: whether there is another attempt, and when, is decided there.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from types import TracebackType
from typing import Final, Self

import httpx

from actors.genesys.http import GatewayAddress, Route, http_client, read_away
from actors.genesys.proxy import proxy_for
from actors.genesys.retry_after import asked_wait_s
from actors.sender.outbox import signed_headers
from actors.sender.signals import Deliver, Delivered
from actors.settings.sender import WebhookSettings
from runtime.clock import SystemClock
from runtime.errors import ConfigurationError

CONNECT_TIMEOUT_S: Final = 5.0
TOTAL_TIMEOUT_S: Final = 10.0
BODY_BYTES_MAX: Final = 1024


class CommandWebhook:
    """For one event loop. The same certificates are trusted as for Genesys, and a proxy is chosen
    in the same way, but for its own URL.

    Raises ConfigurationError for a bad `HTTPS_PROXY`.
    """

    def __init__(
        self, settings: WebhookSettings, address: GatewayAddress, ssl_context: ssl.SSLContext
    ) -> None:
        self._settings = settings
        proxy = proxy_for(settings.url, address.proxy, os.environ)
        self._client = http_client(Route(ssl_context=ssl_context, proxy=proxy))

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.__aexit__(kind, error, traceback)

    async def deliver(self, delivery: Deliver) -> Delivered:
        """Any 2xx is success, and no redirect is followed."""
        status, asked_s = 0, None
        try:
            status, asked_s = await self._post(delivery)
            detail = f"answered with {status}"
        except ConfigurationError as error:
            detail = str(error)
        except httpx.ConnectTimeout:
            detail = f"no connection within {CONNECT_TIMEOUT_S:g} s"
        except (TimeoutError, httpx.TimeoutException):
            detail = f"no answer within {TOTAL_TIMEOUT_S:g} s"
        except httpx.InvalidURL:  # what it says may hold a secret
            detail = "Invalid webhook URL"
        except (httpx.HTTPError, OSError) as error:
            detail = f"{type(error).__name__}: {error}"
        is_success = 200 <= status <= 299
        wait_s = None if is_success else asked_s
        return Delivered(delivery.message_id, is_success, status, detail, wait_s)

    async def _post(self, delivery: Deliver) -> tuple[int, float | None]:
        """Status of the answer, and how long it asks to wait. Raises ConfigurationError, and what
        httpx raises."""
        if not self._settings.url:
            raise ConfigurationError("no webhook is configured")
        headers = signed_headers(self._settings.signing_secret(), delivery)
        timeout = httpx.Timeout(TOTAL_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
        async with (
            asyncio.timeout(TOTAL_TIMEOUT_S),
            self._client.stream(
                "POST",
                self._settings.url,
                content=delivery.body,
                headers=headers,
                timeout=timeout,
            ) as reply,
        ):
            await read_away(reply, BODY_BYTES_MAX)
            return reply.status_code, asked_wait_s(reply.headers, SystemClock().wall_us())

"""The bundled gateway of the cloud dialect, in the test's own loop."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from actors.genesys.cloud_rest import CloudRest
from actors.genesys.http import GatewayAddress, http_client, reach
from actors.genesys.pacer import Pacer
from actors.genesys.rate_budget import Budget
from actors.genesys.tokens import TokenProvider
from runtime.clock import SystemClock
from tools.fake_gateway.cloud.server import CloudGateway, CloudSettings
from tools.fake_gateway.script import ScriptSettings

ORIGIN_MS = 1_790_000_000_000


@dataclass
class Bundled:
    """What it said when it was ready, and its control port."""

    ready: dict[str, Any]
    control: httpx.AsyncClient

    @property
    def address(self) -> GatewayAddress:
        """Of its first OAuth client."""
        url, client = self.ready["base_url"], self.ready["clients"][0]
        return GatewayAddress(
            api_url=url,
            credentials=lambda: (client["client_id"], client["client_secret"]),
            token_url=f"{url}/oauth/token",
        )

    async def told(self, path: str, asked: Any = None) -> dict[str, Any]:
        if asked is None:
            answer = await self.control.get(self.ready["control_url"] + path)
        else:
            answer = await self.control.post(self.ready["control_url"] + path, json=asked)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    async def users(self) -> list[str]:
        found: list[str] = (await self.told("/users?count=1000000"))["users"]
        return found

    async def fault(self, kind: str, **more: Any) -> None:
        await self.told("/faults", {"kind": kind, **more})


@asynccontextmanager
async def bundled(folder: Path, *, agents: int, **more: Any) -> AsyncIterator[Bundled]:
    script = ScriptSettings(seed=7, agents=agents, origin_ms=ORIGIN_MS)
    gateway = CloudGateway(CloudSettings(script=script, ledger=folder / "ledger", **more))
    try:
        ready = await gateway.start()
        running = asyncio.create_task(gateway.run())
        async with httpx.AsyncClient(trust_env=False) as control:
            yield Bundled(ready, control)
        gateway.request_stop()
        await running
    finally:
        await gateway.close()


@asynccontextmanager
async def rest_of(gateway: Bundled) -> AsyncIterator[CloudRest]:
    clock = SystemClock()
    async with http_client(reach(gateway.address, {})) as http:
        chance = random.Random(1)
        tokens = TokenProvider(gateway.address, (), http, clock=clock, chance=chance)
        yield CloudRest(gateway.address, tokens, http, Pacer(Budget(300), clock), clock=clock)

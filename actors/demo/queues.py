"""Owns what the runtime of a demo shows of its queues at the end, for the gateway's verdict: by its
own API, as any program would ask.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

from actors.cli.api_client import ApiClient, open_client, run

LOOK_AGAIN_S: Final = 0.5
LOOKS_MAX: Final = 40


def shown_queues(data_dir: Path) -> dict[str, Any]:
    """`queues` and `agents` as `tools/fake_gateway/cloud/queue_verifier.py` wants them."""
    return run(_shown(data_dir))


async def _shown(data_dir: Path) -> dict[str, Any]:
    async with open_client(data_dir) as client:
        shown = await _look(client)
        for _ in range(LOOKS_MAX):
            await asyncio.sleep(LOOK_AGAIN_S)
            before, shown = shown, await _look(client)
            if shown == before and not shown["lagging"]:
                break
        return shown


async def _look(client: ApiClient) -> dict[str, Any]:
    snapshot, told = await client.snapshot(), await client.queues()
    states, summary = snapshot["states"], snapshot["summary"]
    ids = [queue for queue, _ in snapshot["queues"]]
    return {
        "queues": told["queues"],
        "agents": [
            [row[0], states[row[2]], [ids[place] for place in row[7]]] for row in snapshot["agents"]
        ],
        "unknown": summary["queues_unknown"],
        "lagging": summary["health"]["lagging"],
    }

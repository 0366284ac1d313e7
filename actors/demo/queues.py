"""Owns what the page of a demo shows of queues at the end, for the gateway's verdict: read as a
browser reads it, because nobody may order anything any more and the local socket is gone.
"""

from __future__ import annotations

import time
from typing import Any, Final

import httpx

from runtime.errors import LocalError

LOOK_AGAIN_S: Final = 0.5
LOOKS_MAX: Final = 40
TIMEOUT_S: Final = 60.0


def shown_queues(port: int, token: str) -> dict[str, Any]:
    """`queues`, `agents` and `unknown` as `tools/fake_gateway/cloud/queue_verifier.py` wants them,
    once they hold still. Raises LocalError if the page does not tell."""
    url = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False) as client:
        try:
            shown = _look(client, token)
            for _ in range(LOOKS_MAX):
                time.sleep(LOOK_AGAIN_S)
                before, shown = shown, _look(client, token)
                if shown == before and not shown["lagging"]:
                    break
        except (httpx.HTTPError, ValueError) as error:
            raise LocalError(f"the page did not show its queues: {error!r}") from None
        return shown


def _look(client: httpx.Client, token: str) -> dict[str, Any]:
    snapshot, told = _read(client, "/api/snapshot", token), _read(client, "/api/queues", token)
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


def _read(client: httpx.Client, path: str, token: str) -> dict[str, Any]:
    answer = client.get(path)
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        client.get("/", params={"token": token}, follow_redirects=True)
        answer = client.get(path)
    answer.raise_for_status()
    told: dict[str, Any] = answer.json()
    return told

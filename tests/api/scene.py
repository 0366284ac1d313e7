"""Scene: a whole runtime with its gateway, as an operator starts it, whose API is then asked.

Nothing is pretended: processes, sockets, journals; only the limits that would end the asking are
raised or off.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from actors.demo.gateway import BundledGateway
from tests.processes.service import AGENTS, PATIENCE_S, Service, eventually

SEED = 7
TOKEN = "w" * 32
ODD_FRAMES = ("malformed", "truncated")
EVENTS_PER_S, LOAD_S = 200, 2.0
FREE = {
    "PRESENCE_WEB__REQUESTS_PER_S": "0",
    "PRESENCE_SENDER__UPDATES_PER_S": "1000",
    "PRESENCE_SENDER__IN_FLIGHT_MAX": "1000",
}


class Scene(NamedTuple):
    """A runtime that is ready."""

    base_url: str
    users: tuple[str, ...]
    frames: tuple[dict[str, Any], ...]  # in quarantine
    service: Service

    def troubles(self) -> list[str]:
        """Lines of its log that nobody should ever have to read."""
        return [
            str(line)
            for line in self.service.lines()
            if line["level"] in {"error", "critical"} or line["event"] == "child.exited"
        ]


@contextmanager
def scene(folder: Path) -> Iterator[Scene]:
    """Ended with its last process."""
    tokens = folder / "tokens"
    tokens.write_text(f"write schemathesis {TOKEN}\n")
    tokens.chmod(0o600)
    gateway = BundledGateway.start(folder / "ledger", agents=AGENTS, seed=SEED, tls=False)
    service = Service(gateway, folder)
    before = dict(os.environ)
    os.environ.update(FREE | {"PRESENCE_WEB__TOKENS_FILE": str(tokens)})
    try:
        service.start()
        eventually(service.has_caught_up, "the runtime has caught up")
        eventually(lambda: _page(service), "the page is served")
        base_url = _page(service)
        _live(gateway)
        eventually(
            lambda: len(_frames(base_url)) == len(ODD_FRAMES), "odd frames are in quarantine"
        )
        eventually(service.has_caught_up, "it has caught up again")
        users, frames = gateway.users(AGENTS), _frames(base_url)
        yield Scene(base_url, tuple(users), tuple(frames), service)
    finally:
        os.environ.clear()
        os.environ.update(before)
        service.close()
        gateway.close()


def _live(gateway: BundledGateway) -> None:
    """So that there is a history, and something that was not understood."""
    for kind in ODD_FRAMES:
        gateway.inject({"kind": kind, "count": 1})
    gateway.start_load(EVENTS_PER_S, LOAD_S)
    eventually(lambda: gateway.status()["load"] == "done", "the load is over")


def _frames(base_url: str) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = httpx.get(
        f"{base_url}/api/quarantine", headers=headers, timeout=PATIENCE_S, trust_env=False
    )
    shown = answer.json()
    frames: list[dict[str, Any]] = shown["quarantine"]
    return frames


def _page(service: Service) -> str:
    """Where it is served; empty if nowhere yet."""
    told = [line["page"] for line in service.lines() if line["event"] == "web.listens"]
    return told[-1].rstrip("/") if told else ""

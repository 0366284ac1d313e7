"""Scene: a whole runtime with its gateway, as an operator starts it, whose API is then asked.

Nothing is pretended: processes, sockets, journals; only the limits that would end the asking are
raised or off.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from actors.demo_gateway import BundledGateway
from tests.processes.service import AGENTS, Service, eventually

SEED = 7
TOKEN = "w" * 32
FREE = {
    "PRESENCE_WEB__REQUESTS_PER_S": "0",
    "PRESENCE_SENDER__UPDATES_PER_S": "1000",
    "PRESENCE_SENDER__IN_FLIGHT_MAX": "1000",
}


class Scene(NamedTuple):
    """A runtime that is ready."""

    base_url: str
    users: tuple[str, ...]
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
        yield Scene(_page(service), tuple(gateway.users(AGENTS)), service)
    finally:
        os.environ.clear()
        os.environ.update(before)
        service.close()
        gateway.close()


def _page(service: Service) -> str:
    """Where it is served; empty if nowhere yet."""
    told = [line["page"] for line in service.lines() if line["event"] == "web.listens"]
    return told[-1].rstrip("/") if told else ""

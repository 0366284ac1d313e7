"""Part: what every peer in Python does outside its hot path. Knows no WebSocket library.

A peer is a program. It is given one JSON object (`Given`), subscribes, and speaks in lines:
`{"ready": true}` once the history is whole; after a line `N` on its input, and once it has handled
the event of sequence N, `{"finished": true}`, and then its `Report`.
"""

from __future__ import annotations

import base64
import json
import ssl
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx

SUBSCRIPTION = json.dumps(
    {
        "events": [
            {
                "type": "routing.agents.state",
                "properties": ["userId", "state", "timestamp", "queueId"],
            }
        ],
        "filter": {"includeHistory": True, "resource": None},
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a peer is told on its command line."""

    base_url: str
    client_id: str
    client_secret: str
    agents: int
    ca_file: str | None = None
    journal: str | None = None
    """A SQLite file: every transition is to be durable, in batches."""

    @classmethod
    def from_arguments(cls) -> Given:
        return cls(**json.loads(sys.argv[1]))

    def as_argument(self) -> str:
        return json.dumps(asdict(self))

    @property
    def tls(self) -> ssl.SSLContext | None:
        return ssl.create_default_context(cafile=self.ca_file) if self.ca_file else None

    def socket_url(self) -> str:
        """With a fresh token in it."""
        pair = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        answer = httpx.post(
            f"{self.base_url}/api/v2/oauth/token",
            data={"grant_type": "client_credentials"},
            headers={"Authorization": f"Basic {pair}"},
            verify=self.tls or True,
        )
        token = answer.raise_for_status().json()["access_token"]
        root = self.base_url.replace("http", "ws", 1)
        return f"{root}/wsp/v2/notifications?access_token={token}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a peer says at its end; the driver holds it against the gateway's truth."""

    events: int
    transitions: int
    states: dict[str, tuple[str, str]]
    """User id to state and timestamp."""
    cpu_s: dict[str, float] = field(default_factory=dict)
    """By role, between ready and finished."""
    ages_ms: dict[str, float] = field(default_factory=dict)
    """By percentile, if somebody watched."""


class Course:
    """From ready to the report. `newest`: the highest sequence that was handled."""

    def __init__(self, newest: Callable[[], int], report: Callable[[float], Report]) -> None:
        self._newest = newest
        self._report = report
        self._until: int | None = None
        self._cpu_s = 0.0

    def ready(self) -> None:
        self._cpu_s = time.process_time()
        say({"ready": True})

    def told(self) -> None:
        """To be called when there is a line on the standard input."""
        self._until = int(sys.stdin.readline())

    def is_over(self) -> bool:
        """To be called now and then; the first time it is, everything has been said."""
        if self._until is None or self._newest() < self._until:
            return False
        say({"finished": True})
        say(asdict(self._report(time.process_time() - self._cpu_s)))
        return True


def say(words: object) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def path_of(given: Given) -> Path | None:
    return Path(given.journal) if given.journal else None

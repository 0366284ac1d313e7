"""Ledger: what was really put on each socket, as JSON lines. Knows nothing of what it means.

Not a line per event: the run's settings give every event, its time, sequence and bytes, so that a
write is told by its socket and its first and last position in the stream. `kind` tells the lines
apart; the functions below are the only place that knows their fields' names.

| kind | |
|---|---|
| run | the settings of script and order: everything is computed from them |
| epoch, stretch | numbering and event times, as they begin |
| change | an event that an update caused, between the script's |
| opened, subscribed, closed | a socket's life; `head` = events that had happened by then |
| sent | positions first..last of the stream, as one write |
| history | agents first..last as of event `head`; `complete`: the history.complete frame |
| gap, ignored | sequences that the socket was told, or not told, that it will not see |
| fault | one that was carried out |
| refused | a handshake or a call that a fault or a limit refused |
| presence-opened, presence-bound, presence-closed | a presence socket's life |
| update | what came on one; `status` 200: taken (0: lost), `number`: the event that it made |
| ack | its acknowledgement; `how`: good, late, duplicate, malformed before it, or missing |
| look-up | of a user, by REST |
| webhook | a message; `status` 204: received, else what it was told; `complaint`: why |
| end | a clean end |

A cloud gateway's ledger has `dialect` cloud in its run, stretches of steps, refused, webhook, end
and

| kind | |
|---|---|
| steps | events first..last, which were the script's; `head` elsewhere = events that had happened |
| change | the event `number`, from outside, of `agent`: presence, routing, message; `by` whom |
| created, topics, gone | a channel's life (`channel`: its serial); all the topics that it has |
| opened, closed | a socket's life on it |
| broken | a frame of a fault, beside the healthy ones |
| fault | one that was carried out, on these channels |
| roster | an agent joins or leaves |
| variations | the names of all that may be told otherwise than it happens |
| varied | one that was: `what`, of which `agent` or `channel`; its event by its time `at_ms` |
| call | by REST; `calls` of its client in this window, `limited`: refused for their number |
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

LEDGER_NAME = "ledger.jsonl"
CA_NAME = "ca.pem"


class LedgerError(Exception):
    """A ledger from which nothing can be computed."""


def now_us() -> int:
    return time.time_ns() // 1000


class Ledger:
    """Appends; buffered, so that a line costs little even at full speed."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._file = (directory / LEDGER_NAME).open("wb", buffering=1 << 18)

    def write(self, kind: str, **fields: Any) -> None:
        self._file.write(orjson.dumps({"kind": kind, **fields}) + b"\n")

    def sent(self, socket: int, first: int, last: int, at_us: int) -> None:
        """The one line that is written thousands of times a second."""
        self._file.write(
            b'{"kind":"sent","socket":%d,"first":%d,"last":%d,"at_us":%d}\n'
            % (socket, first, last, at_us)
        )

    def refused(self, gate: str, status: int, at_us: int) -> None:
        """As a fault or a limit wanted it. 0: never answered."""
        self.write("refused", gate=gate, status=status, at_us=at_us)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def read_ledger(directory: Path) -> Iterator[dict[str, Any]]:
    """The lines, in order. A torn last line (the gateway was killed) is left out."""
    with (directory / LEDGER_NAME).open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            yield orjson.loads(line)


def dialect_of(directory: Path) -> str:
    """That the gateway spoke."""
    if not (directory / LEDGER_NAME).exists():
        return "wsp"
    return str(next(read_ledger(directory), {}).get("dialect", "wsp"))

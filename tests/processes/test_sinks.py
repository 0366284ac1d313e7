"""Sinks in a real runtime: their process is killed and their receiver fails, under load.

What a file and a webhook were given is compared with the journals, row by row.
"""

from __future__ import annotations

import os
import random
import re
import signal
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
from standardwebhooks import Webhook

from actors.sinks.envelope import TRANSITION
from actors.sinks.reader import read
from runtime.crash_point import VARIABLE
from tests.actors.sinks.rig import all_events
from tests.processes.service import Service, eventually

SECRET = "whsec_c2VjcmV0LW9mLWEtc2luaw=="
POINTS = ("after-deliver", "after-place", "in-transaction")
RATE = 2_000
KILLS = 3


class Receiver:
    """Takes signed batches, and fails in every way, by chance; some of those it takes all the
    same."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.fails = True
        self.taken: list[dict[str, Any]] = []
        self.failures = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver.take(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/events"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        told: Any = Webhook(SECRET).verify(body.decode(), dict(request.headers.items()))
        dice = self.rng.random() if self.fails else 1.0
        if dice < 0.1:  # nothing was taken
            self.answer(request, 503)
        elif dice < 0.15:
            self.answer(request, 429)
        elif dice < 0.2:
            request.close_connection = True
        else:
            self.taken += told
            self.answer(request, 500 if dice < 0.25 else 204)

    def answer(self, request: BaseHTTPRequestHandler, status: int) -> None:
        self.failures += status != 204
        request.send_response(status)
        request.send_header("Content-Length", "0")
        request.end_headers()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver(seed=3)
    yield receiver
    receiver.close()


def configured(folder: Path, url: str) -> Path:
    path = folder / "presence.toml"
    path.write_text(f"""
[[sinks]]
name = "lines"
kind = "jsonl"
path = "lines.jsonl"
rotate_mb = 1
keep = 100

[[sinks]]
name = "hook"
kind = "webhook"
url = "{url}"
secret = "{SECRET}"
batch_max = 500
linger_ms = 50
backoff_max_s = 0.2
""")
    path.chmod(0o600)
    return path


def lines(folder: Path) -> list[dict[str, Any]]:
    """The rotated files as well, the oldest first."""
    files = sorted(folder.glob("lines.jsonl*"), key=lambda path: -int(path.suffix[1:] or 0)
                   if path.suffix != ".jsonl" else 0)  # fmt: skip
    return [orjson.loads(line) for path in files for line in path.read_bytes().splitlines()]


def judge(taken: list[dict[str, Any]], data_dir: Path) -> None:
    """Every row came, those of each agent in their order, and nothing else."""
    rows = all_events(data_dir)
    assert len(rows) > RATE
    first: dict[str, int] = {}
    for position, event in enumerate(taken):
        first.setdefault(event["id"], position)
        assert event["specversion"] == "1.0"
        assert event["source"].endswith("/presence-runtime/test")
    assert first.keys() == {row.id for row in rows}
    latest: dict[str | None, int] = {}
    for row in rows:
        if row.subject is not None:
            assert first[row.id] > latest.get(row.subject, -1), row
            latest[row.subject] = first[row.id]
    assert sum(event["type"] == TRANSITION for event in taken) >= len(latest)


def deaths(service: Service) -> list[str]:
    line = re.compile(r"^crash point: sinks is killed at (\S+)$", re.MULTILINE)
    return line.findall(service.log.read_text())


def kill_at_some_moment(service: Service, rng: random.Random, killed: set[int]) -> bool:
    """True: often enough by now."""
    time.sleep(rng.uniform(0.2, 0.6))  # the moment of a kill is what is drawn
    pid = service.children()["sinks"]
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:  # its successor is on its way
        return False
    killed.add(pid)
    return len(killed) >= KILLS


def test_sinks_that_are_killed_under_load_are_given_every_row_in_order(
    service: Service, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, ",".join(f"sinks:{point}:3" for point in POINTS))
    process = service.start("--config", str(configured(tmp_path, receiver.url)))
    eventually(service.has_caught_up, "the history")
    service.gateway.start_load(RATE, 60.0)
    eventually(lambda: deaths(service) == list(POINTS), "a death at every step")
    rng = random.Random(5)
    killed: set[int] = set()
    eventually(lambda: kill_at_some_moment(service, rng, killed), "kills at any moment")
    service.gateway.stop_load()
    eventually(lambda: service.gateway.status()["load"] == "done", "the end of the load")
    eventually(service.has_caught_up, "the marks")
    receiver.fails = False
    eventually(lambda: [sink.behind_rows for sink in read(service.data_dir)] == [0, 0], "all")
    service.drain_and_verify(process)
    assert receiver.failures > 0
    judge(lines(tmp_path), service.data_dir)
    judge(receiver.taken, service.data_dir)


def test_what_shards_write_at_a_stop_is_delivered_before_the_sinks_end(
    service: Service, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "presence.toml"
    path.write_text(
        '[[sinks]]\nname = "lines"\nkind = "jsonl"\npath = "lines.jsonl"\n'
        '[[sinks]]\nname = "out"\nkind = "jsonl"\npath = "-"\n'
    )
    process = service.start("--config", str(path))
    eventually(service.has_caught_up, "the history")
    service.gateway.start_load(RATE, 2.0)
    eventually(lambda: service.gateway.status()["load"] == "done", "the end of the load")
    service.drain_and_verify(process)
    judge(lines(tmp_path), service.data_dir)
    written = [line for line in capfd.readouterr().out.splitlines() if "specversion" in line]
    judge([orjson.loads(line) for line in written], service.data_dir)
    for sink in read(service.data_dir):
        assert (sink.behind_rows, sink.standing.problem) == (0, "")

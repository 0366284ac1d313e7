"""Screenshot: a picture of the wallboard over a runtime that works. Knows neither from inside.

    python -m tools.screenshot docs/wallboard.png
    python -m tools.screenshot phone.png --size 360x740 --theme dark --agents 400

Gateway and runtime are processes like anybody's; the names are made up, as the agents are. Needs
the test dependencies and Debian's Chromium.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent
READY_TIMEOUT_S = 90.0
END_TIMEOUT_S = 30.0
CHROMIUM = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
FIRST = (
    "Ada", "Ben", "Cleo", "Dario", "Elif", "Femi", "Greta", "Hana", "Ivo", "Jun", "Kaya", "Lior",
    "Mina", "Noor", "Otis", "Priya", "Quin", "Rosa", "Sami", "Tove", "Uma", "Vera", "Wen", "Yara",
)  # fmt: skip
LAST = (
    "Abara", "Brandt", "Costa", "Dubois", "Eriksen", "Fischer", "Garcia", "Haddad", "Ito",
    "Jansen", "Kim", "Lopez", "Moreau", "Novak", "Okafor", "Petrov", "Rossi", "Silva", "Tanaka",
)  # fmt: skip
SUBJECTS = (
    "Billing", "Claims", "Cards", "Loans", "Retention", "Sales", "Service", "Support", "Returns",
    "Travel", "Freight", "Repairs",
)  # fmt: skip
KINDS = ("North", "South", "East", "West", "Gold", "Web", "Chat", "Night")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.screenshot", description=__doc__)
    parser.add_argument("path", type=Path, help="the PNG")
    parser.add_argument("--agents", type=int, default=1_500)
    parser.add_argument("--rate", type=float, default=60.0, help="events a second")
    parser.add_argument("--seconds", type=float, default=75.0, help="of load, before the picture")
    parser.add_argument("--size", default="1280x800")
    parser.add_argument("--theme", choices=("light", "dark"), default="light")
    asked = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        print("needs Chromium: apt-get install --no-install-recommends chromium", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="presence-screenshot-") as folder:
        picture = Picture(Path(folder), asked.agents)
        with picture.gateway() as gateway, picture.runtime(gateway) as address:
            picture.name_queues(address)
            gateway.call("/load", {"rate": asked.rate, "seconds": asked.seconds + END_TIMEOUT_S})
            take(chromium, address, asked)
    print(f"{asked.path}: {asked.path.stat().st_size:,} bytes")
    return 0


class DemoGateway:
    """The fake one, by its control port."""

    def __init__(self, ready: dict[str, Any]) -> None:
        self.ready = ready

    def call(self, path: str, asked: dict[str, Any] | None = None) -> dict[str, Any]:
        body = None if asked is None else json.dumps(asked).encode()
        return fetch(f"{self.ready['control_url']}{path}", body)


class Picture:
    """What is set up for one."""

    def __init__(self, folder: Path, agents: int) -> None:
        self._folder = folder
        self._agents = agents
        self._names = folder / "names.csv"

    @contextmanager
    def gateway(self) -> Iterator[DemoGateway]:
        arguments = ["serve", "--paused", "--with-parent", "--ledger", str(self._folder / "ledger")]
        command = ["tools.fake_gateway", *arguments, "--agents", str(self._agents), "--seed", "7"]
        with running(command) as process:
            gateway = DemoGateway(json.loads(next(lines(process))))
            users = gateway.call(f"/users?count={self._agents}")["users"]
            self._write_names((user, person(n)) for n, user in enumerate(users))
            yield gateway

    @contextmanager
    def runtime(self, gateway: DemoGateway) -> Iterator[str]:
        """The page's address, once everybody is known."""
        ready = gateway.ready
        given = {
            "GENESYSCLOUD_OAUTHCLIENT_ID": ready["client_id"],
            "GENESYSCLOUD_OAUTHCLIENT_SECRET": ready["client_secret"],
            "PRESENCE_BASE_URL": ready["base_url"],
            "PRESENCE_DATA_DIR": str(self._folder / "data"),
            "PRESENCE_NAME": "contact-centre",
            "PRESENCE_WEB__LISTEN": "127.0.0.1:0",
            "PRESENCE_WEB__NAMES_FILE": str(self._names),
        }
        with running(["runtime", "--log-format", "json"], **given) as process:
            told = (json.loads(line) for line in lines(process) if line.startswith("{"))
            address = next(str(line["page"]) for line in told if line["event"] == "web.listens")
            wait_for_agents(address, self._agents)
            yield address

    def name_queues(self, address: str) -> None:
        """What they are called by id is known when somebody is in them; the runtime reads the file
        again by itself."""
        queues = [each["id"] for each in fetch(f"{address}api/queues")["queues"]]
        self._write_names((queue, queue_name(n)) for n, queue in enumerate(sorted(queues)))
        deadline_s = time.monotonic() + READY_TIMEOUT_S
        while any(each["name"] is None for each in fetch(f"{address}api/queues")["queues"]):
            assert time.monotonic() < deadline_s, "the queues have no names"
            time.sleep(0.5)

    def _write_names(self, rows: Iterator[tuple[str, str]]) -> None:
        is_new = not self._names.exists()
        with self._names.open("a", newline="") as file:
            writer = csv.writer(file)
            writer.writerows([("id", "name")] if is_new else [])
            writer.writerows(rows)


def person(n: int) -> str:
    return f"{FIRST[n % len(FIRST)]} {LAST[n // len(FIRST) % len(LAST)]}"


def queue_name(n: int) -> str:
    name = f"{SUBJECTS[n % len(SUBJECTS)]} {KINDS[n // len(SUBJECTS) % len(KINDS)]}"
    again = n // (len(SUBJECTS) * len(KINDS))
    return f"{name} {again + 1}" if again else name


def fetch(address: str, body: bytes | None = None) -> dict[str, Any]:
    with urllib.request.urlopen(address, body, END_TIMEOUT_S) as answer:  # noqa: S310 - our own
        told: dict[str, Any] = json.load(answer)
        return told


def wait_for_agents(address: str, agents: int) -> None:
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    while True:
        summary = fetch(f"{address}api/summary")
        if summary["agents"] == agents and summary["health"]["live"]:
            return
        assert time.monotonic() < deadline_s, f"not live within {READY_TIMEOUT_S:g} s: {summary}"
        time.sleep(0.2)


def take(chromium: str, address: str, asked: argparse.Namespace) -> None:
    """Opens the page, lets it live for a while, and takes the picture."""
    width, height = (int(each) for each in asked.size.split("x"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM))
        page = browser.new_page(
            viewport={"width": width, "height": height}, color_scheme=asked.theme
        )
        page.goto(address)
        page.locator('html[data-health="live"]').wait_for(state="attached")
        page.wait_for_timeout(asked.seconds * 1000)
        page.locator('html[data-health="live"]').wait_for(state="attached")
        asked.path.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=asked.path)
        browser.close()


@contextmanager
def running(module: Sequence[str], **variables: str) -> Iterator[subprocess.Popen[str]]:
    """A process of ours, ended as an operator would."""
    known = {key: value for key, value in os.environ.items() if "PROXY" not in key.upper()}
    process = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", *module],
        cwd=ROOT,
        env={**known, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def lines(process: subprocess.Popen[str]) -> Iterator[str]:
    """What it says, as it says it."""
    assert process.stdout is not None
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    said = ""
    while select.select([process.stdout], [], [], max(0.0, deadline_s - time.monotonic()))[0]:
        line = process.stdout.readline()
        said += line
        if not line:
            raise SystemExit(f"{process.args!r} has ended: {said}")
        yield line
    raise SystemExit(f"{process.args!r} is not ready within {READY_TIMEOUT_S:g} s")


if __name__ == "__main__":
    sys.exit(main())

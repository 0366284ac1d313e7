"""Sending: a runtime as the command line sees it: a web child as it is, a sender that obeys."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from actors import main as cli
from actors.messages.commands import CommandRequest
from actors.sender.commands import CommandStep
from actors.storage.data_dir import DataDir, GatewayIdentity
from tests.actors.web.rig import FakeSender, Fate, Web, confirm, web_arguments

ROOT = Path(__file__).parents[3]
HOSTILE = "\x1b[2J\n[bold]"


class Runtime(NamedTuple):
    """As far as the command line can see."""

    data_dir: Path
    web: Web
    sender: FakeSender

    @property
    def orders(self) -> list[CommandRequest]:
        return [order for order in self.sender.orders if isinstance(order, CommandRequest)]

    def command(self, *arguments: str) -> int:
        return cli.main([*arguments, "--data-dir", str(self.data_dir)])


def make_data_dir(path: Path, dialect: str = "wsp") -> Path:
    identity = GatewayIdentity(dialect=dialect, gateway="https://api.mypurecloud.com")
    DataDir.claim(path, identity, shards=1).lock.release()
    return path


@contextmanager
def running(folder: Path) -> Iterator[Runtime]:
    arguments = web_arguments(make_data_dir(folder / "data"))
    sender = FakeSender(arguments, confirm)
    web = Web(arguments)
    yield Runtime(arguments.data_dir, web, sender)
    web.stop()
    sender.close()


def as_new(runtime: Runtime) -> Runtime:
    """One for all tests of a file, its sender as if it were new."""
    runtime.sender.judge = confirm
    runtime.sender.orders.clear()
    runtime.sender.applied.clear()
    return runtime


def refused(code: str, detail: str = "", retry_after_ms: int | None = None) -> Fate:
    return Fate(CommandStep.REFUSED, code, detail, retry_after_ms)


def begun(runtime: Runtime, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "runtime", "send", *arguments]
    command += ["--data-dir", str(runtime.data_dir)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)

"""Strangers: somebody whose address is not loopback, in a network namespace of the test.

No other machine is reached: a pair of virtual interfaces leads from here to there and nowhere else.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import pytest

PATIENCE_S = 10.0
_ASK = """
import json, socket, sys
told = []
for host, port, said, until in json.load(sys.stdin):
    out = b""
    try:
        with socket.create_connection((host, port), timeout=5) as connection:
            connection.sendall(said.encode("latin-1"))
            while until.encode() not in out:
                more = connection.recv(65536)
                if not more:
                    break
                out += more
    except OSError as error:
        out += repr(error).encode()
    told.append(out.decode("latin-1"))
json.dump(told, sys.stdout)
"""


class Asked(NamedTuple):
    """What a stranger sends to our end, and after which words nothing more is waited for."""

    port: int
    said: str
    until: str = "\r\n\r\n"


class Strangers(NamedTuple):
    """Those of one namespace. `here`: the address under which they reach us."""

    namespace: str
    here: str

    def ask(self, asked: Sequence[Asked]) -> list[str]:
        """What is answered to each, in turn."""
        done = subprocess.run(
            ["ip", "netns", "exec", self.namespace, sys.executable, "-I", "-c", _ASK],
            input=json.dumps([(self.here, *each) for each in asked]),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S * len(asked),
            check=True,
        )
        answers: list[str] = json.loads(done.stdout)
        return answers


@contextmanager
def strangers() -> Iterator[Strangers]:
    """Skips the test where namespaces cannot be made."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("a network namespace takes root and iproute2")
    pid = os.getpid()
    name, net = f"presence-{pid}", f"10.203.{pid % 256}.{pid // 256 % 64 * 4}"
    first = net.rpartition(".")
    here, there = (f"{first[0]}.{int(first[2]) + each}" for each in (1, 2))
    ours, theirs = f"pr{pid}a", f"pr{pid}b"
    _ip("netns", "add", name)
    try:
        _ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", name)
        _ip("address", "add", f"{here}/30", "dev", ours)
        _ip("link", "set", ours, "up")
        _ip("-n", name, "address", "add", f"{there}/30", "dev", theirs)
        _ip("-n", name, "link", "set", theirs, "up")
        yield Strangers(name, here)
    finally:
        subprocess.run(["ip", "link", "delete", ours], capture_output=True, check=False)
        _ip("netns", "delete", name)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode and arguments[:2] == ("netns", "add"):
        pytest.skip(f"no network namespace can be made: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr

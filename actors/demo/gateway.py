"""BundledGateway: the fake gateway as a process of the demo. Knows no runtime.

A process of its own, started like any other peer's: it is the oracle, and shares neither memory nor
code with what it judges.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self
from urllib.parse import urlsplit

from actors.app.topology import children_environment
from actors.messages.control import Dialect
from runtime.clock import Clock, SystemClock
from runtime.errors import LocalError

MODULE: Final = "tools.fake_gateway"
READY_TIMEOUT_S: Final = 60.0
CALL_TIMEOUT_S: Final = 20.0
END_TIMEOUT_S: Final = 30.0
VERIFY_TIMEOUT_S: Final = 900.0
_ROOT: Final = Path(__file__).parent.parent.parent  # the clone, or where the wheel was installed
# The current directory first is what `-m` would do, and there may be another `tools` in it.
_BOOT: Final = (
    "import sys, runpy; n = int(sys.argv[1]); sys.path[:] = sys.argv[2:2 + n]; "
    "sys.argv[:] = sys.argv[1 + n:]; "
    f"runpy.run_module({MODULE!r}, run_name='__main__', alter_sys=True)"
)


class BundledGateway:
    """Runs from `start` to `stop`; `close` ends it in any case."""

    def __init__(
        self, process: subprocess.Popen[bytes], ready: Mapping[str, Any], webhook_secret: str
    ) -> None:
        self._process = process
        control = urlsplit(str(ready["control_url"]))
        self.webhook_secret = webhook_secret
        self.webhook_url = f"{ready['control_url']}/webhook"
        self._control = http.client.HTTPConnection(
            str(control.hostname), control.port, timeout=CALL_TIMEOUT_S
        )
        self.pid = process.pid
        self.base_url = str(ready["base_url"])
        self.client_id = str(ready["client_id"])
        self.client_secret = str(ready["client_secret"])
        self.clients = [  # all of them; the wsp dialect has the one above
            (str(each["client_id"]), str(each["client_secret"]))
            for each in ready.get("clients", (ready,))
        ]
        self.ca_file = None if ready["ca_file"] is None else Path(ready["ca_file"])

    @classmethod
    def start(
        cls,
        ledger: Path,
        *,
        agents: int,
        seed: int,
        tls: bool,
        faults: str = "none",
        ack_loss: float = 0.0,
        dialect: Dialect = "wsp",
        clients: int = 1,
        scopes: str | None = None,
        token_life_s: float | None = None,
    ) -> Self:
        """Paused, with its ports open. Raises LocalError if it does not come up."""
        webhook_secret = f"whsec_{base64.b64encode(os.urandom(24)).decode()}"
        process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [
                *_command("serve", "--paused", "--with-parent", "--ledger", ledger),
                *("--agents", str(agents), "--seed", str(seed), "--faults", faults),
                *("--ack-loss", str(ack_loss), "--webhook-secret", webhook_secret),
                *(["--tls"] if tls else []),
                *("--dialect", dialect, "--clients", str(clients)),
                *(["--scopes", scopes] if scopes is not None else []),
                *(["--token-life", str(token_life_s)] if token_life_s is not None else []),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the demo, which still needs its gateway
            env=children_environment(os.environ),  # a peer gets no secrets of ours
        )
        try:
            return cls(process, json.loads(_first_line(process, SystemClock())), webhook_secret)
        except BaseException:
            process.kill()
            process.wait()
            raise

    def status(self) -> dict[str, Any]:
        return self._call("GET", "/status")

    def start_load(self, rate: float | Literal["max"], seconds: float) -> None:
        self._call("POST", "/load", {"rate": rate, "seconds": seconds})

    def stop_load(self) -> None:
        self._call("POST", "/load/stop")

    def inject(self, fault: Mapping[str, Any]) -> None:
        """One fault, now: its kind and what belongs to it."""
        self._call("POST", "/faults", dict(fault))

    def rotate(self, client_secret: str) -> None:
        """Its client (of the wsp dialect) has another secret from now on."""
        self._call("POST", "/rotate", {"client_secret": client_secret})

    def users(self, count: int) -> list[str]:
        """Ids of so many of its agents, or of all if there are fewer."""
        return [str(user) for user in self._call("GET", f"/users?count={count}")["users"]]

    def collections(self, kind: str) -> list[str]:
        """Ids of its queues, groups or divisions; everybody is in one of each kind."""
        return [str(each) for each in self._call("GET", "/collections")[kind]]

    def stop(self) -> None:
        """Its ledger is whole afterwards. Raises LocalError if it ends badly or not at all."""
        self._call("POST", "/shutdown")
        self._control.close()
        try:
            code = self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise LocalError(f"the gateway did not exit within {END_TIMEOUT_S:g} s") from None
        finally:
            self.close()
        if code != 0:
            raise LocalError(f"the gateway exited with code {code}; its ledger is incomplete")

    def close(self) -> None:
        self._control.close()
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _call(self, method: str, path: str, asked: object = None) -> dict[str, Any]:
        try:
            self._control.request(method, path, body=None if asked is None else json.dumps(asked))
            reply = self._control.getresponse()
            answer: dict[str, Any] = json.loads(reply.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._control.close()
            code = self._process.poll()
            how = "" if code is None else f" (it exited with code {code})"
            raise LocalError(f"the gateway does not respond to {path}{how}: {error!r}") from error
        if reply.status != http.HTTPStatus.OK:
            raise LocalError(f"the gateway refused {path}: {reply.status} {answer}")
        return answer


def verify(
    ledger: Path,
    data_dir: Path,
    journal: str,
    result: Path,
    *,
    to_newest: bool = False,
    shown: Path | None = None,
) -> tuple[dict[str, Any], bool]:
    """What the gateway's own program finds, and whether it is content; `to_newest`: only if every
    shard has met the gateway's newest sequence; `shown`: what the page showed of queues at the end.
    Raises LocalError if it could not tell."""
    command = _command("verify", "--ledger", ledger, "--data", data_dir, "--journal", journal)
    if to_newest:
        command.append("--to-newest")
    if shown is not None:
        command += ["--shown", str(shown)]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter
            [*command, "--json", str(result)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=children_environment(os.environ),
            timeout=VERIFY_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LocalError(f"verify did not finish within {VERIFY_TIMEOUT_S:g} s") from None
    try:
        findings: dict[str, Any] = json.loads(result.read_text())
    except (OSError, ValueError):
        said = done.stdout.decode(errors="replace").strip()
        raise LocalError(f"verify failed with exit code {done.returncode}: {said}") from None
    return findings, done.returncode == 0


def _command(*arguments: str | Path) -> list[str]:
    root = str(_ROOT)
    # What we could import it can; the root stands where it stood for us.
    path = [each for each in sys.path if each and Path(each).resolve() != Path.cwd().resolve()]
    if root not in path:
        path.insert(0, root)
    return [sys.executable, "-P", "-c", _BOOT, str(len(path)), *path, *map(str, arguments)]


def _first_line(process: subprocess.Popen[bytes], clock: Clock) -> bytes:
    """The line that says it is ready; it is flushed whole, so no reading ahead is needed."""
    assert process.stdout is not None
    fd = process.stdout.fileno()
    deadline_s = clock.now_s() + READY_TIMEOUT_S
    line, told = b"", select.poll()  # select() knows no descriptor beyond 1,023
    told.register(fd, select.POLLIN)
    while not line.endswith(b"\n"):
        left_s = deadline_s - clock.now_s()
        if left_s <= 0 or not told.poll(left_s * 1_000):
            raise LocalError(f"the gateway was not ready within {READY_TIMEOUT_S:g} s")
        if not (piece := os.read(fd, 65_536)):
            raise LocalError(f"the gateway exited with code {process.wait()} during startup")
        line += piece
    return line

"""Newcomer: somebody who types `presence-runtime` in an empty folder, and what comes back."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from actors.demo.gateway import BundledGateway
from actors.storage.data_dir import LOCK, DataDir, GatewayIdentity
from runtime.errors import EXIT_CONFIGURATION
from tests.actors.shard.lending import event
from tests.actors.shard.rig import Rig

PROGRAM = Path(sys.executable).with_name("presence-runtime")
TIMEOUT_S = 60
WITHOUT_ALL_RIGHTS = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")
HINT = "presence-runtime demo"
CLIENT = {"PRESENCE_CLIENT_ID": "client-7", "PRESENCE_CLIENT_SECRET": "s3cret"}


def given_to(gateway: BundledGateway, **more: str) -> dict[str, str]:
    """The settings of somebody who was given an OAuth client there."""
    return {
        "PRESENCE_CLIENT_ID": gateway.client_id,
        "PRESENCE_CLIENT_SECRET": gateway.client_secret,
        "PRESENCE_BASE_URL": gateway.base_url,
        **more,
    }


class Said(NamedTuple):
    """One call, and all that a person saw of it."""

    exit_code: int
    out: str
    err: str

    def refuses(self, *parts: str, code: int = EXIT_CONFIGURATION) -> None:
        """With what, where and what to do; and with no word of Python's."""
        assert self.exit_code == code, self
        said = " ".join(self.err.translate({ord(each): " " for each in "│╭╮╰╯─"}).split())
        assert [part for part in parts if part not in said] == [], self.err
        assert "Traceback" not in self.err
        assert (HINT in said) == (HINT in parts), "the demo is for those who have set nothing"


class Newcomer:
    """Without any setting but what a test gives."""

    def __init__(self, folder: Path, *before: str) -> None:
        self.folder = folder
        self._before = before  # the program
        self.data_dir = folder / "presence-data"

    def without_all_rights(self) -> Newcomer:
        """One who may not read and write everything, also where root runs the tests."""
        return Newcomer(self.folder, *(WITHOUT_ALL_RIGHTS if os.geteuid() == 0 else ()))

    def types(self, *arguments: str, **variables: str) -> Said:
        done = subprocess.run(
            [*self._before, str(PROGRAM), *arguments],
            cwd=self.folder,
            env=self._environment(variables),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def running(self, *arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            [str(PROGRAM), *arguments],
            cwd=self.folder,
            env=self._environment(variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=TIMEOUT_S)

    def writes(self, name: str, content: str | bytes, mode: int = 0o600) -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        return path

    def has_run(self, *users: str, **identity: Any) -> Path:
        """A data directory as a runtime leaves it that knew these agents."""
        given = {"dialect": "wsp", "gateway": "https://api.mypurecloud.com", **identity}
        claimed = DataDir.claim(self.data_dir, GatewayIdentity(**given), shards=1)
        claimed.record_store(True)
        claimed.lock.release()
        (self.data_dir / LOCK).write_text("")
        rig = Rig(self.data_dir / "shard-00.db")
        rig.begin()
        stamps = range(1, 1 + len(users))
        rig.feed(
            *(
                event(1_000 + at, user, "Available", f"2026-11-21T22:00:0{at}.000Z")
                for at, user in zip(stamps, users, strict=True)
            )
        )
        rig.journal.close()
        return self.data_dir

    def _environment(self, variables: dict[str, str]) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.upper().startswith(("PRESENCE_", "GENESYSCLOUD_"))
            and "PROXY" not in name.upper()
        }
        return {**kept, "COLUMNS": "300", **variables}

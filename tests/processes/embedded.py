"""The runtime under a supervisor of ours, so that its pages can be read while it runs."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from actors.app.topology import Runtime
from actors.demo.gateway import BundledGateway, verify
from actors.settings.model import Settings
from actors.settings.web import WebSettings
from runtime.log import LogArguments
from runtime.supervisor import Supervisor
from tests.processes.facts import drive, drive_to_end, pid_of

PATIENCE_S = 60.0


class Embedded:
    """Children are real; only the supervisor is this process."""

    def __init__(
        self,
        gateway: BundledGateway,
        folder: Path,
        data_dir: Path,
        *,
        beat_timeout_s: float | None = None,
        shard_entry: str | None = None,
    ) -> None:
        self.gateway = gateway
        self._ledger = folder / "ledger"
        self._log = folder / "log"
        log = LogArguments(format="json", level="info", path=str(self._log))
        settings = Settings(
            base_url=gateway.base_url,
            client_id=gateway.client_id,
            client_secret=SecretStr(gateway.client_secret),
            data_dir=data_dir,
            web=WebSettings(listen="127.0.0.1:0"),
        )
        self.runtime = Runtime.assemble(settings, log)
        specs = self.runtime.specs
        if beat_timeout_s is not None:
            specs = tuple(replace(spec, beat_timeout_s=beat_timeout_s) for spec in specs)
        if shard_entry is not None:
            specs = tuple(
                replace(spec, entry=shard_entry) if spec.role == "shard" else spec for spec in specs
            )
        self.supervisor = Supervisor(specs, environment=self.runtime.environment)
        self.supervisor.start()

    def until(self, fact: Callable[[], object]) -> None:
        drive(self.supervisor, fact, PATIENCE_S)

    def has_caught_up(self) -> bool:
        newest = self.gateway.status()["newest_sequence"]
        return all(
            page.get("mark_sequence") >= newest and page.get("stale_since_us") == 0
            for page in self.runtime.shards
        )

    def load_is_done(self) -> bool:
        return bool(self.gateway.status()["load"] == "done")

    def pid(self, name: str) -> int:
        return pid_of(self.supervisor, name)

    def kill(self, name: str) -> None:
        os.kill(self.pid(name), signal.SIGKILL)

    def lines(self, event: str) -> list[dict[str, Any]]:
        lines = map(json.loads, self._log.read_text().splitlines())
        return [line for line in lines if line["event"] == event]

    def drain_and_verify(self) -> None:
        findings, is_content = self.drain_and_judge()
        assert is_content, findings

    def drain_and_judge(self) -> tuple[dict[str, Any], bool]:
        self.supervisor.request_stop("test")
        assert drive_to_end(self.supervisor) == 0
        self.gateway.stop()
        data_dir = self.runtime.data_dir.path
        return verify(self._ledger, data_dir, "full", self._ledger.with_name("findings"))

    def close(self) -> None:
        self.supervisor.close()
        self.runtime.data_dir.lock.release()
        self.gateway.close()

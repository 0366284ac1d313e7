"""ToyRuntime: a runtime of toys as a process of its own, as whoever signals it sees it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.processes.facts import PATIENCE_S, diary_lines, eventually, is_dead

ROOT = Path(__file__).parents[2]
CHILDREN = 3


class ToyRuntime:
    def __init__(
        self,
        diary: Path,
        *,
        environment: Mapping[str, str] | None = None,
        terminal: int | None = None,
        **options: Any,
    ) -> None:
        """`terminal`: the descriptor of one that is to control it."""
        self.diary = diary
        self.stderr = diary.with_suffix(".stderr")
        self._log = diary.with_suffix(".log")
        toys = ("-m", "tests.processes.toy_runtime", str(diary), json.dumps(options))
        command = [sys.executable, *toys]
        with self._log.open("wb") as log, self.stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                command if terminal is None else ["setsid", "--ctty", *command],
                cwd=ROOT,
                stdin=terminal,
                stdout=log,
                stderr=stderr,
                env={**os.environ, **(environment or {})},
                # Its own process group, as a job of a shell has.
                start_new_session=terminal is None,
            )

    def await_play(self) -> None:
        """Until every child of it plays: all have their handlers, and the log is complete."""
        eventually(lambda: sum(" plays " in line for line in diary_lines(self.diary)) == CHILDREN)

    def log(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self._log.read_text().splitlines()]
        return [line for line in lines if line["event"] == event]

    def pids(self) -> dict[str, int]:
        return {line["child"]: line["pid"] for line in self.log("child.started")}

    def told_and_drained(self) -> list[str]:
        words = [line.split() for line in diary_lines(self.diary)]
        return [" ".join(line[:2]) for line in words if line[1] in ("told", "drained")]

    def reloads(self) -> list[str]:
        """Who has read its files again, in order."""
        lines = [line.split() for line in diary_lines(self.diary)]
        return [words[0] for words in lines if words[1] == "reloads"]

    def wait(self) -> int:
        return self.process.wait(PATIENCE_S)

    def end(self) -> None:
        for pid in [self.process.pid, *self.pids().values()]:
            if not is_dead(pid):
                os.kill(pid, signal.SIGKILL)
        self.wait()

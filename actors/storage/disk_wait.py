"""DiskWait: repeats what a disk refuses for as long as it takes, visibly and beating.

Knows no table. A full, locked or failing disk ends nobody: input waits, and all goes on later.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from actors.storage.sqlite import TRANSIENT_ERRORS
from runtime.child import Child
from runtime.counters import RUNNING, WAITING
from runtime.errors import TemporaryError

RETRY_FIRST_S: Final = 0.1
RETRY_MAX_S: Final = 5.0

Done = TypeVar("Done")


class DiskWait:
    """For one file of one child, whose page has the word `commit_failures`."""

    def __init__(self, child: Child, log: Any, path: Path) -> None:
        self._child = child
        self._log = log
        self._path = path
        self._pause = threading.Event()  # never set: it waits without a GIL

    def until_done(self, work: Callable[[], Done]) -> Done:
        """What `work` returns once it is through. Whatever else it raises ends the wait.

        Only a running child shows that it waits: one that starts is not ready before it is through,
        and one that drains is not running any more."""
        is_running = self._child.counters.get("phase") == RUNNING
        delay_s, waited_s = RETRY_FIRST_S, 0.0
        while True:
            try:
                done = work()
                break
            except (TemporaryError, *TRANSIENT_ERRORS) as error:
                if not waited_s:
                    self._log.error("journal.waiting", path=str(self._path), cause=str(error))
                    if is_running:
                        self._child.set_phase(WAITING)
                self._child.counters.add("commit_failures")
                self._child.beat()
                self._pause.wait(delay_s)
                self._child.beat()
                waited_s += delay_s
                delay_s = min(2 * delay_s, RETRY_MAX_S)
        if waited_s:
            self._log.info("journal.recovered", path=str(self._path), waited_s=round(waited_s, 1))
            if self._child.counters.get("phase") == WAITING:  # and not told to drain meanwhile
                self._child.set_phase(RUNNING)
        return done

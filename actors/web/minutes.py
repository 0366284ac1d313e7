"""Minutes: the counts of the last hour, kept in a file so that a successor's page shows them too.

A picture and no truth: a file that cannot be read is no history, and one that cannot be written is
as old as it is.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import orjson

from actors.storage.new_file import create
from actors.web.encoding import encode
from actors.web.read_model import HISTORY_MINUTES, MINUTE_US, Minute, ReadModel

FILE: Final = "web.history"
MODE: Final = 0o600


class Minutes:
    """Of one model, on its loop."""

    def __init__(self, data_dir: Path, model: ReadModel) -> None:
        self._path = data_dir / FILE
        self._model = model
        self._kept_us = 0
        """The newest minute of which the file knows."""

    def restore(self, now_us: int) -> None:
        """Once, before the model keeps its first minute."""
        try:
            told = [_minute(*each) for each in orjson.loads(self._path.read_bytes())]
        except (OSError, TypeError, ValueError):
            return
        oldest_us = now_us - HISTORY_MINUTES * MINUTE_US
        self._model.history.extend(each for each in told if oldest_us <= each.at_us <= now_us)

    def keep(self, *_told: object) -> None:
        """Once a tick: beside the loop, if there is another minute."""
        history = self._model.history
        if history and history[-1].at_us != self._kept_us:
            self._kept_us = history[-1].at_us
            asyncio.get_running_loop().run_in_executor(None, self._write, encode(list(history)))

    def _write(self, content: bytes) -> None:
        new = self._path.with_name(f"{FILE}.new")
        with suppress(OSError):  # a full disk is told by those who need it
            with os.fdopen(create(new, MODE), "wb") as file:
                file.write(content)
            new.replace(self._path)


def _minute(at_us: Any, by_state: Any) -> Minute:
    """Raises TypeError."""
    if type(at_us) is not int or type(by_state) is not dict:
        raise TypeError
    if not all(type(count) is int for count in by_state.values()):
        raise TypeError
    return Minute(at_us, by_state)

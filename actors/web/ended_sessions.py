"""EndedSessions: the numbers of sessions that were signed out before their time. Knows no cookie.

A cookie is good by itself, so that a session survives a restart of the page; that one was signed
out has to be remembered for as long as its cookie would be good. `web.ended` in the data directory
has a line for each: until when, and the number.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import structlog

FILE: Final = "web.ended"
NUMBER_BYTES: Final = 8
KEPT_MAX: Final = 10_000
_FILE_BYTES_MAX: Final = 1 << 20
_OPENED: Final = os.O_CLOEXEC | os.O_NOFOLLOW


class EndedSessions:
    """Of one data directory; without a path they are forgotten with the process.

    Where more are signed out than are remembered, all sessions that end no later than the forgotten
    ones count as signed out: somebody has to sign in again, and nobody comes back.
    """

    def __init__(self, path: Path | None = None, *, now_s: float = 0.0) -> None:
        self._path = path
        self._until_s: dict[str, int] = {}
        self._all_until_s = 0
        if path is not None:
            self._read(path, now_s)

    def has(self, number: str, until_s: int) -> bool:
        return until_s <= self._all_until_s or number in self._until_s

    def end(self, number: str, until_s: int, now_s: float) -> None:
        if self.has(number, until_s):
            return
        self._until_s[number] = until_s
        if len(self._until_s) <= KEPT_MAX:
            self._append(f"{until_s} {number}\n")
            return
        self._forget(now_s)
        self._rewrite()

    def __len__(self) -> int:
        return len(self._until_s)

    def _forget(self, now_s: float) -> None:
        """What would be over by now; if that is not enough, the half that is over first."""
        self._until_s = {each: until for each, until in self._until_s.items() if until > now_s}
        if len(self._until_s) > KEPT_MAX // 2:
            by_end = sorted(self._until_s.items(), key=lambda pair: pair[1])
            self._all_until_s = max(self._all_until_s, by_end[len(by_end) // 2][1])
            self._until_s = {each: until for each, until in by_end if until > self._all_until_s}

    # -- the file ----------------------------------------------------------------------------------

    def _read(self, path: Path, now_s: float) -> None:
        try:
            fd = os.open(path, os.O_RDONLY | _OPENED)
        except FileNotFoundError:
            return
        except OSError as error:
            self._trouble(error)
            return
        with os.fdopen(fd, "rb") as file:
            text = file.read(_FILE_BYTES_MAX).decode("ascii", "replace")
        for line in text.splitlines():
            until, _, number = line.partition(" ")
            if until.isdecimal() and len(until) <= 12:
                if number == "*":
                    self._all_until_s = max(self._all_until_s, int(until))
                elif number and int(until) > now_s:
                    self._until_s[number] = int(until)
        self._rewrite()

    def _append(self, line: str) -> None:
        self._write(line, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def _rewrite(self) -> None:
        """Without those that are over. Written beside it first: half of it would let people in."""
        lines = [f"{self._all_until_s} *\n"] if self._all_until_s else []
        lines += [f"{until} {number}\n" for number, until in self._until_s.items()]
        if self._path is None:
            return
        new = self._path.with_suffix(".ended-new")
        try:
            new.unlink(missing_ok=True)
            fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPENED, 0o600)
            with os.fdopen(fd, "w") as file:
                file.writelines(lines)
                file.flush()
                os.fsync(fd)
            new.replace(self._path)
        except OSError as error:
            self._trouble(error)

    def _write(self, text: str, flags: int) -> None:
        if self._path is None:
            return
        try:
            fd = os.open(self._path, flags | _OPENED, 0o600)
            with os.fdopen(fd, "a") as file:
                file.write(text)
        except OSError as error:
            self._trouble(error)

    def _trouble(self, error: OSError) -> None:
        structlog.get_logger("actors.web").warning(
            "web.sign_out_not_saved",
            cause=error.strerror,
            what="a session that was signed out is good again after a restart of the web process",
        )

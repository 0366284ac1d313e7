"""Owns how a file of ours is made where somebody may have been first: new, and through no link.

Knows no content. In a directory that others may write, whoever knows a name can put a link or a
file of their own there before us; then we would write into what they chose, or what they can read.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from runtime.errors import ConfigurationError

PRIVATE: Final = 0o600
_TRIES: Final = 3
_MADE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def create(path: Path, mode: int = PRIVATE) -> int:
    """A descriptor of a new and empty file under a name that is ours to take: what stands there is
    removed, a link but not what it leads to. Raises OSError."""
    for attempt in range(_TRIES):
        try:
            fd = os.open(path, _MADE, mode)
        except FileExistsError:
            if attempt == _TRIES - 1:
                raise
            path.unlink(missing_ok=True)
        else:
            os.fchmod(fd, mode)
            return fd
    raise AssertionError("the last try returns or raises")


def replace(path: Path, content: bytes, mode: int = PRIVATE) -> None:
    """Writes a file whole or not at all, also when the power fails. Raises OSError."""
    new = path.with_name(f"{path.name}.new")
    with os.fdopen(create(new, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def refuse_link(path: Path) -> None:
    """Raises ConfigurationError for a symbolic link where a file of ours belongs. A directory above
    it may be one."""
    try:
        is_link = stat.S_ISLNK(path.lstat().st_mode)
    except OSError:
        return
    if is_link:
        raise ConfigurationError(
            f"{path} is a symbolic link, which this program never makes there; remove it, or move "
            "the file that it leads to into its place"
        )

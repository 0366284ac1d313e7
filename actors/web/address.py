"""Address: where the runtime of a data directory is spoken to, a Unix socket in that directory.

Knows no HTTP. `bind` is for the web child, `connect_path` for whoever wants to talk to it. The name
of a Unix socket has at most 107 bytes, a data directory's path may have more: so both ends name it
through a descriptor of the directory, `/proc/self/fd/<number>/web.sock`.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SOCKET: Final = "web.sock"
BACKLOG: Final = 2048
"""A connect beyond it is refused at once (EAGAIN), not delayed."""


@contextmanager
def connect_path(data_dir: Path) -> Iterator[str]:
    """A path short enough to connect to; OSError if there is no such directory."""
    directory = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{SOCKET}"
    finally:
        os.close(directory)


def bind(data_dir: Path) -> socket.socket:
    """A socket that only the owner may connect to. One that a killed predecessor left is removed:
    whoever may start a web child has the claim on the directory."""
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        os.fchmod(bound.fileno(), 0o600)  # before it has a name: nobody comes in between
        with connect_path(data_dir) as path:
            Path(path).unlink(missing_ok=True)
            bound.bind(path)
    except BaseException:
        bound.close()
        raise
    return bound


def identity(data_dir: Path) -> tuple[int, int] | None:
    """Device and inode of what bears the name; None: nothing does."""
    try:
        with connect_path(data_dir) as path:
            found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def hold(data_dir: Path) -> int:
    """A descriptor of what bears the name: until it is closed, nothing else has its inode."""
    with connect_path(data_dir) as path:
        return os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)


def remove(data_dir: Path) -> None:
    """So that whoever asks next hears at once that nobody is there."""
    with connect_path(data_dir) as path:
        Path(path).unlink(missing_ok=True)

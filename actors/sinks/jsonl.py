"""JsonLines: a sink that appends a line per event to a file, or writes it to standard output.

A batch is delivered when it is on the disk (fsync), so that a crash can repeat lines, but never
lose one. What a killed predecessor left behind the last whole line is cut off before anything is
added. A file that has reached its size becomes FILE.1, FILE.1 becomes FILE.2, and so on; the oldest
of those that are kept is overwritten. Whoever moves the file away meanwhile is respected: the next
batch begins a new one.
"""

from __future__ import annotations

import errno
import os
import select
import stat
from pathlib import Path
from typing import Final

from actors.sinks.sink import InThread, SinkBatch, UndeliveredError

MB: Final = 1_000_000
STDOUT_FD: Final = 1
_TAIL_BYTES: Final = 65_536
_MODE: Final = 0o600  # ids of people


class JsonLines:
    """For a regular file."""

    def __init__(self, path: Path, *, rotate_bytes: int, keep: int, in_thread: InThread) -> None:
        """`rotate_bytes` 0: never."""
        self._path = path
        self._rotate_bytes = rotate_bytes
        self._keep = keep
        self._in_thread = in_thread
        self._fd = -1
        self._size = 0

    async def open(self) -> None:
        await self._in_thread(self._open)

    async def deliver(self, batch: SinkBatch) -> None:
        await self._in_thread(lambda: self._append(lines(batch)))

    async def close(self) -> None:
        await self._in_thread(self._close)

    def _open(self) -> None:
        self._close()
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
            self._fd = os.open(self._path, flags | os.O_NOFOLLOW, _MODE)
            status = os.fstat(self._fd)
            if status.st_uid not in (os.geteuid(), 0):  # who could read what follows
                raise UndeliveredError(f"{self._path} belongs to another user", is_refused=True)
            if not stat.S_ISREG(status.st_mode):
                raise UndeliveredError(f"{self._path} is not a regular file", is_refused=True)
            self._size = _whole_lines(self._fd, status.st_size)
            if self._size != status.st_size:
                os.ftruncate(self._fd, self._size)
            _sync_folder(self._path)
        except OSError as error:
            if error.errno == errno.ELOOP:
                why = f"{self._path} is a symbolic link; set path to the file it leads to"
                raise UndeliveredError(why, is_refused=True) from None
            raise UndeliveredError(f"{self._path}: {error.strerror}") from None

    def _append(self, data: bytes) -> None:
        try:
            if self._was_moved():
                self._open()
            if self._rotate_bytes and self._size and self._size + len(data) > self._rotate_bytes:
                self._rotate()
            try:
                _write(self._fd, data)
                os.fsync(self._fd)
            except OSError:
                os.ftruncate(self._fd, self._size)  # else each try on a full disk adds a part
                raise
            self._size += len(data)
        except OSError as error:
            raise UndeliveredError(f"{self._path}: {error.strerror}") from None

    def _was_moved(self) -> bool:
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return True
        here = os.fstat(self._fd)
        self._size = here.st_size  # somebody may have emptied it
        return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)

    def _rotate(self) -> None:
        """After a crash between two of these steps a number is free: it is used first."""
        free = next(
            (number for number in range(1, self._keep) if not self._numbered(number).exists()),
            self._keep,
        )
        for number in range(free, 1, -1):
            self._numbered(number - 1).replace(self._numbered(number))
        self._path.replace(self._numbered(1))
        self._open()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class StandardOutput:
    """For whoever reads the runtime's standard output. A batch is delivered when the pipe has taken
    it: what its reader does with it, nobody knows."""

    def __init__(self, in_thread: InThread, fd: int = STDOUT_FD) -> None:
        self._in_thread = in_thread
        self._fd = fd
        self._is_torn = False

    async def open(self) -> None:
        return

    async def deliver(self, batch: SinkBatch) -> None:
        await self._in_thread(lambda: self._write(lines(batch)))

    async def close(self) -> None:
        return

    def _write(self, data: bytes) -> None:
        if self._is_torn:  # what was written of a line cannot be taken back
            data = b"\n" + data
        self._is_torn = True
        try:
            _write(self._fd, data)
        except OSError as error:
            raise UndeliveredError(f"standard output: {error.strerror}") from None
        self._is_torn = False


def lines(batch: SinkBatch) -> bytes:
    return b"".join(event.body + b"\n" for event in batch.events)


def _write(fd: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(fd, left) :]
        except BlockingIOError:  # somebody made the pipe so
            room = select.poll()
            room.register(fd, select.POLLOUT)
            room.poll()


def _whole_lines(fd: int, size: int) -> int:
    """How long the file is up to the end of its last whole line."""
    end = size
    while end > 0:
        begin = max(0, end - _TAIL_BYTES)
        newline = os.pread(fd, end - begin, begin).rfind(b"\n")
        if newline >= 0:
            return begin + newline + 1
        end = begin
    return 0


def _sync_folder(path: Path) -> None:
    """A file that is new is there after a power failure, too."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

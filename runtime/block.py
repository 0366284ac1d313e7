"""Block: shared memory of a fixed size that leaves nothing behind; knows nothing of its layout.

A block is a memfd mapped into this process. It has no name in any file system, so when the last
process that holds it is gone, killed or not, the kernel frees it: nothing to unlink, no resource
tracker. (Python's `SharedMemory` has both, and on 3.11 the tracker of a dying child unlinks what
its siblings still use.)

A child inherits the descriptor under the same number (`subprocess`' `pass_fds`), so a block
pickles as (name, size, number). The size is sealed: no process can shrink it under the mapping of
another.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Callable

from runtime.errors import LocalError

SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


class Block:
    """Zeroed at birth. Who may write which word of `buffer` is said by the layout's owner."""

    __slots__ = ("_closes_fd", "_fd", "_map", "buffer", "name", "size")

    def __init__(self, name: str, size: int, fd: int, *, closes_fd: bool) -> None:
        self.name = name
        self.size = size
        self._fd = fd
        self._closes_fd = closes_fd
        self._map = mmap.mmap(fd, size)
        self.buffer = memoryview(self._map)

    @classmethod
    def create(cls, name: str, size: int) -> Block:
        assert size > 0, f"block {name!r}: size {size}"
        fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(fd, size)
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
            return cls(name, size, fd, closes_fd=True)
        except BaseException:
            os.close(fd)
            raise

    @property
    def mapping(self) -> mmap.mmap:
        """For code in C, which takes its buffer from here: a memoryview in between would be
        cleared by the collector while that buffer is still in use."""
        return self._map

    @property
    def fds(self) -> tuple[int, ...]:
        """What a child must inherit to attach to this block."""
        return (self._fd,)

    def close(self) -> None:
        """Unmap. Raises BufferError while a ring end or another view of the buffer is in use."""
        if self._map.closed:
            return
        self.buffer.release()
        self._map.close()
        if self._closes_fd:
            os.close(self._fd)

    def __del__(self) -> None:
        # The mapping goes with its last view; only the bare number would stay open.
        if self._closes_fd and not self._map.closed:
            os.close(self._fd)

    def __reduce__(self) -> tuple[Callable[[str, int, int], Block], tuple[str, int, int]]:
        return _attach, (self.name, self.size, self._fd)

    def __repr__(self) -> str:
        return f"Block({self.name!r}, {self.size} bytes, fd {self._fd})"


def _attach(name: str, size: int, fd: int) -> Block:
    """The same block in the child that inherited the descriptor.

    The inherited number is the process's, not this object's: it stays open until the process ends,
    so that several attachments may share it.
    """
    try:
        found = os.fstat(fd).st_size
    except OSError as error:
        raise LocalError(f"block {name!r}: descriptor {fd} was not inherited: {error}") from error
    if found != size:
        raise LocalError(f"block {name!r}: descriptor {fd} has {found} bytes instead of {size}")
    os.set_inheritable(fd, False)  # what this child starts itself has no business here
    return Block(name, size, fd, closes_fd=False)

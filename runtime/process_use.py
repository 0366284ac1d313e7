"""What the kernel says of a process: its memory and its CPU time. Owns the formats of /proc."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """Shared memory included. OSError: there is no such process."""
    with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123 - half the time of Path's
        return int(_field(file.read().split(), 1)) * PAGE_BYTES


def cpu_s(pid: int) -> float:
    """Used so far. OSError: there is no such process."""
    # The name in parentheses may hold spaces and parentheses itself.
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return (int(_field(fields, 11)) + int(_field(fields, 12))) / _TICKS_PER_S


def _field(fields: list[bytes], index: int) -> bytes:
    """Of a process that is just ending, nothing may be left to read."""
    if len(fields) <= index:
        raise ProcessLookupError("the process has just exited")
    return fields[index]

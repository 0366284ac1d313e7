"""PortHolder: which process listens on a TCP port of this machine, as far as /proc shows it.

Knows no socket of ours. Of processes of other users /proc shows nothing, unless one is root.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

LISTENS: Final = "0A"  # TCP_LISTEN, as the kernel writes it
_PROC: Final = Path("/proc")


def holder(port: int) -> str:
    """`process 123 (nginx)`; "" if nobody is seen."""
    inodes = set(_listening(port))
    if not inodes:
        return ""
    for process in _PROC.iterdir():
        if process.name.isdigit() and not inodes.isdisjoint(_sockets(process)):
            return f"process {process.name} ({_name(process)})"
    return ""


def _listening(port: int) -> Iterator[str]:
    """The inodes of sockets that listen there, at any address."""
    for table in ("tcp", "tcp6"):
        try:
            lines = (_PROC / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for words in map(str.split, lines):
            if words[3] == LISTENS and int(words[1].rpartition(":")[2], 16) == port:
                yield words[9]


def _sockets(process: Path) -> Iterator[str]:
    try:
        descriptors = list((process / "fd").iterdir())
    except OSError:  # somebody else's, or it has just ended
        return
    for descriptor in descriptors:
        try:
            name = str(descriptor.readlink())
        except OSError:  # closed meanwhile
            continue
        if name.startswith("socket:["):
            yield name.removeprefix("socket:[").removesuffix("]")


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text(errors="replace").strip()
    except OSError:
        return "ended"

"""SoakSamples: what each process of a run held over time, and whether it grows. Starts nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from actors.demo.memory import fifths
from runtime.process_use import resident_bytes

SAMPLE_S: Final = 1.0
LATE_S: Final = 5.0
"""A process that is first seen so long after the kills was not there all the time."""
JUDGED_S: Final = 120.0
"""A last third that is shorter says nothing of a leak."""
SLACK: Final = {"memory": 5.0, "descriptors": 10.0, "threads": 4.0}
"""MB, descriptors and threads that may come without being a leak: the newest 4,096 ended commands
that a sender keeps in mind fill up for half an hour, clients and threads of a pool come and go."""

Points: TypeAlias = list[tuple[float, float]]
"""Seconds since the load began, and a value."""


@dataclass(slots=True)
class Samples:
    """By the name of a process."""

    memory_mb: dict[str, Points] = field(default_factory=dict)
    descriptors: dict[str, Points] = field(default_factory=dict)
    threads: dict[str, Points] = field(default_factory=dict)
    files_mb: Points = field(default_factory=list)
    """Journals and the sender's file, with their logs; all together."""

    def look(self, at_s: float, parent: int, data_dir: Path) -> None:
        for name, pid in processes(parent):
            try:
                resident = resident_bytes(pid)
                descriptors = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - counted only
                threads = len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208
            except OSError:  # it has just ended
                continue
            self.memory_mb.setdefault(name, []).append((at_s, round(resident / 1e6, 2)))
            self.descriptors.setdefault(name, []).append((at_s, descriptors))
            self.threads.setdefault(name, []).append((at_s, threads))
        self.files_mb.append((at_s, round(sum(sizes(data_dir)) / 1e6, 2)))

    def growths(self, since_s: float) -> dict[str, float]:
        """In percent from then on, of whatever can be judged."""
        series = {
            "memory": self.memory_mb,
            "descriptors": self.descriptors,
            "threads": self.threads,
        }
        return {
            f"{what} of {process}": grown
            for what, of_all in series.items()
            for process, points in of_all.items()
            if (grown := growth_percent(points, since_s, SLACK[what])) is not None
        }


def sizes(folder: Path) -> Iterator[int]:
    for path in folder.glob("*.db*"):
        try:
            yield path.stat().st_size
        except OSError:  # a log that has just been let go
            continue


def processes(parent: int) -> Iterator[tuple[str, int]]:
    """The supervisor and its children, by the names in their titles."""
    yield "supervisor", parent
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            after = path.read_text().rpartition(")")[2].split()
            title = (path.parent / "cmdline").read_bytes().rstrip(b"\0").decode(errors="replace")
        except OSError:
            continue
        if int(after[1]) == parent and title.startswith("presence-runtime: "):
            yield title.removeprefix("presence-runtime: ").split()[0], int(path.parent.name)


def growth_percent(
    points: Sequence[tuple[float, float]], since_s: float, slack: float = 0.0
) -> float | None:
    """By how much the last fifth of the time from then on lies above its first, and more than
    `slack` above it; by medians. None: too short, or it was not there all the time."""
    late = [(at_s, value) for at_s, value in points if at_s >= since_s]
    if not late or late[-1][0] - since_s < JUDGED_S or late[0][0] > since_s + LATE_S:
        return None
    first, last = fifths(late, since_s)
    return 100 * (min(last, max(first, last - slack)) / first - 1)

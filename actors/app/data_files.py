"""Data files: which kinds of file a data directory holds, and what is done with each.

One row a kind: what a start prepares, `repair` examines, `backup` copies and `forget` goes through.
A new kind of file is named here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from actors.messages.mention import Mention
from actors.planner import forgetting as planner_forgetting
from actors.planner.store import ROSTER_FILE, roster_path
from actors.receiver import forgetting as receiver_forgetting
from actors.receiver.channel_store import CHANNELS_FILE
from actors.sender import forgetting as sender_forgetting
from actors.sender import repair as sender_repair
from actors.sender.store import SENDER_FILE
from actors.shard import forgetting as journal_forgetting
from actors.shard import repair as journal_repair
from actors.shard.journal import JOURNAL_FILE
from actors.shard.reader import archived_paths
from actors.sinks.store import SINKS_FILE, sinks_path
from actors.storage.committed_rows import CommittedRows
from actors.storage.data_dir import DataDir, sender_path
from actors.storage.data_file import DataFile
from actors.storage.sqlite import FileFinding

Counts = dict[str, int]
"""What was forgotten, by what it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFiles:
    """All files of one kind in a data directory."""

    file: DataFile
    find: Callable[[Path], Sequence[Path]]
    """Those that are there."""
    forget: Callable[[Path, str, Mention], Counts] | None = None
    """Takes a person out of one; None: nobody is named in them."""
    traces: Callable[[Path, str], Sequence[str]] | None = None
    """What else a person whom one names may be found by, in whatever file: name, address."""
    repair: Callable[[DataDir, int], list[FileFinding]] | None = None
    """Where setting a damaged one aside is not all there is to do."""
    leftovers: tuple[str, ...] = ()
    """Where else `forget` looks for such files: what an interrupted start has left."""
    is_backed_up: bool = True

    def found(self, path: Path) -> list[Path]:
        """Of a directory, with what was left over."""
        left = (each for pattern in self.leftovers for each in sorted(path.glob(pattern)))
        return [*self.find(path), *left]

    def repaired(self, data_dir: DataDir, now_us: int) -> list[FileFinding]:
        """What became of each; the damaged ones are set aside."""
        if self.repair is not None:
            return self.repair(data_dir, now_us)
        findings = (self.file.repair(each, now_us) for each in self.find(data_dir.path))
        return [each for each in findings if each is not None]


def channels_path(path: Path, receiver: int) -> Path:
    """The channels that a receiver has made."""
    return path / f"channels-{receiver}.db"


def channel_files(path: Path) -> list[Path]:
    """Of all receivers that have ever been."""
    found = {int(each.stem.rpartition("-")[2]): each for each in path.glob("channels-[0-9]*.db")}
    return [found[index] for index in sorted(found)]


def _only(place: Callable[[Path], Path]) -> Callable[[Path], list[Path]]:
    return lambda path: [place(path)] if place(path).exists() else []


def _journals(path: Path) -> list[Path]:
    return [*sorted(path.glob("shard-[0-9][0-9].db")), *archived_paths(path)]


# -- forget ----------------------------------------------------------------------------------------


def _in_journal(path: Path, user_id: str, mentioned: Mention) -> Counts:
    told = journal_forgetting.forget(path, user_id, mentioned)
    return {
        "agents": told.agents,
        "transitions, now of nobody": told.transitions,
        "frames in quarantine": told.quarantined,
    }


def _in_store(path: Path, user_id: str, _mentioned: Mention) -> Counts:
    told = sender_forgetting.forget(path, user_id)
    return {
        "commands": told.commands - told.unsettled,
        "commands without an end": told.unsettled,
        "webhook messages": told.messages,
        "details of the audit": told.audit_rows,
    }


def _in_roster(path: Path, user_id: str, _mentioned: Mention) -> Counts:
    told = planner_forgetting.forget(path, user_id)
    return {
        "names": told.names,
        "profiles": told.profiles,
        "profiles of whom they were the manager": told.managed,
    }


def _in_channels(path: Path, user_id: str, _mentioned: Mention) -> Counts:
    return {"refused topics": receiver_forgetting.forget(path, user_id)}


# -- repair ----------------------------------------------------------------------------------------


def _repair_store(data_dir: DataDir, now_us: int) -> list[FileFinding]:
    finding = sender_repair.repair(data_dir, now_us)
    return [] if finding is None else [finding]


def repair(data_dir: DataDir, now_us: int) -> list[FileFinding]:
    """Examines every file of a claimed directory, then sets the damaged ones aside.

    Raises TemporaryError for a locked one and ConfigurationError for one of a newer version, both
    before anything is changed."""
    others = [files for files in DATA_FILES if files is not JOURNALS]
    for files in others:
        for path in files.find(data_dir.path):
            files.file.examine(path)
    findings = journal_repair.repair(data_dir, now_us)  # looks at all of its own first
    if any(each.problem for each in findings):
        CommittedRows.forget(data_dir.path)  # what is there now counts
    return findings + [each for files in others for each in files.repaired(data_dir, now_us)]


# -- the table -------------------------------------------------------------------------------------

JOURNALS: Final = DataFiles(
    file=JOURNAL_FILE,
    find=_journals,
    forget=_in_journal,
    leftovers=("redistribution*/shard-[0-9][0-9].db",),
)
SENDER: Final = DataFiles(
    file=SENDER_FILE, find=_only(sender_path), forget=_in_store, repair=_repair_store
)
ROSTER: Final = DataFiles(
    file=ROSTER_FILE,
    find=_only(roster_path),
    forget=_in_roster,
    traces=planner_forgetting.traces,
)
CHANNELS: Final = DataFiles(
    file=CHANNELS_FILE, find=channel_files, forget=_in_channels, is_backed_up=False
)
SINKS: Final = DataFiles(file=SINKS_FILE, find=_only(sinks_path))

DATA_FILES: Final = (SINKS, JOURNALS, SENDER, ROSTER, CHANNELS)
"""In the order of a backup: no position of a sink is ahead of its journal."""

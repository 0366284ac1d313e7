"""Forget: takes one person out of all files of a data directory, while no runtime runs.

What happened stays, as that of nobody; the audit's chain stays whole. Knows no table. What others
were given (webhooks, sinks, exports, backups, logs) is theirs to forget.
"""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from actors.app.data_files import DATA_FILES, DataFiles
from actors.cli import tables
from actors.storage import sqlite
from actors.storage.data_dir import DataDir, GatewayIdentity, holder, read_meta
from runtime.errors import EXIT_CLEAN, EXIT_FAILURE, TemporaryError

SEARCHED_LENGTH_MIN: Final = 6
"""A shorter id is found in any file by chance."""
TELLING_LENGTH: Final = 16
"""An id of such a length, a UUID say, is never a part of another one."""
LEFTOVERS: Final = "leftovers in free pages"
"""Of rows that were deleted earlier, or by a call that was interrupted."""
_WORD: Final = rb"(?<![0-9A-Za-z_-])(?:%s)(?![0-9A-Za-z_-])"
_TRACE: Final = rb"(?<![0-9A-Za-z_.+-])(?:%s)(?!\.?[0-9A-Za-z_-])"
"""An address may end with another one, and a sentence with an address."""
COLUMNS: Final = ("file", "what", "forgotten")
ELSEWHERE: Final = (
    "Not removed: backups, exports, logs, and data already delivered by webhooks and "
    "sinks. A person whom the gateway still knows reappears with its next history; "
    "remove them there first."
)


class ErasedFinding(NamedTuple):
    """What was taken out of one file, by what it was."""

    path: Path
    counts: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def forget(
    path: Path, user_id: str, *, agreed: Callable[[str], bool], as_json: bool = False
) -> int:
    """0: forgotten; 1: nobody knows them, it was not agreed to, or a file still mentions them."""
    with _claimed(path):
        if not agreed(f"Permanently remove {tables.cell(user_id)} from {path}?"):
            return EXIT_FAILURE
        traces = _traces(path, user_id)
        mentioned = mentions(user_id, *traces)
        findings = [
            _taken_out(path, files, each, user_id, mentioned)
            for files in DATA_FILES
            if files.forget is not None
            for each in files.found(path)
        ]
        left = [each for each in _all_files(path) if _is_left(user_id, traces, each)]
    found = [each for each in findings if each.total]
    _tell(path, found, left, as_json=as_json)
    return EXIT_CLEAN if found and not left else EXIT_FAILURE


@contextmanager
def _claimed(path: Path) -> Iterator[None]:
    meta = read_meta(path)
    identity = GatewayIdentity(
        dialect=meta.dialect, gateway=meta.gateway, organisation=meta.organisation
    )
    try:
        data_dir = DataDir.claim(path, identity, shards=meta.shards, journal=meta.journal)
    except TemporaryError:
        if (pid := holder(path)) is None:
            raise
        raise TemporaryError(
            f"process {pid} is using {path} and would record the person again; stop the runtime "
            "first"
        ) from None
    try:
        yield
    finally:
        data_dir.lock.release()


# -- in every file ---------------------------------------------------------------------------------


def _taken_out(
    path: Path, files: DataFiles, file: Path, user_id: str, mentioned: re.Pattern[bytes]
) -> ErasedFinding:
    assert files.forget is not None
    counts = files.forget(file, user_id, mentioned)
    if not any(counts.values()) and is_mentioned(user_id, file, mentioned):
        counts = {LEFTOVERS: 1}
    if any(counts.values()):
        sqlite.purge(file, files.file.kind)
    return ErasedFinding(file.relative_to(path), counts)


# -- what mentions somebody ------------------------------------------------------------------------


def mentions(user_id: str, *traces: str) -> re.Pattern[bytes]:
    """Finds the id as it is, or as JSON may write it. A short one as a word of its own: others may
    begin with it. A long one wherever it is: in a table, columns follow without anything between.
    `traces`: as words, in either case; short ones nowhere.
    """
    either = b"|".join(map(re.escape, _ways(user_id)))
    found = either if len(user_id) >= TELLING_LENGTH else _WORD % either
    for trace in traces:
        if len(trace) >= SEARCHED_LENGTH_MIN:
            found += b"|(?i:%s)" % (_TRACE % b"|".join(map(re.escape, _ways(trace))))
    return re.compile(found)


def _ways(text: str) -> list[bytes]:
    """In which it may be written."""
    plain, ascii_only = orjson.dumps(text)[1:-1], json.dumps(text)[1:-1].encode()
    ways = {text.encode(), plain, ascii_only, _upper(ascii_only)}
    ways |= {way.replace(b"/", b"\\/") for way in ways}
    return sorted(ways)


def _upper(escaped: bytes) -> bytes:
    return re.sub(rb"\\u[0-9a-f]{4}", lambda found: b"\\u" + found[0][2:].upper(), escaped)


def is_mentioned(user_id: str, path: Path, mentioned: re.Pattern[bytes]) -> bool:
    """Whether the bytes of a file mention somebody whose id is long enough to be looked for."""
    if len(user_id) < SEARCHED_LENGTH_MIN or path.stat().st_size == 0:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return mentioned.search(content) is not None


def _is_left(user_id: str, traces: Iterable[str], path: Path) -> bool:
    """Whether a file mentions somebody by the id or by what else they may be found by. Large files
    are searched for texts as they are and in lower case: for a pattern that takes minutes."""
    if is_mentioned(user_id, path, mentions(user_id)):
        return True
    texts = {each for trace in traces for each in (trace, trace.lower())}
    written = {each for text in texts if len(text) >= SEARCHED_LENGTH_MIN for each in _ways(text)}
    if not written or path.stat().st_size == 0:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(_is_a_word(content, text) for text in written)


def _is_a_word(content: mmap.mmap, text: bytes) -> bool:
    word, at = re.compile(_TRACE % re.escape(text)), content.find(text)
    while at >= 0:
        if word.match(content, at):
            return True
        at = content.find(text, at + 1)
    return False


def _traces(path: Path, user_id: str) -> list[str]:
    return [
        trace
        for files in DATA_FILES
        if files.traces is not None
        for each in files.found(path)
        for trace in files.traces(each, user_id)
        if trace
    ]


def _all_files(path: Path) -> list[Path]:
    return sorted(each for each in path.rglob("*") if each.is_file() and not each.is_symlink())


# -- what is told ----------------------------------------------------------------------------------


def _tell(path: Path, found: list[ErasedFinding], left: list[Path], *, as_json: bool) -> None:
    if as_json:
        told: dict[str, Any] = {
            "files": {str(each.path): each.counts for each in found},
            "still_mentioned_in": [str(each) for each in left],
        }
        tables.show_json(told)
        return
    if not found:
        print(f"No file in {path} contains this person.")
    else:
        rows = [
            (each.path, what, count)
            for each in found
            for what, count in each.counts.items()
            if count
        ]
        tables.show("", COLUMNS, rows)
    for each in left:
        print(f"! {each} still contains this person; inspect it, and delete it if it is not needed")
    print(ELSEWHERE)

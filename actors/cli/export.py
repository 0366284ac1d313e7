"""Export: the transitions of all journals, archives too, as one stream in the order of receipt.

Runs beside the runtime, or without it. Knows no table and no format.
"""

from __future__ import annotations

import heapq
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, cast

from actors.cli.export_formats import UNDERSTOOD, Format, Rows, moment
from actors.cli.pseudonyms import open_pseudonyms
from actors.genesys.times import iso_ms
from actors.messages.transition import JournalRow
from actors.shard.reader import archived_paths, journal_paths
from actors.shard.scan import by_receipt, scan
from actors.storage.new_file import create
from runtime.clock import Clock, SystemClock
from runtime.errors import ConfigurationError, LocalError
from runtime.printable import unescaped

FLUSH_BYTES: Final = 65_536
PROGRESS_EVERY_S: Final = 0.5
PROGRESS_EVERY_ROWS: Final = 1_000


def export(
    data_dir: Path,
    *,
    since: str,
    until: str | None,
    format_: Format,
    pseudonymise: bool,
    output: Path | None,
    is_exact: bool = False,
    clock: Clock | None = None,
) -> int:
    """Writes what was received from `since` to before `until` (default: now); how many rows."""
    clock = clock or SystemClock()
    now_us = clock.wall_us()
    since_us = _moment("since", since, now_us)
    until_us = _moment("until", until, now_us) if until is not None else now_us
    if until_us <= since_us:
        raise ConfigurationError(
            f"--until {until or 'now'} must be later than --since {since}; swap them, or omit "
            "--until"
        )
    lines = Rows(format_, open_pseudonyms(data_dir) if pseudonymise else None, is_exact=is_exact)
    progress = _Progress(unescaped(sys.stderr), clock)
    with _opened(output) as file:
        count = _write(file, lines, rows(data_dir, since_us, until_us), progress)
    progress.end(count)
    return count


def rows(data_dir: Path, since_us: int, until_us: int) -> Iterator[JournalRow]:
    """Of all journals."""
    paths = [*archived_paths(data_dir), *journal_paths(data_dir)]
    streams = [
        scan(path, path.relative_to(data_dir).with_suffix("").as_posix(), since_us, until_us)
        for path in paths
    ]
    return heapq.merge(*streams, key=by_receipt)


def _moment(flag: str, text: str, now_us: int) -> int:
    try:
        return moment(text, now_us)
    except ValueError as error:
        raise ConfigurationError(f"--{flag} {error}: {UNDERSTOOD}") from None


def _write(file: IO[bytes], lines: Rows, found: Iterable[JournalRow], progress: _Progress) -> int:
    held = bytearray(lines.head)
    count = 0
    for count, row in enumerate(found, 1):
        held += lines.line(row)
        if len(held) >= FLUSH_BYTES:
            file.write(held)
            held.clear()
        if count % PROGRESS_EVERY_ROWS == 0:
            progress.show(count, row.received_us)
    file.write(held)
    file.flush()
    return count


@contextmanager
def _opened(output: Path | None) -> Iterator[IO[bytes]]:
    """Standard output; or a file, there whole or not at all, and for its owner only."""
    if output is None:
        yield cast("IO[bytes]", _Terminal()) if sys.stdout.isatty() else sys.stdout.buffer
        return
    if output.exists() and not output.is_file():
        # It would be replaced: a device, too, where root may do so.
        raise LocalError(
            f"{output} exists and is not a regular file; omit --output and redirect standard "
            "output instead"
        )
    partial = output.with_name(f"{output.name}.partial")
    try:
        fd = create(partial)
    except OSError as error:
        # Of the file that was asked for: whoever reads this has never heard of the other one.
        why = (
            error.strerror
            if output.parent.is_dir()
            else f"the directory {output.parent} does not exist"
        )
        raise LocalError(f"cannot write --output {output}: {why}") from None
    try:
        with os.fdopen(fd, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(output)
    except OSError as error:
        raise LocalError(f"cannot write --output {output}: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)


class _Terminal:
    """Standard output where somebody looks at it: what stands in a row does not act on it."""

    def write(self, data: bytes | bytearray) -> int:
        sys.stdout.write(data.decode(errors="backslashreplace"))
        return len(data)

    def flush(self) -> None:
        sys.stdout.flush()


class _Progress:
    """For somebody who waits at a terminal."""

    def __init__(self, stream: IO[str], clock: Clock) -> None:
        self._stream = stream if stream.isatty() else None
        self._clock = clock
        self._told_s = clock.now_s()

    def show(self, count: int, received_us: int) -> None:
        if self._stream is None or self._clock.now_s() < self._told_s + PROGRESS_EVERY_S:
            return
        self._told_s = self._clock.now_s()
        self._stream.write(f"\r{count:,} rows, up to {iso_ms(received_us)} ")
        self._stream.flush()

    def end(self, count: int) -> None:
        if self._stream is not None:
            self._stream.write(f"\r{count:,} rows\x1b[K\n")

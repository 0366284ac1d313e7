"""Lines in files and on standard output: whole, durable, rotated, whoever moves what."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from actors.sinks.envelope import SinkEvent
from actors.sinks.jsonl import JsonLines, StandardOutput
from actors.sinks.sink import Done, SinkBatch, UndeliveredError


async def at_once(work: Callable[[], Done]) -> Done:
    return work()


def in_thread(work: Callable[[], Done], /) -> Awaitable[Done]:
    return at_once(work)


def batch(*texts: str) -> SinkBatch:
    return SinkBatch(tuple(SinkEvent(text, None, text.encode()) for text in texts))


def sink(path: Path, **fields: Any) -> JsonLines:
    given: dict[str, Any] = {"rotate_bytes": 0, "keep": 3, "in_thread": in_thread}
    return JsonLines(path, **given | fields)


def delivered(one: JsonLines | StandardOutput, *batches: SinkBatch) -> None:
    async def deliver() -> None:
        await one.open()
        for each in batches:
            await one.deliver(each)

    asyncio.run(deliver())


def closed(one: JsonLines) -> None:
    asyncio.run(one.close())


def test_each_event_is_a_line_and_a_successor_goes_on_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    for texts in (("a", "b"), ("c",)):
        lines = sink(path)
        delivered(lines, batch(*texts))
        closed(lines)
    assert path.read_text() == "a\nb\nc\n"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("torn", ["c", "x" * 200_000, ""])
@pytest.mark.parametrize("whole", ["", "a\nb\n"])
def test_a_torn_last_line_is_cut_before_anything_is_added(
    tmp_path: Path, whole: str, torn: str
) -> None:
    path = tmp_path / "lines"
    path.write_text(whole + torn)
    lines = sink(path)
    delivered(lines, batch("d"))
    closed(lines)
    assert path.read_text() == whole + "d\n"


def test_a_file_of_its_size_is_rotated_and_only_so_many_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    lines = sink(path, rotate_bytes=10, keep=2)
    delivered(lines, *(batch(f"{number:04}", "more") for number in range(5)))
    closed(lines)
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {
        "lines": "0004\nmore\n",
        "lines.1": "0003\nmore\n",
        "lines.2": "0002\nmore\n",
    }


def test_a_rotation_that_was_interrupted_loses_no_file(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_text("now\n")
    (tmp_path / "lines.2").write_text("older\n")  # killed when it had moved 1 to 2
    lines = sink(path, rotate_bytes=4, keep=3)
    delivered(lines, batch("next"))
    closed(lines)
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {
        "lines": "next\n",
        "lines.1": "now\n",
        "lines.2": "older\n",
    }


def test_whoever_moves_or_empties_the_file_is_respected(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    lines = sink(path)
    delivered(lines, batch("a"))
    path.rename(tmp_path / "moved")
    asyncio.run(lines.deliver(batch("b")))
    assert ((tmp_path / "moved").read_text(), path.read_text()) == ("a\n", "b\n")
    os.truncate(path, 0)
    asyncio.run(lines.deliver(batch("c")))
    assert path.read_text() == "c\n"
    closed(lines)


def test_a_batch_is_delivered_when_it_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lines"
    synced: list[int] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        synced.append(os.fstat(fd).st_size if Path(f"/proc/self/fd/{fd}").is_file() else -1)
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    lines = sink(path)
    delivered(lines, batch("a"), batch("b"))
    closed(lines)
    assert synced == [-1, 2, 4]  # the folder, then each batch


def test_what_a_full_disk_took_of_a_batch_is_taken_back_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lines"
    lines = sink(path)
    delivered(lines, batch("a"))
    with monkeypatch.context() as patch:
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        patch.setattr(os, "fsync", lambda fd: (_ for _ in ()).throw(full))
        with pytest.raises(UndeliveredError, match="No space left") as caught:
            asyncio.run(lines.deliver(batch("b", "c")))
    assert not caught.value.is_refused
    assert path.read_text() == "a\n"
    delivered(lines, batch("b", "c"))  # opened anew, as after every failure
    closed(lines)
    assert path.read_text() == "a\nb\nc\n"


def test_a_folder_that_is_not_there_is_waited_for_and_what_is_no_file_is_refused(
    tmp_path: Path,
) -> None:
    with pytest.raises(UndeliveredError, match="No such file") as caught:
        delivered(sink(tmp_path / "none" / "lines"))
    assert not caught.value.is_refused
    os.mkfifo(tmp_path / "pipe")
    lines = sink(tmp_path / "pipe")
    with pytest.raises(UndeliveredError, match="not a regular file") as caught:
        delivered(lines)
    closed(lines)
    assert caught.value.is_refused


def test_standard_output_takes_whole_lines_also_from_a_pipe_that_does_not_block() -> None:
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    text = "x" * 300_000  # more than a pipe holds
    read: list[bytes] = []

    def drain() -> None:
        while sum(map(len, read)) < len(text) + 3:
            read.append(os.read(readable, 65_536))

    reader = threading.Thread(target=drain)
    reader.start()
    delivered(StandardOutput(in_thread, writable), batch(text, "b"))
    reader.join()
    assert b"".join(read).decode() == f"{text}\nb\n"
    os.close(readable)
    with pytest.raises(UndeliveredError, match="standard output: Broken pipe"):
        delivered(StandardOutput(in_thread, writable), batch("c"))
    os.close(writable)


def test_a_line_that_was_torn_on_standard_output_is_ended_before_the_next() -> None:
    readable, writable = os.pipe()
    out = StandardOutput(in_thread, writable)
    out._is_torn = True  # as a failure in the middle of it leaves it
    delivered(out, batch("a"), batch("b"))
    assert os.read(readable, 100) == b"\na\nb\n"
    os.close(readable)
    os.close(writable)

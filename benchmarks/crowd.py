"""Crowd: many readers of the stream, in processes of their own: whoever measures has a core left.

A child of ours holds a part of the crowd. It reads from its standard input up to which event it is
to read, and tells in a line what was read, once it is over:

    python -m benchmarks.crowd PORT READERS
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

import orjson

from benchmarks.harness import ROOT, WrongResultError, verify
from benchmarks.wall_readers import PATIENCE_S, Reader, View, WallReaders, get

PROCESSES_MAX: Final = 4
QUIET_S: Final = 0.5
SLEEPER_BYTES: Final = 1 << 16
"""What the kernel holds for a reader that sleeps, on its own side."""


class Told(NamedTuple):
    """What a part of the crowd has read."""

    began_at: int
    frames: dict[int, str]
    """By number, a hash of each: the same of all readers that were not dropped."""
    published_ms: list[float]
    """From an event's time to a reader's hands, of all of them."""
    resyncs: int
    """Readers that were dropped: they did not get enough of a core."""
    bytes: int
    """The most that one reader was told."""
    is_right: bool
    """In the end, one reader's view was what a snapshot says, unless that one was dropped."""


class Crowd:
    """From `__init__`, when all are connected, to `leave`."""

    def __init__(self, port: int, readers: int) -> None:
        self._port = port
        parts = min(PROCESSES_MAX, readers)
        self._processes: list[subprocess.Popen[str]] = []
        try:
            for place in range(parts):
                count = readers // parts + (place < readers % parts)
                command = [sys.executable, "-m", "benchmarks.crowd", str(port), str(count)]
                self._processes.append(
                    subprocess.Popen(
                        command,
                        cwd=ROOT,
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        text=True,
                    )
                )
            for process in self._processes:
                assert process.stdout is not None
                verify("readers are connected", process.stdout.readline(), "here\n")
        except BaseException:
            self.close()
            raise

    def leave(self, rest: Callable[[float], None]) -> list[Told]:
        """Once nothing happens any more and all have read that. `rest`: for so many seconds."""
        newest, before = self._newest(), -1
        while newest != before:
            rest(QUIET_S)
            newest, before = self._newest(), newest
        told = []
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(f"{newest}\n")
            process.stdin.flush()
        for process in self._processes:
            assert process.stdout is not None
            line = process.stdout.readline()
            if process.wait():
                raise WrongResultError(f"readers have failed: {process.returncode}")
            values = json.loads(line)
            frames = {int(number): text for number, text in values.pop("frames").items()}
            told.append(Told(frames=frames, **values))
        verify_told(told, newest)
        return told

    def _newest(self) -> int:
        told = orjson.loads(get(self._port, "/api/snapshot")[1])
        return int(told["id"].rpartition("-")[2])

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


def verify_told(told: Sequence[Told], newest: int) -> None:
    """Raises WrongResultError."""
    verify("views that are right", all(each.is_right for each in told), True)
    told = [each for each in told if each.frames]
    verify("somebody has read to the end", bool(told), True)
    first = told[0].frames
    for each in told:
        verify("events read", sorted(each.frames), list(range(each.began_at + 1, newest + 1)))
        same = all(first[number] == text for number, text in each.frames.items() if number in first)
        verify("all read the same", same, True)


@contextmanager
def sleeping(port: int) -> Iterator[None]:
    """A reader that reads nothing."""
    with socket.socket() as sleeper:
        sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLEEPER_BYTES)
        sleeper.connect(("127.0.0.1", port))
        sleeper.sendall(b"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        yield


def main(port: int, count: int) -> None:
    readers = WallReaders(port, count)
    print("here", flush=True)
    newest = int(sys.stdin.readline() or -1)
    deadline_s = time.monotonic() + PATIENCE_S
    while readers.newest() < newest and time.monotonic() < deadline_s:
        time.sleep(0.02)
    view = View(orjson.loads(get(port, "/api/snapshot")[1]))
    readers.close()
    print(json.dumps(_told(readers, newest, view)._asdict()))


def _told(readers: WallReaders, newest: int, view: View) -> Told:
    going = [each for each in readers.readers if not each.resyncs]
    frames = [_up_to(newest, reader) for reader in going]
    first = readers.first
    assert first.view is not None
    verify("all read the same", all(each == frames[0] for each in frames), True)
    return Told(
        began_at=readers.began_at,
        frames={number: f"{hashed:x}" for number, hashed in (frames or [{}])[0].items()},
        published_ms=[each for reader in readers.readers for each in reader.published_ms],
        resyncs=len(readers.readers) - len(going),
        bytes=max(reader.bytes for reader in readers.readers),
        is_right=bool(first.resyncs) or first.view.agents == view.agents,
    )


def _up_to(newest: int, reader: Reader) -> dict[int, int]:
    return {number: hashed for number, hashed in reader.frames.items() if number <= newest}


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

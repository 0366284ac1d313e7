"""A disk that fills up under real shards: they say so and wait, and go on when there is room."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from actors.demo.gateway import BundledGateway
from runtime.counters import RUNNING, WAITING
from tests.processes.embedded import Embedded

RATE, LOAD_S = 3_000, 1.0
DISK_BYTES = 24 << 20


class SmallDisk:
    """A file system of its own, and a file that takes what is left of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self, runtime: Embedded) -> None:
        with self._filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        assert os.statvfs(self.path).f_bavail == 0

    def make_room(self, runtime: Embedded) -> None:
        self._filler.unlink()


class LimitedFiles:
    """Files that may grow no more, whoever has the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self, runtime: Embedded) -> None:
        for index, page in enumerate(runtime.runtime.shards):
            log = runtime.runtime.data_dir.shard_path(index)
            size = log.with_name(log.name + "-wal").stat().st_size
            self._limit(runtime.pid(page.name), size)

    def make_room(self, runtime: Embedded) -> None:
        for page in runtime.runtime.shards:
            self._limit(runtime.pid(page.name), resource.RLIM_INFINITY)

    def _limit(self, pid: int, size: int) -> None:
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


@pytest.fixture(params=["small disk", "limited files"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SmallDisk | LimitedFiles]:
    path = tmp_path / "disk"
    path.mkdir()
    if request.param == "limited files":
        yield LimitedFiles(path)
        return
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user or container may not mount a file system")
    yield SmallDisk(path)
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture
def embedded(disk: SmallDisk | LimitedFiles, tmp_path: Path) -> Iterator[Embedded]:
    gateway = BundledGateway.start(tmp_path / "ledger", agents=100, seed=7, tls=False)
    embedded = Embedded(gateway, tmp_path, disk.path / "data")
    yield embedded
    embedded.close()


def test_shards_wait_for_a_full_disk_and_lose_nothing(
    embedded: Embedded, disk: SmallDisk | LimitedFiles
) -> None:
    shards = embedded.runtime.shards
    embedded.until(embedded.has_caught_up)
    embedded.gateway.start_load(RATE, LOAD_S)
    embedded.until(embedded.load_is_done)
    embedded.until(embedded.has_caught_up)

    disk.fill(embedded)
    embedded.gateway.start_load(RATE, LOAD_S)
    embedded.until(lambda: all(page.get("phase") == WAITING for page in shards))
    embedded.until(embedded.load_is_done)
    assert all(page.get("commit_failures") > 0 for page in shards)
    assert not embedded.has_caught_up()  # the input waits
    files = [str(embedded.runtime.data_dir.shard_path(index)) for index in range(len(shards))]
    told = embedded.lines("journal.waiting")
    assert sorted(line["path"] for line in told) == files  # once, and not at every try
    assert all(line["cause"] for line in told)
    beats = [page.get("beat_ns") for page in shards]
    embedded.until(
        lambda: all(
            page.get("beat_ns") > before for page, before in zip(shards, beats, strict=True)
        )
    )

    if isinstance(disk, SmallDisk):  # a limit would die with the process
        embedded.kill("shard-0")
        embedded.until(
            lambda: shards[0].get("generation") == 2 and shards[0].get("phase") == WAITING
        )
    disk.make_room(embedded)
    embedded.until(embedded.has_caught_up)
    assert all(page.get("phase") == RUNNING for page in shards)
    assert len(embedded.lines("journal.recovered")) >= len(shards)
    assert embedded.supervisor.restarts["shard-1"] == 0
    embedded.drain_and_verify()

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runtime.block import Block
from runtime.child_spec import ChildSpec
from runtime.counters import Counters
from runtime.doorbell import Doorbell
from runtime.exit import Exit
from runtime.spawn import BOOT, open_envelope, seal


def spec(counters: Counters, arguments: object, **fields: Any) -> ChildSpec:
    return ChildSpec(
        name="shard-0",
        title="toy",
        entry="nowhere:run",
        arguments=arguments,
        counters=counters,
        **fields,
    )


def test_an_envelope_says_who_to_be_and_keeps_belongings_pickled() -> None:
    page = Counters.create("page")
    fd, _ = seal(
        spec(page, {"seats": 5_000}, setup="a:b", setup_arguments=("json",)), 3, Exit(7.0, -11)
    )
    envelope = open_envelope(fd)
    assert envelope[:6] == ("shard-0", "toy", 3, os.getpid(), "nowhere:run", "a:b")
    assert envelope.predecessor == Exit(7.0, -11)
    assert pickle.loads(envelope.setup_arguments) == ("json",)
    counters, arguments = pickle.loads(envelope.belongings)
    assert counters.name == "page"
    assert arguments == {"seats": 5_000}


def test_reading_an_envelope_closes_it() -> None:
    fd, _ = seal(spec(Counters.create("page"), None), 1)
    open_envelope(fd)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_a_sealed_envelope_cannot_be_rewritten() -> None:
    fd, _ = seal(spec(Counters.create("page"), None), 1)
    with pytest.raises(PermissionError):
        os.write(fd, b"other orders")
    os.close(fd)


def test_descriptors_are_found_however_deep_they_lie() -> None:
    page, other = Counters.create("page"), Counters.create("other")
    ring, shared = Block.create("ring", 4096), Block.create("shared", 4096)
    bell = Doorbell.create("bell")
    arguments = {"rings": ((ring, shared), [shared]), "bell": {7: bell}, "types": (Block, Doorbell)}
    fd, fds = seal(spec(page, arguments, setup_arguments=[other]), 1)
    os.close(fd)
    expected = {*page.fds, *other.fds, *ring.fds, *shared.fds, *bell.fds}
    assert fds == expected


def test_what_cannot_be_pickled_leaks_no_descriptor() -> None:
    page = Counters.create("page")
    gc.collect()  # what earlier tests left in cycles must not go in between
    before = os.listdir("/proc/self/fd")  # noqa: PTH208 - numbers are what matters
    with pytest.raises((AttributeError, pickle.PicklingError)):
        seal(spec(page, lambda: None), 1)
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208 - likewise


def test_one_thing_handed_over_twice_arrives_once() -> None:
    page = Counters.create("page")
    fd, _ = seal(spec(page, (page, page)), 1)
    counters, arguments = pickle.loads(open_envelope(fd).belongings)
    assert arguments[0] is counters is arguments[1]


def test_a_child_takes_nothing_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "taken"
    for name in ("runtime", "actors", "pickle", "io", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text(f"open({str(mark)!r}, 'w')\nraise SystemExit(9)\n")
    monkeypatch.chdir(tmp_path)
    paths = [path for path in sys.path if path]
    boot = BOOT.rpartition(";")[0]  # the child would read its envelope next
    command = [sys.executable, "-P", "-c", boot, "0", *paths]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, mark.exists()) == (0, False), done.stderr

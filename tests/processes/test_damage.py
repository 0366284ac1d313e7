"""Journals that are damaged, locked or torn, under a real runtime."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess

import apsw
import pytest

from actors.demo.gateway import verify
from runtime.errors import EXIT_CONFIGURATION, EXIT_TEMPORARY
from tests.processes.service import Service, ended, eventually, is_alive

RATE = 3_000


def load(service: Service, seconds: float = 0.5) -> None:
    service.gateway.start_load(RATE, seconds)
    eventually(lambda: service.gateway.status()["load"] == "done", "the end of the load")


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    assert ended(process) == 0


def test_a_journal_damaged_in_service_is_named_set_aside_and_refilled(service: Service) -> None:
    process = service.start()
    eventually(service.has_caught_up, "the history")
    load(service)
    eventually(service.has_caught_up, "the marks")
    stop(process)  # everything is in the file, and little will be in its log

    process = service.start()
    eventually(service.has_caught_up, "the resume")
    refused = service.command("repair")
    assert refused.returncode == EXIT_TEMPORARY
    assert f"process {process.pid}" in refused.stderr

    path = service.data_dir / "shard-00.db"
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
    os.kill(service.children()["shard-0"], signal.SIGKILL)  # its memory knew nothing of that
    assert ended(process) == EXIT_CONFIGURATION
    (told,) = (line for line in service.lines() if line["event"] == "child.failed")
    assert f"{path} is damaged" in told["error"]
    assert "presence-runtime repair" in told["error"]

    done = service.command("repair", "--json")
    findings = json.loads(done.stdout)
    assert [bool(each["problem"]) for each in findings] == [True, False, False]  # and the sender's
    assert os.listdir(findings[0]["kept_in"])  # noqa: PTH208
    held = service.ask("state", "--json", "--limit", "0")
    assert held["shards"][0]["stale"]
    assert "healthy" in service.command("repair").stdout

    process = service.start()
    eventually(service.has_caught_up, "the history that refills it")
    load(service)
    eventually(service.has_caught_up, "the marks")
    stop(process)
    held = service.ask("state", "--json")
    assert [gap["reason"] for gap in held["shards"][0]["gaps"]] == ["journal set aside"]
    service.gateway.stop()
    found, _ = verify(service.ledger, service.data_dir, "full", service.log.with_name("found"))
    assert (found["phantom"], found["duplicate_effects"], found["state_mismatches"]) == (0, 0, 0)


def test_a_torn_tail_of_a_journal_loses_only_what_comes_again(service: Service) -> None:
    rng = random.Random(5)
    process = service.start()
    eventually(service.has_caught_up, "the history")
    for tear in ("cut", "noise behind it", "noise at its end"):
        load(service)
        children = service.children()
        process.kill()
        ended(process)
        eventually(lambda: not any(map(is_alive, children.values())), "the children's end")  # noqa: B023
        for log in service.data_dir.glob("shard-*.db-wal"):
            size = log.stat().st_size
            torn = rng.randrange(1, min(size // 2, 60_000))
            if tear == "noise behind it":
                with log.open("ab") as file:
                    file.write(rng.randbytes(torn))
            else:
                os.truncate(log, size - torn)
                if tear == "noise at its end":
                    with log.open("ab") as file:
                        file.write(rng.randbytes(torn))
        process = service.start()
        eventually(service.has_caught_up, f"the resume after {tear}")
    service.drain_and_verify(process)


def test_a_journal_that_another_program_locks_is_named_and_waited_for(service: Service) -> None:
    process = service.start()
    eventually(service.has_caught_up, "the history")
    path = service.data_dir / "shard-01.db"
    other = apsw.Connection(str(path))
    other.set_busy_timeout(5_000)
    other.execute("BEGIN IMMEDIATE")
    load(service)
    eventually(
        lambda: any(
            line["event"] == "journal.waiting" and line["path"] == str(path)
            for line in service.lines()
        ),
        "a line that names the file",
    )
    other.execute("ROLLBACK")
    eventually(service.has_caught_up, "the marks")
    other.close()
    service.drain_and_verify(process)


def test_a_journal_locked_at_the_start_ends_it_with_75_and_is_named(service: Service) -> None:
    process = service.start()
    eventually(service.has_caught_up, "the history")
    stop(process)
    other = apsw.Connection(str(service.data_dir / "shard-00.db"))
    other.execute("BEGIN IMMEDIATE")
    assert ended(service.start()) == EXIT_TEMPORARY
    assert "shard-00.db is locked by another program" in service.log.read_text()
    other.close()


@pytest.mark.parametrize("damage", ["noise", "a newer version"])
def test_what_is_no_journal_of_ours_ends_a_start_with_78_and_is_named(
    service: Service, damage: str
) -> None:
    process = service.start()
    eventually(service.has_caught_up, "the history")
    stop(process)
    path = service.data_dir / "shard-01.db"
    if damage == "noise":
        path.write_bytes(os.urandom(8192))
    else:
        other = apsw.Connection(str(path))
        other.pragma("user_version", 9)
        other.close()
    assert ended(service.start()) == EXIT_CONFIGURATION
    assert str(path) in service.log.read_text()

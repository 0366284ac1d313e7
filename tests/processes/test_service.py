"""The service as an operator meets it: a real process, its children, its signals, its exit code."""

from __future__ import annotations

from pathlib import Path

from runtime.errors import EXIT_CONFIGURATION, EXIT_TEMPORARY
from tests.processes.service import Service, ended, eventually, is_alive, title


def test_a_service_is_watched_while_it_runs_and_drains_when_it_is_told_to(
    service: Service, tmp_path: Path
) -> None:
    process = service.start()
    eventually(service.has_caught_up, "the history")
    titles = {name: title(pid) for name, pid in service.children().items()}
    assert titles == {
        name: f"presence-runtime: {name} [test]"
        for name in ("web", "sender", "shard-0", "shard-1", "receiver-0")
    }
    assert title(process.pid) == "presence-runtime: supervisor [test]"
    service.gateway.start_load(1_000, 0.5)
    eventually(lambda: service.gateway.status()["load"] == "done", "the end of the load")
    eventually(service.has_caught_up, "the marks")
    assert service.ask("backup", str(tmp_path / "copy"), "--json") is not None
    service.drain_and_verify(process)


def test_a_second_runtime_on_the_same_directory_exits_75_and_names_the_first(
    service: Service,
) -> None:
    first = service.start()
    eventually(lambda: "shard-0" in service.children(), "a child")
    second = service.start()
    assert ended(second) == EXIT_TEMPORARY
    assert f"process {first.pid}" in service.log.read_text()
    assert first.poll() is None


def test_a_killed_supervisor_takes_its_children_along_and_a_successor_goes_on(
    service: Service,
) -> None:
    process = service.start()
    eventually(service.has_caught_up, "the history")
    orphans = service.children()
    process.kill()
    ended(process)
    eventually(lambda: not any(map(is_alive, orphans.values())), "the children's end")
    service.gateway.start_load(1_000, 0.2)
    service.start("--shards", "3")
    eventually(service.has_caught_up, "the replay")
    assert len(service.ask("state", "--json")["shards"]) == 3


def test_a_refused_secret_ends_it_with_78_and_stands_in_no_line(service: Service) -> None:
    process = service.start(secret="not-the-right-secret")
    assert ended(process) == EXIT_CONFIGURATION
    text = service.log.read_text()
    assert "not-the-right-secret" not in text
    assert "401" in text

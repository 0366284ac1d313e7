"""A person is forgotten between two lives of the service, the first of which was killed."""

from __future__ import annotations

from functools import partial

from actors.messages.transition import JournalRow
from actors.sender.reader import verify_audit
from actors.shard.reader import read_history, read_state
from runtime.errors import EXIT_CLEAN, EXIT_TEMPORARY
from tests.processes.service import AGENTS, Service, ended, eventually, is_alive

ROWS_MAX = 1_000


def test_a_person_is_forgotten_between_two_lives(service: Service) -> None:
    process = service.start()
    eventually(service.has_caught_up, "the history")
    person, *others = service.gateway.users(AGENTS)
    for user in (person, others[0]):
        eventually(partial(_is_accepted, service, user), "a command")
    service.gateway.start_load(1_000, 0.5)
    eventually(lambda: service.gateway.status()["load"] == "done", "the end of the load")
    eventually(service.has_caught_up, "the marks")
    eventually(
        lambda: all(command.ended_us for command in service.commands()), "the commands' ends"
    )

    running = service.command("forget", person, "--yes")
    assert running.returncode == EXIT_TEMPORARY
    assert f"process {process.pid}" in running.stderr

    children = service.children()
    process.kill()
    ended(process)
    eventually(lambda: not any(map(is_alive, children.values())), "the children's end")
    pasts = [_past(service, user) for user in others]
    assert mentioning(service, person)
    forgotten = service.command("forget", person, "--yes")
    assert forgotten.returncode == EXIT_CLEAN, forgotten.stderr
    assert mentioning(service, person) == []
    assert read_state(service.data_dir, person) is None
    verdict = verify_audit(service.data_dir)
    assert (verdict.problem, verdict.erased > 0) == ("", True)
    assert [_past(service, user) for user in others] == pasts

    # The next life goes on from there. The gateway still knows them, so they come back, as new.
    service.start()
    eventually(service.has_caught_up, "the next life")
    assert [row.from_state for row in _past(service, person)] == [None]
    later = [_past(service, user) for user in others]
    assert [past[-len(before) :] for past, before in zip(later, pasts, strict=True)] == pasts


def _is_accepted(service: Service, user: str) -> bool:
    return service.change(user, "busy") == 202


def _past(service: Service, user: str) -> list[JournalRow]:
    return list(read_history(service.data_dir, user, ROWS_MAX))


def mentioning(service: Service, text: str) -> list[str]:
    files = [each for each in service.data_dir.rglob("*") if each.is_file()]
    return sorted(each.name for each in files if text.encode() in each.read_bytes())

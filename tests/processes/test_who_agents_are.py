"""Who agents are, in a real runtime of the cloud dialect: from the gateway's roster to page and
sink, and out of every file again."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from actors.demo.gateway import BundledGateway
from actors.genesys.agent_profile import PROFILE_FIELDS
from actors.web.address import connect_path
from runtime.errors import EXIT_CLEAN
from tests.processes.service import AGENTS, Service, UnixConnection, ended, eventually

BOSS, AGENT = 20, 27  # who works for the other


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    gateway = BundledGateway.start(
        tmp_path / "ledger", agents=AGENTS, seed=7, tls=False, dialect="cloud"
    )
    service = Service(gateway, tmp_path)
    yield service
    service.close()
    gateway.close()


def started(service: Service, *fields: str) -> Any:
    sink = {"name": "lines", "kind": "jsonl", "path": str(service.log.with_name("lines.jsonl"))}
    return service.start(
        PRESENCE_DIALECT="cloud",
        PRESENCE_CLOUD__AGENT_FIELDS=json.dumps(fields),
        PRESENCE_SINKS=json.dumps([sink]),
    )


def profile(service: Service, user: str) -> Any:
    try:
        with connect_path(service.data_dir) as path, closing(UnixConnection(path)) as connection:
            connection.request("GET", f"/api/agents/{user}")
            return orjson.loads(connection.getresponse().read()).get("profile")
    except OSError:  # it does not listen yet
        return None


def told_by_sink(service: Service, user: str) -> list[Any]:
    path = service.log.with_name("lines.jsonl")
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    agents = [orjson.loads(line)["data"].get("agent") for line in lines]
    return [each for each in agents if each is not None and each["id"] == user]


def mentioning(service: Service, text: str) -> list[str]:
    files = [each for each in service.data_dir.rglob("*") if each.is_file()]
    return sorted(each.name for each in files if text.encode() in each.read_bytes())


def stop(process: Any) -> None:
    process.send_signal(signal.SIGTERM)
    assert ended(process) == EXIT_CLEAN


def test_from_the_roster_to_page_and_sink_and_out_of_every_file(service: Service) -> None:
    users = service.gateway.users(AGENTS)
    boss, agent, address = users[BOSS], users[AGENT], f"agent{AGENT:06d}@example.invalid"
    process = started(service, *PROFILE_FIELDS)
    eventually(partial(profile, service, agent), "the profile of an agent")
    shown = profile(service, agent)
    assert (shown["email"], shown["user_name"]) == (address, address)
    assert shown["manager"] == {"id": boss, "name": f"Ada {BOSS:06d}"}
    assert shown["division"]["name"] == "Division 3"
    assert shown["title"] == "Agent"
    assert [each["name"] for each in shown["skills"]] == ["Retention", "Français", "Level 2"]
    service.gateway.start_load(1_000, 1.0)
    same = {"id": agent, "name": f"Hà {AGENT:06d}", **shown}
    eventually(lambda: same in told_by_sink(service, agent), "an event with its agent")

    stop(process)
    names = (boss, f"Ada {BOSS:06d}", f"agent{BOSS:06d}@example.invalid")
    for name in names:  # in the file or in its log
        assert any(each.startswith("cloud.db") for each in mentioning(service, name))
    exported = service.command("export", "--since", "1h", "--pseudonymise").stdout
    assert exported.count("\n") > AGENTS
    assert not any(name in exported for name in (*names, agent, address))
    forgotten = service.command("forget", boss, "--yes", "--json")
    assert forgotten.returncode == EXIT_CLEAN, forgotten.stdout
    assert orjson.loads(forgotten.stdout)["files"]["cloud.db"] == {
        "names": 1, "profiles": 1, "profiles of whom they were the manager": 19,
    }  # fmt: skip
    assert [mentioning(service, name) for name in names] == [[], [], []]
    assert mentioning(service, address) == ["cloud.db"]

    process = started(service, "title")
    eventually(lambda: (profile(service, agent) or shown)["email"] is None, "the title alone")
    assert profile(service, agent)["title"] == "Agent"
    stop(process)
    assert mentioning(service, "@example.invalid") == []

"""What is told over HTTP of what shards and sender have written: histories, quarantine, audit."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.sender import store
from actors.shard.reader import hash_of
from actors.storage.data_dir import sender_path
from actors.web import agent_shapes as shapes
from tests.actors.sender.drawer import accepted, record
from tests.actors.shard.lending import A, B, Record, event
from tests.actors.shard.rig import Rig
from tests.actors.web.serving import Reading
from tests.actors.web.telling import Told
from tests.actors.web.test_agent_routes import told_by

BAD = b'{"type":"routing.agents.state","sequence":"x","userId":"\xff"}'


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "shard-00.db")


@pytest.fixture
def reading(tmp_path: Path) -> Iterator[Reading]:
    reading = Reading(Told(), tmp_path)
    yield reading
    reading.close()


def at(second: int) -> str:
    return f"2026-11-21T22:00:{second:02}.000Z"


def walked(reading: Reading, user: str, limit: int) -> list[dict[str, Any]]:
    rows, before = [], ""
    while True:
        path = f"/api/agents/{user}/history?limit={limit}{before}"
        body = told_by(reading.get(path), shapes.History)
        rows += body["transitions"]
        if body["next"] is None:
            return rows
        assert len(body["transitions"]) == limit
        before = f"&before={body['next']}"


def test_a_history_is_told_newest_first_a_page_at_a_time(rig: Rig, reading: Reading) -> None:
    rig.begin()
    states = ("Available", "Talking", "Wrapped Up")
    for n in range(7):
        rig.feed(event(1_001 + 2 * n, A, states[n % 3], at(n)), event(1_002 + 2 * n, B))
    whole = walked(reading, A, 1_000)
    assert [row["at"] for row in whole] == [at(n) for n in reversed(range(7))]
    assert [row["to"] for row in whole][:2] == ["Available", "Wrapped Up"]
    assert whole[-1]["from"] is None
    for limit in (1, 2, 3, 6, 7):
        assert walked(reading, A, limit) == whole


def test_a_history_goes_on_in_the_archive(tmp_path: Path, rig: Rig, reading: Reading) -> None:
    rig.begin()
    rig.feed(event(1_001, A, "Talking", at(1)))
    (tmp_path / "archive-1").mkdir()
    older = Rig(tmp_path / "archive-1" / "shard-00.db")
    older.begin()
    older.feed(event(1_001, B, "Available", at(0)), event(1_002, A, "Available", at(0)))
    assert [row["to"] for row in walked(reading, A, 1)] == ["Talking", "Available"]
    assert [row["to"] for row in walked(reading, B, 1)] == ["Available"]


def test_a_place_of_somebody_else_leads_nowhere(rig: Rig, reading: Reading) -> None:
    rig.begin()
    rig.feed(event(1_001, A), event(1_002, B), event(1_003, A, "Talking", at(1)))
    rows_of_b = walked(reading, B, 10)
    path = f"/api/agents/{A}/history?before=0.{rows_of_b[0]['row']}"
    assert told_by(reading.get(path), shapes.History) == {"transitions": [], "next": None}
    assert reading.get(f"/api/agents/{A}/history?before=9.1").json()["transitions"] == []
    answer = reading.get("/api/agents/nobody/history")
    assert (answer.status_code, answer.json()["code"]) == (404, "no-such-agent")


# -- quarantine ------------------------------------------------------------------------------------


def test_a_frame_of_the_quarantine_is_listed_shown_and_fed_again(
    rig: Rig, reading: Reading
) -> None:
    rig.begin()
    rig.feed(Record(BAD), Record(BAD))
    [listed] = told_by(reading.get("/api/quarantine"), shapes.QuarantineList)["quarantine"]
    assert (listed["shard"], listed["count"], listed["size"]) == (0, 2, len(BAD))
    path = f"/api/quarantine/0/{listed['key']}"
    shown = told_by(reading.get(path), shapes.QuarantinedWhole)
    assert base64.b64decode(shown["base64"]) == BAD
    assert (shown["text"], shown["is_whole"]) == (None, True)
    fed = reading.ask("POST", f"{path}/feed")
    assert (fed.status_code, fed.json()) == (202, {"outcome": "applied", "reason": None})
    assert reading.feed.asked == [(0, hash_of(listed["key"]))]
    reading.feed.answer = None
    assert reading.ask("POST", f"{path}/feed").json() == {"outcome": None, "reason": None}


@pytest.mark.parametrize("path", ["0/0123456789abcdef", "7/0123456789abcdef"])
def test_a_frame_that_is_not_there_is_a_problem(rig: Rig, reading: Reading, path: str) -> None:
    for method, end in (("GET", ""), ("POST", "/feed")):
        answer = reading.ask(method, f"/api/quarantine/{path}{end}")
        assert (answer.status_code, answer.json()["code"]) == (404, "no-such-frame")
    assert reading.feed.asked == []


@pytest.mark.parametrize("path", ["64/0123456789abcdef", "0/xyz", "0/0123456789ABCDEF"])
def test_a_frame_has_a_shard_and_a_key(reading: Reading, path: str) -> None:
    assert reading.get(f"/api/quarantine/{path}").status_code == 422


# -- audit -----------------------------------------------------------------------------------------


def test_the_audit_is_told_newest_first_of_an_agent_or_a_command(
    tmp_path: Path, reading: Reading
) -> None:
    path = sender_path(tmp_path)
    store.prepare(path, "run")
    opened = store.CommandStore(path, "run")
    for n, user in enumerate((A, B, A)):
        one = accepted(n + 1, id=f"id-{n}", key=f"key-{n}", user_id=user)
        opened.commit([record(one)])
    opened.close()

    def told(query: str) -> list[str]:
        body = told_by(reading.get(f"/api/audit?{query}"), shapes.Audit)
        return [each["command"] for each in body["audit"]]

    assert told("") == ["id-2", "id-1", "id-0"]
    assert told(f"user={A}") == ["id-2", "id-0"]
    assert told("command=id-1") == ["id-1"]
    assert told("user=nobody") == []
    first = reading.get("/api/audit?limit=2").json()
    assert [each["command"] for each in first["audit"]] == ["id-2", "id-1"]
    assert told(f"before={first['next']}") == ["id-0"]
    assert first["audit"][0]["user_id"] == A

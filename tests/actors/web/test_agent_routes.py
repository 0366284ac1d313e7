"""What is told of agents over HTTP: true to its shapes, whatever agents are called."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import BaseModel

from actors.web import agent_shapes as shapes
from actors.web.identity import AccessScope, CallerIdentity
from actors.web.names import Names
from tests.actors.web.serving import Reading
from tests.actors.web.telling import START_US, Told, entry

SECOND_US = 1_000_000
HOSTILE = (
    "<script>alert(1)</script>",
    "a\x00b\x1b[2J\r\nc",
    "\ud800 alone",
    "\u202eevil\u2028",
    "x" * 128,
    "a/b?c#d%2F..",
    "..",
    '"]}\\',
)


@pytest.fixture
def told() -> Told:
    told = Told()
    told.hold(
        entry(1, "ann", "Available", "north", at_us=START_US),
        entry(2, "bob", "Talking", "south", at_us=START_US + SECOND_US, presence="On Queue"),
        entry(3, "cid", "Talking", None, at_us=START_US + 2 * SECOND_US),
    )
    told.session()
    told.board.name_all(Names({"ann": "Ann Ångström"}, {"north": "North"}))
    told.tick(10)
    return told


@pytest.fixture
def reading(told: Told, tmp_path: Path) -> Iterator[Reading]:
    reading = Reading(told, tmp_path)
    yield reading
    reading.close()


def told_by(answer: Any, shape: type[BaseModel]) -> dict[str, Any]:
    """The body, which is of this shape."""
    assert answer.status_code == 200, answer.text
    shape.model_validate_json(answer.content)
    return dict(answer.json())


def ids(reading: Reading, query: str) -> list[str]:
    body = told_by(reading.get(f"/api/agents?{query}"), shapes.Agents)
    return [each["id"] for each in body["agents"]]


# -- agents ----------------------------------------------------------------------------------------


def test_an_agent_is_told_with_names_and_time_in_state(reading: Reading) -> None:
    body = told_by(reading.get("/api/agents/ann"), shapes.OneAgent)
    assert body == {
        "id": "ann", "name": "Ann Ångström", "state": "Available",
        "since": "2026-01-01T00:00:00.000Z", "seconds_in_state": 10,
        "queues": ["north"], "queue_names": ["North"], "queues_known": True, "queue": "north",
        "queue_name": "North", "presence": None, "stale": False, "stale_since": None,
        "native": None, "position": {"epoch": 1, "sequence": 1},
    }  # fmt: skip
    missing = reading.get("/api/agents/nobody")
    assert (missing.status_code, missing.json()["code"]) == (404, "no-such-agent")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["cid", "bob", "ann"]),
        ("sort=since", ["ann", "bob", "cid"]),
        ("sort=name", ["ann", "bob", "cid"]),
        ("sort=state", ["ann", "bob", "cid"]),
        ("state=Talking", ["cid", "bob"]),
        ("state=Talking&queue=south", ["bob"]),
        ("queue=north&queue=south", ["bob", "ann"]),
        ("queue=", ["cid"]),
        ("q=%C3%85NG", ["ann"]),
        ("q=b", ["bob"]),
        ("stale=true", []),
        ("stale=false&limit=1", ["cid"]),
    ],
)
def test_agents_are_filtered_and_sorted(reading: Reading, query: str, expected: list[str]) -> None:
    assert ids(reading, query) == expected


@pytest.mark.parametrize("sort", ["-since", "since", "name", "state"])
def test_pages_tell_everyone_once(reading: Reading, sort: str) -> None:
    whole, found, after = ids(reading, f"sort={sort}"), [], ""
    while True:
        query = f"/api/agents?sort={sort}&limit=1{after}"
        body = told_by(reading.get(query), shapes.Agents)
        assert body["total"] == 3
        found += [each["id"] for each in body["agents"]]
        if body["next"] is None:
            break
        after = f"&after={body['next']}"
    assert found == whole


@pytest.mark.parametrize("after", ["x", "AAAA", "%C3%A4", "WzFd"])
def test_a_cursor_that_no_page_told_is_refused(reading: Reading, after: str) -> None:
    answer = reading.get(f"/api/agents?after={after}")
    assert (answer.status_code, answer.json()["code"]) == (404, "no-such-page")


def test_a_cursor_belongs_to_its_order(reading: Reading) -> None:
    cursor = reading.get("/api/agents?limit=1").json()["next"]
    assert reading.get(f"/api/agents?sort=since&after={cursor}").status_code == 404


@pytest.mark.parametrize("path", ["/api/agents", "/api/agents/ann", "/api/queues"])
def test_what_is_still_the_same_is_not_sent_again(reading: Reading, told: Told, path: str) -> None:
    first = reading.get(path)
    told.clock.advance(5)  # more seconds in the same state are nothing new
    known = {"If-None-Match": f'"other", {first.headers["etag"]}'}
    again = reading.get(path, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    told.move("ann", "Talking", "north")
    assert reading.get(path, headers=known).status_code == 200
    assert reading.get(path, headers={"If-None-Match": "*"}).status_code == 304


def test_staleness_is_told_of_each_agent(reading: Reading, told: Told) -> None:
    told.session(START_US + SECOND_US)
    told.tick()
    body = told_by(reading.get("/api/agents?stale=true"), shapes.Agents)
    assert body["total"] == 3
    assert body["agents"][0]["stale_since"] == "2026-01-01T00:00:01.000Z"


@pytest.mark.parametrize("user", HOSTILE)
def test_whatever_an_agent_is_called_every_answer_is_one(
    told: Told, tmp_path: Path, user: str
) -> None:
    told.hold(entry(1, user, f"state of {user}", f"queue of {user}", presence=user))
    told.board.name_all(Names({user: user * 9}, {f"queue of {user}": user}))
    told.tick()
    told.move(user, user, user)
    told.tick()
    reading = Reading(told, tmp_path)
    shown = user.replace("\ud800", "\ufffd")
    try:
        agents = told_by(reading.get("/api/agents", params={"q": shown[:5]}), shapes.Agents)
        if user == shown:
            assert [each["id"] for each in agents["agents"]] == [user]
            path = f"/api/agents/{quote(user, safe='').replace('.', '%2E')}"
            assert told_by(reading.get(path), shapes.OneAgent)["id"] == user
        queues = told_by(reading.get("/api/queues"), shapes.Queues)
        assert [each["id"] for each in queues["queues"]] == [shown]
        snapshot = told_by(reading.get("/api/snapshot"), shapes.Snapshot)
        assert [each[0] for each in snapshot["agents"]] == [shown]
        assert shown in told_by(reading.get("/api/summary"), shapes.Summary)["by_state"]
    finally:
        reading.close()


# -- all at once -----------------------------------------------------------------------------------


def test_the_summary_counts_everyone_and_says_who_asks(reading: Reading) -> None:
    body = told_by(reading.get("/api/summary"), shapes.Summary)
    assert (body["agents"], body["by_state"]) == (3, {"Available": 1, "Talking": 2})
    assert (body["queues"], body["stale"], body["name"]) == (2, 0, "test")
    assert body["health"]["live"]
    assert (body["who"], body["may_write"]) == (None, False)
    reading.who = CallerIdentity("token:ann", AccessScope.WRITE)
    body = told_by(reading.get("/api/summary"), shapes.Summary)
    assert (body["who"], body["may_write"]) == ("token:ann", True)


def test_queues_are_sorted_by_what_people_call_them(reading: Reading) -> None:
    body = told_by(reading.get("/api/queues"), shapes.Queues)
    assert body["queues"] == [
        {"id": "north", "name": "North", "agents": 1, "by_state": {"Available": 1}},
        {"id": "south", "name": None, "agents": 1, "by_state": {"Talking": 1}},
    ]


def test_the_snapshot_has_everyone_and_where_the_stream_goes_on(
    reading: Reading, told: Told
) -> None:
    body = told_by(reading.get("/api/snapshot"), shapes.Snapshot)
    assert body["id"] == told.hub.newest_id
    assert body["summary"]["agents"] == len(body["agents"]) == 3
    user_id, name, state, since, queue, presence, stale, queues = body["agents"][0]
    assert (user_id, name, since, presence, stale) == (
        "ann", "Ann Ångström", START_US // 1000, None, 0,
    )  # fmt: skip
    assert (body["states"][state], body["queues"][queue]) == ("Available", ["north", "North"])
    assert queues == [queue]


def test_the_snapshot_is_packed_for_whoever_is_far_away(reading: Reading) -> None:
    plain = reading.get("/api/snapshot", headers={"Accept-Encoding": "identity"}, host="10.0.0.1")
    near = reading.get("/api/snapshot", headers={"Accept-Encoding": "gzip"})
    far = reading.get("/api/snapshot", headers={"Accept-Encoding": "gzip"}, host="10.0.0.1")
    assert "content-encoding" not in {*plain.headers, *near.headers}
    assert far.headers["content-encoding"] == "gzip"
    assert far.json()["agents"] == near.json()["agents"] == plain.json()["agents"]


def test_a_snapshot_is_made_once_between_two_ticks(told: Told) -> None:
    made = told.board.snapshot()
    assert told.board.snapshot() is made
    told.tick()
    assert told.board.snapshot() is not made


# -- probes and the page ---------------------------------------------------------------------------


def test_ready_is_whoever_shows_how_things_are(reading: Reading, told: Told) -> None:
    assert reading.get("/livez").text == "ok"
    answer = reading.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "reasons": []})
    reading.reasons.append("web.listen is in use")
    answer = reading.get("/readyz")
    assert (answer.status_code, answer.json()["reasons"]) == (503, ["web.listen is in use"])
    reading.reasons.clear()
    told.session(START_US)
    told.tick()
    answer = reading.get("/readyz")
    assert answer.status_code == 503
    assert "no session since" in answer.json()["reasons"][0]


def test_the_page_is_served_with_types_and_tags(reading: Reading) -> None:
    page = reading.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    script = reading.get("/static/app.js")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert script.headers["cache-control"] == "no-cache"
    known = {"If-None-Match": script.headers["etag"]}
    assert reading.get("/static/app.js", headers=known).status_code == 304


@pytest.mark.parametrize("name", ["", "nothing.js", "../app.py", "%2e%2e/app.py", "/etc/passwd"])
def test_nothing_but_the_page_is_served_as_it(reading: Reading, name: str) -> None:
    assert reading.get(f"/static/{name}").status_code == 404


# -- what is read from files -----------------------------------------------------------------------


def test_without_journals_a_history_is_a_problem_of_ours(reading: Reading) -> None:
    for path in ("/api/agents/ann/history", "/api/quarantine"):
        answer = reading.get(path)
        assert (answer.status_code, answer.json()["code"]) == (503, "no-database"), path


@pytest.mark.parametrize("before", ["1", "x", "1.x", "-1.1", f"{'1' * 19}.1"])
def test_a_place_in_a_history_is_one(reading: Reading, before: str) -> None:
    assert reading.get(f"/api/agents/ann/history?before={before}").status_code == 422


def test_an_audit_without_a_sender_is_empty(reading: Reading) -> None:
    assert told_by(reading.get("/api/audit"), shapes.Audit) == {"audit": [], "next": None}

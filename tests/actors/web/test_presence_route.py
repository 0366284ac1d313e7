"""POST /api/agents/{id}/presence: what each fate of a command looks like over HTTP."""

from __future__ import annotations

import os
import uuid
from http import HTTPStatus
from urllib.parse import quote

import httpx
import pytest

from actors.messages.commands import CommandRequest
from actors.sender.actor import NOT_DEAD
from actors.sender.commands import KEY_BOUND, Code, CommandStep
from actors.web.problems import MEDIA_TYPE, STATUS_OF
from tests.actors.web.rig import FakeSender, Fate, Serving, confirm

AGENT = "/api/agents/agent-7/presence"
BUSY = {"state": "busy"}


@pytest.fixture
def sender(serving: Serving) -> FakeSender:
    """As if it were new; only its database is not."""
    serving.sender.judge = confirm
    serving.sender.orders.clear()
    serving.sender.applied.clear()
    return serving.sender


@pytest.fixture
def http(serving: Serving, sender: FakeSender) -> httpx.Client:
    return serving.http


@pytest.fixture
def key() -> dict[str, str]:
    return {"Idempotency-Key": uuid.uuid4().hex}


def refused_with(code: str, detail: str = "", retry_after_ms: int | None = None) -> Fate:
    return Fate(CommandStep.REFUSED, code, detail, retry_after_ms)


def test_a_command_is_accepted_once_it_is_durable(http: httpx.Client, sender: FakeSender) -> None:
    sender.judge = lambda _order: Fate(CommandStep.SENT)
    answer = http.post(AGENT, json={"state": "busy", "reason": "lunch", "expected": "available"})
    assert answer.status_code == HTTPStatus.ACCEPTED
    body = answer.json()
    assert answer.headers["location"] == f"/api/commands/{body['id']}"
    assert uuid.UUID(body["id"]).version == 4
    [order] = sender.orders
    assert isinstance(order, CommandRequest)
    assert (order.who, order.user_id, order.to_state, order.reason, order.expected) == (
        f"uid:{os.getuid()}", "agent-7", "busy", "lunch", "available",
    )  # fmt: skip
    assert order.key == order.command_id == body["id"]
    assert not order.forced
    assert http.get(answer.headers["location"]).json()["id"] == body["id"]


def test_an_agent_has_one_id_in_whatever_letter_case(
    http: httpx.Client, sender: FakeSender
) -> None:
    user_id = str(uuid.uuid4())
    answer = http.post(f"/api/agents/{user_id.upper()}/presence", json=BUSY)
    assert answer.json()["user_id"] == user_id
    [order] = sender.orders
    assert isinstance(order, CommandRequest)
    assert order.user_id == user_id


@pytest.mark.parametrize(
    "end", [CommandStep.CONFIRMED, CommandStep.UNCONFIRMED, CommandStep.UNKNOWN]
)
def test_whoever_waits_is_told_the_end(
    http: httpx.Client, sender: FakeSender, end: CommandStep
) -> None:
    sender.judge = lambda _order: Fate(end, detail="so it ended")
    answer = http.post(AGENT, json=BUSY, params={"wait": 30})
    assert answer.status_code == HTTPStatus.OK
    assert answer.json()["step"] == end
    assert answer.json()["detail"] == "so it ended"


def test_whoever_waits_too_short_is_told_where_it_stands(
    http: httpx.Client, sender: FakeSender
) -> None:
    sender.judge = lambda _order: Fate(CommandStep.ACKNOWLEDGED)
    answer = http.post(AGENT, json=BUSY, params={"wait": 0.2})
    assert (answer.status_code, answer.json()["step"]) == (HTTPStatus.ACCEPTED, "acknowledged")


def test_every_code_of_a_refusal_has_a_status() -> None:
    assert {KEY_BOUND, NOT_DEAD, *Code} <= set(STATUS_OF)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("not-as-expected", 409),
        ("transition", 422),
        ("never-seen", 422),
        ("capacity", 429),
        ("unavailable", 503),
    ],
)
@pytest.mark.parametrize("wait", [0, 30])
def test_a_refusal_is_a_problem_that_names_the_command(
    http: httpx.Client, sender: FakeSender, code: str, status: int, wait: int
) -> None:
    sender.judge = lambda _order: refused_with(code, "because of that")
    answer = http.post(AGENT, json=BUSY, params={"wait": wait})
    assert answer.status_code == status
    assert answer.headers["content-type"] == MEDIA_TYPE
    problem = answer.json()
    assert (problem["code"], problem["detail"], problem["status"]) == (
        code, "because of that", status,
    )  # fmt: skip
    assert http.get(f"/api/commands/{problem['command']}").json()["step"] == "refused"


def test_a_refusal_for_now_says_when_to_come_back(http: httpx.Client, sender: FakeSender) -> None:
    sender.judge = lambda _order: refused_with(Code.RATE, "5 updates per second", 1_200)
    answer = http.post(AGENT, json=BUSY)
    assert answer.status_code == HTTPStatus.TOO_MANY_REQUESTS
    assert answer.headers["retry-after"] == "2"
    assert answer.json()["retry_after_ms"] == 1_200


def test_the_same_key_is_one_command_and_says_so(
    http: httpx.Client, sender: FakeSender, key: dict[str, str]
) -> None:
    first = http.post(AGENT, json=BUSY, headers=key, params={"wait": 30})
    again = http.post(AGENT, json=BUSY, headers=key)
    assert first.json()["id"] == again.json()["id"]
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json()["step"] == "confirmed"
    assert len(sender.applied) == 1


def test_another_command_under_the_same_key_is_a_conflict(
    http: httpx.Client, sender: FakeSender, key: dict[str, str]
) -> None:
    http.post(AGENT, json=BUSY, headers=key)
    answer = http.post(AGENT, json={"state": "offline"}, headers=key)
    assert (answer.status_code, answer.json()["code"]) == (HTTPStatus.CONFLICT, "key-bound")


def test_a_key_that_a_rate_refusal_released_makes_a_new_command(
    http: httpx.Client, sender: FakeSender, key: dict[str, str]
) -> None:
    sender.judge = lambda _order: refused_with(Code.RATE)
    refused = http.post(AGENT, json=BUSY, headers=key)
    sender.judge = lambda _order: Fate()
    taken = http.post(AGENT, json=BUSY, headers=key)
    assert (refused.status_code, taken.is_success) == (429, True)
    assert taken.json()["id"] != refused.json()["command"]


@pytest.mark.parametrize(
    "user", ["a/b", ".hidden", "sp ace", "ü\u202e", "a%2Fb", "x?y#z", "presence", "a\n\x1b[2J"]
)
def test_any_user_id_arrives_as_it_was_meant(
    http: httpx.Client, sender: FakeSender, user: str
) -> None:
    answer = http.post(f"/api/agents/{quote(user, safe='')}/presence", json=BUSY)
    assert answer.is_success  # it may have its end by now
    assert [order.user_id for order in sender.orders if isinstance(order, CommandRequest)] == [user]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"state": "sleeping"},
        {"state": "busy", "reason": "x" * 501},
        {"state": "busy", "expected": "Available"},
        {"state": "busy", "forced": True},
        ["busy"],
    ],
)
def test_what_does_not_fit_its_description_never_reaches_the_sender(
    http: httpx.Client, sender: FakeSender, body: object
) -> None:
    answer = http.post(AGENT, json=body)
    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.json()["code"] == "invalid-request"
    assert answer.json()["errors"]
    assert sender.orders == []


@pytest.mark.parametrize(
    ("content", "status"), [(b"{", 422), (b"\xff", 422), (b"x" * 65_537, 413), (b"", 422)]
)
def test_a_body_that_is_none_is_a_problem_too(
    http: httpx.Client, content: bytes, status: int
) -> None:
    answer = http.post(AGENT, content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (status, MEDIA_TYPE)


def test_a_long_body_that_does_not_say_so_is_refused(http: httpx.Client) -> None:
    answer = http.post(AGENT, content=(b"x" * 1_000 for _ in range(100)))
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


@pytest.mark.parametrize("key", ["", "two words", "x" * 201])
def test_a_key_is_short_and_printable(http: httpx.Client, key: str) -> None:
    answer = http.post(AGENT, json=BUSY, headers={"Idempotency-Key": key})
    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY


@pytest.mark.parametrize("wait", ["-1", "61", "nan", "inf", "soon"])
def test_nobody_waits_for_ever(http: httpx.Client, wait: str) -> None:
    answer = http.post(AGENT, json=BUSY, params={"wait": wait})
    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY

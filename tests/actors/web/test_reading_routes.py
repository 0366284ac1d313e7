"""What is read over HTTP: commands, what is owed to the webhook, and what OpenAPI says of it."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx
import pytest

from actors.messages.commands import CommandRequest, Resend
from actors.sender.commands import CommandStep
from actors.storage.data_dir import sender_path
from tests.actors.web.rig import FakeSender, Fate, Web

PARAMETERS = {"get", "post"}


def change(http: httpx.Client, user: str, **more: Any) -> dict[str, Any]:
    answer = http.post(
        f"/api/agents/{user}/presence", json={"state": "busy", **more}, params={"wait": 30}
    )
    body: dict[str, Any] = answer.json()
    return body


def test_commands_come_newest_first_filtered_and_bounded(
    http: httpx.Client, sender: FakeSender
) -> None:
    def judge(order: CommandRequest) -> Fate:
        return Fate(CommandStep.UNKNOWN) if order.user_id == "B" else Fate()

    sender.judge = judge
    ids = [change(http, user)["id"] for user in ("A", "B", "A")]

    def listed(**filters: str | int) -> list[str]:
        return [each["id"] for each in http.get("/api/commands", params=filters).json()["commands"]]

    assert listed() == ids[::-1]
    assert listed(limit=1) == ids[-1:]
    assert listed(user="A") == [ids[2], ids[0]]
    assert listed(step="unknown") == [ids[1]]
    assert listed(step="confirmed", user="B") == []


@pytest.mark.parametrize("query", ["step=nowhere", "limit=0", "limit=1001", "limit=many"])
def test_a_filter_that_means_nothing_is_refused(http: httpx.Client, query: str) -> None:
    answer = http.get(f"/api/commands?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")


def test_a_command_is_shown_with_its_audit(http: httpx.Client, sender: FakeSender) -> None:
    sender.judge = lambda _order: Fate(CommandStep.UNCONFIRMED, detail="nobody saw it")
    command = change(http, "A", reason="lunch", force=True)
    shown = http.get(f"/api/commands/{command['id']}").json()
    assert (shown["user_id"], shown["state"], shown["reason"], shown["forced"]) == (
        "A", "busy", "lunch", True,
    )  # fmt: skip
    assert (shown["step"], shown["detail"], shown["webhook"]) == (
        "unconfirmed", "nobody saw it", None,
    )  # fmt: skip
    assert [each["step"] for each in shown["steps"]] == [
        "accepted", "validated", "admitted", "sent", "acknowledged", "unconfirmed",
    ]  # fmt: skip
    assert shown["accepted_at"].endswith("Z")


def test_a_wait_ends_when_a_command_becomes_pending_and_not_because_it_is(
    http: httpx.Client, sender: FakeSender
) -> None:
    sender.judge = lambda _order: Fate(CommandStep.PENDING, detail="future>1: it is talking")
    command = http.post(
        "/api/agents/A/presence", json={"state": "busy"}, params={"wait": 30}
    ).json()
    assert (command["step"], command["detail"]) == ("pending", "future>1: it is talking")
    path = f"/api/commands/{command['id']}"
    began_s = time.monotonic()
    assert http.get(path, params={"wait": 1}).json()["step"] == "pending"
    assert time.monotonic() - began_s >= 1.0
    listed = http.get("/api/commands", params={"step": "pending"}).json()["commands"]
    assert [each["id"] for each in listed] == [command["id"]]
    sender.finish(CommandStep.CONFIRMED)
    assert http.get(path, params={"wait": 30}).json()["step"] == "confirmed"


def test_whoever_asks_for_a_command_may_wait_for_its_end(
    http: httpx.Client, sender: FakeSender
) -> None:
    sender.judge = lambda _order: Fate(CommandStep.SENT)
    command = http.post("/api/agents/A/presence", json={"state": "busy"}).json()
    answers: list[httpx.Response] = []
    path = f"/api/commands/{command['id']}"

    def ask() -> None:
        answers.append(http.get(path, params={"wait": 60}))

    asking = threading.Thread(target=ask)
    asking.start()
    sender.finish(CommandStep.CONFIRMED)
    asking.join(30)
    assert answers[0].json()["step"] == "confirmed"


def test_a_command_that_is_not_there_is_a_problem(http: httpx.Client) -> None:
    answer = http.get("/api/commands/no-such-id", params={"wait": 60})
    assert (answer.status_code, answer.json()["code"]) == (404, "no-such-command")
    assert http.get("/api/nowhere").json()["code"] == "not-found"
    assert http.delete("/api/commands").json()["code"] == "method-not-allowed"


def test_a_database_that_cannot_be_read_is_a_problem(http: httpx.Client, web: Web) -> None:
    sender_path(web.arguments.data_dir).write_bytes(b"this is no database" * 1_000)
    for path in ("/api/commands", "/api/commands/any", "/api/webhooks"):
        answer = http.get(path)
        assert (answer.status_code, answer.json()["code"]) == (503, "no-database")


def test_what_is_owed_to_the_webhook_is_listed_and_dead_messages_sent_again(
    http: httpx.Client, sender: FakeSender
) -> None:
    sender.webhooks = True
    command = change(http, "A")
    shown = http.get(f"/api/commands/{command['id']}").json()
    assert shown["webhook"]["state"] == "waiting"
    body = http.get("/api/webhooks", params={"state": "waiting"}).json()
    assert [each["command"] for each in body["messages"]] == [command["id"]]
    assert (body["waiting"], body["dead"]) == (1, 0)
    assert http.get("/api/webhooks").json()["messages"] == []
    sender.resendable = {"msg_1"}
    assert http.post("/api/webhooks/msg_1/resend").status_code == 202
    answer = http.post("/api/webhooks/msg_2/resend")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-dead")
    assert [type(order) for order in sender.orders[1:]] == [Resend, Resend]


# -- OpenAPI -----------------------------------------------------------------------------------


def test_every_answer_of_every_route_is_described(http: httpx.Client) -> None:
    described = http.get("/api/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    routes = {
        (method, path): operation
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
    }
    assert set(routes) >= {
        ("post", "/api/agents/{id}/presence"),
        ("get", "/api/commands"),
        ("get", "/api/commands/{id}"),
        ("get", "/api/webhooks"),
        ("post", "/api/webhooks/{id}/resend"),
        ("post", "/api/session"),
        ("delete", "/api/session"),
    }
    statuses = {route: set(operation["responses"]) for route, operation in routes.items()}
    assert statuses["post", "/api/agents/{id}/presence"] == {
        "200", "202", "400", "401", "403", "409", "413", "421", "422", "429", "500", "503",
    }  # fmt: skip
    assert statuses["get", "/api/commands/{id}"] == {
        "200", "401", "403", "404", "421", "422", "429", "500", "503",
    }  # fmt: skip
    other_kinds = {
        "/metrics": "text/plain", "/livez": "text/plain", "/api/stream": "text/event-stream"
    }  # fmt: skip
    for (_, path), operation in routes.items():
        for status, response in operation["responses"].items():
            kinds = set(response.get("content", ()))
            # A probe says why in its own way.
            is_problem = int(status) >= 400 and (path, status) != ("/readyz", "503")
            usual = other_kinds.get(path, "application/json")
            wanted = "application/problem+json" if is_problem else usual
            assert kinds == ({wanted} if status not in {"204", "304"} else set())
    assert "HTTPValidationError" not in described["components"]["schemas"]
    assert {"type", "title", "status", "code", "detail"} <= set(
        described["components"]["schemas"]["ProblemBody"]["properties"]
    )

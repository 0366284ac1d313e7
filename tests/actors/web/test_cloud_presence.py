"""The presence route in the cloud dialect: a presence is named as the organisation names it."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

import httpx

from actors.messages.commands import CommandRequest
from actors.web.app import OPENAPI
from tests.actors.web.rig import FakeSender, Web, client, confirm, web_arguments

AGENT = "/api/agents/A/presence"


def test_a_presence_has_any_name_and_the_description_says_so(tmp_path: Path) -> None:
    arguments = replace(web_arguments(tmp_path), dialect="cloud")
    sender = FakeSender(arguments, confirm)
    web = Web(arguments)
    try:
        with client(tmp_path) as http:
            asked = {"state": "In Warteschlange", "expected": "Mahlzeit"}
            answer = http.post(AGENT, json=asked)
            assert answer.status_code in {HTTPStatus.OK, HTTPStatus.ACCEPTED}, answer.text
            (order,) = [each for each in sender.orders if isinstance(each, CommandRequest)]
            assert (order.to_state, order.expected) == ("In Warteschlange", "Mahlzeit")
            for wrong in (
                {},
                {"state": ""},
                {"state": "x" * 201},
                {"state": "Meal", "reason": "x" * 251},
            ):
                refused = http.post(AGENT, json=wrong)
                assert refused.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
            assert _described(http) == ("string", None)
    finally:
        web.stop()
        sender.close()


def test_in_the_wsp_dialect_the_description_names_the_four(http: httpx.Client) -> None:
    assert _described(http) == ("string", ["available", "busy", "break", "offline"])


def _described(http: httpx.Client) -> tuple[str, list[str] | None]:
    """The state of the body that the route takes."""
    described = http.get(OPENAPI).json()
    body = described["paths"]["/api/agents/{id}/presence"]["post"]["requestBody"]
    name = body["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
    state = described["components"]["schemas"][name]["properties"]["state"]
    return state["type"], state.get("enum")

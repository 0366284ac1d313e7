"""The client of a runtime's API: what it asks again, and what it does not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from actors.cli.api_client import ApiClient
from runtime.clock import SystemClock
from runtime.errors import RemoteError, TemporaryError


def asked(
    folder: Path, *answers: httpx.Response | Exception, awaits_start: bool = False
) -> tuple[dict[str, object], Sequence[str]]:
    """GET /api/status of a runtime that answers so, one after the other; and what was asked."""
    left, paths = list(answers), []

    def answer(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.path)
        told = left.pop(0)
        if isinstance(told, Exception):
            raise told
        return told

    async def ask() -> dict[str, object]:
        transport = httpx.MockTransport(answer)
        async with httpx.AsyncClient(transport=transport, base_url="http://runtime") as http:
            client = ApiClient(
                http, folder, clock=SystemClock(), patience_s=5, awaits_start=awaits_start
            )
            return await client.status()

    return asyncio.run(ask()), paths


def test_what_a_server_says_that_is_told_to_end_at_once_is_asked_again(tmp_path: Path) -> None:
    broken = httpx.Response(500, text="Internal Server Error")
    told, paths = asked(tmp_path, broken, broken, httpx.Response(200, json={"live": True}))
    assert told == {"live": True}
    assert len(paths) == 3


def test_any_other_answer_that_is_none_ends_the_question(tmp_path: Path) -> None:
    with pytest.raises(RemoteError, match=r"unexpected response \(status 404\)"):
        asked(tmp_path, httpx.Response(404, text="what?"))


def test_a_runtime_that_does_not_run_is_waited_for_by_whoever_says_so(tmp_path: Path) -> None:
    there = httpx.Response(200, json={"live": True})
    told, _ = asked(tmp_path, httpx.ConnectError("gone"), there, awaits_start=True)
    assert told == {"live": True}
    with pytest.raises(TemporaryError, match="no runtime is running"):
        asked(tmp_path, httpx.ConnectError("gone"), there)

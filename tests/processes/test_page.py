"""The page as an operator meets it: tokens, sessions and its address across kills and SIGHUP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from runtime.errors import EXIT_CONFIGURATION
from tests.processes.service import PATIENCE_S, ROOT, Service, ended, eventually

FIRST, SECOND = "1" * 32, "2" * 32


def page(service: Service) -> str:
    """Where it is served now, as the log says; empty if nowhere yet."""
    told = [line["page"] for line in service.lines() if line["event"] == "web.listens"]
    return told[-1].rstrip("/") if told else ""


def times_served(service: Service) -> int:
    return sum(line["event"] == "web.listens" for line in service.lines())


def resend(base_url: str, headers: Mapping[str, str]) -> int:
    """The status of something that takes a token to write."""
    with httpx.Client(base_url=base_url, timeout=PATIENCE_S, trust_env=False) as http:
        return http.post("/api/webhooks/none/resend", headers=headers).status_code


def test_a_session_and_its_address_survive_the_death_of_web_and_end_with_the_token(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"write first {FIRST}\n")
    tokens.chmod(0o600)
    monkeypatch.setenv("PRESENCE_WEB__TOKENS_FILE", str(tokens))
    process = service.start()
    eventually(lambda: page(service), "the page is served")
    base_url = page(service)
    with httpx.Client(base_url=base_url, timeout=PATIENCE_S, trust_env=False) as http:
        signed_in = http.post("/api/session", json={"token": FIRST})
    cookie = {"Cookie": signed_in.headers["set-cookie"].partition(";")[0]}
    eventually(lambda: resend(base_url, cookie) == 404, "the sender has answered: no such message")

    os.kill(service.children()["web"], signal.SIGKILL)
    eventually(lambda: times_served(service) == 2, "it is served again")
    assert page(service) == base_url
    assert resend(base_url, cookie) == 404

    tokens.write_text(f"write second {SECOND}\n")
    process.send_signal(signal.SIGHUP)
    bearer = {"Authorization": f"Bearer {SECOND}"}
    eventually(lambda: resend(base_url, bearer) == 404, "the tokens were read again")
    assert resend(base_url, cookie) == 401

    tokens.write_text("nonsense\n")
    process.send_signal(signal.SIGHUP)
    eventually(
        lambda: any(line["event"] == "web.tokens_invalid" for line in service.lines()),
        "it says what is wrong",
    )
    assert resend(base_url, bearer) == 404
    process.send_signal(signal.SIGTERM)
    assert ended(process) == 0
    log = service.log.read_text()
    assert FIRST not in log
    assert SECOND not in log


def test_a_broken_file_of_tokens_is_told_before_anything_starts(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"write {FIRST}\n")
    monkeypatch.setenv("PRESENCE_WEB__TOKENS_FILE", str(tokens))
    process = service.start()
    assert ended(process) == EXIT_CONFIGURATION
    told = service.log.read_text()
    assert f"web.tokens_file = {tokens}: line 1: must be `read NAME TOKEN`" in told
    assert FIRST not in told
    assert not service.data_dir.exists()


def test_a_demo_prints_an_address_that_signs_one_browser_in_so_that_it_may_write(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", "runtime", "demo", "--agents", "50", "--rate", "50"]
    with subprocess.Popen(
        [*command, "--seconds", "0", "--commands-per-s", "0"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True,
    ) as demo:  # fmt: skip
        assert demo.stdout is not None
        try:
            line = next(each for each in demo.stdout if each.startswith("page: "))
            address = line.removeprefix("page: ").strip()
            with httpx.Client(trust_env=False, timeout=PATIENCE_S) as browser:
                assert browser.get(address).headers["location"] == "/"
                base_url = address.partition("/?")[0]

                def agents() -> list[dict[str, Any]]:
                    found = json.loads(browser.get(f"{base_url}/api/agents?limit=1").content)
                    return list(found["agents"])

                eventually(agents, "an agent on the page")
                user_id = agents()[0]["id"]
                change = f"{base_url}/api/agents/{user_id}/presence?wait=30"
                ends: list[dict[str, Any]] = []

                def is_changed() -> bool:
                    """A sender's first second takes none at all."""
                    answer = browser.post(change, json={"state": "offline", "force": True})
                    ends.append(answer.json())
                    return answer.status_code == 200

                eventually(is_changed, "the presence")
                assert ends[-1]["step"] == "confirmed", ends
                command_id = ends[-1]["id"]
                shown = browser.get(f"{base_url}/api/commands/{command_id}").json()
                assert shown["who"] == "token:demo"
            assert httpx.get(address, trust_env=False).status_code == 401
        finally:
            demo.send_signal(signal.SIGINT)
        rest = demo.stdout.read()
    assert "verified: nothing lost" in rest, rest
    assert demo.returncode == 0

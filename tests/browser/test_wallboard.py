"""The page of the real runtime, against the bundled gateway: its numbers, and what it survives."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from actors.demo.gateway import BundledGateway
from tests.browser.sight import Sight
from tests.processes.service import AGENTS, PATIENCE_S, Service, eventually
from tools.fake_gateway.script import STATES
from tools.fake_gateway.wsp.expectation import Expectation

Look = Callable[..., Sight]
TOKEN = "a-token-for-the-wallboard"


def started(folder: Path) -> Iterator[Service]:
    gateway = BundledGateway.start(folder / "ledger", agents=AGENTS, seed=11, tls=False)
    service = Service(gateway, folder)
    tokens = folder / "tokens"
    tokens.write_text(f"write desk {TOKEN}\n")
    tokens.chmod(0o600)
    try:
        service.start(PRESENCE_WEB__TOKENS_FILE=str(tokens))
        eventually(service.has_caught_up, "every agent is known")
        eventually(lambda: address(service), "the page is served")
        yield service
    finally:
        service.close()
        gateway.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    yield from started(tmp_path_factory.mktemp("service"))


@pytest.fixture
def own_service(tmp_path: Path) -> Iterator[Service]:
    yield from started(tmp_path)


def address(service: Service) -> str:
    told = [str(line["page"]) for line in service.lines() if line["event"] == "web.listens"]
    return told[-1].rstrip("/") if told else ""


def told(service: Service, path: str) -> dict[str, Any]:
    """By the API; nothing while nobody serves it."""
    try:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = httpx.get(
            f"{address(service)}{path}", headers=headers, timeout=PATIENCE_S, trust_env=False
        )
    except httpx.TransportError:
        return {}
    return dict(answer.json()) if answer.is_success else {}


def signed_in(look: Look, service: Service) -> Sight:
    """Where tokens are set, reading takes one as well."""
    sight = look(address(service))
    sight.expect_health("locked")
    sight.at("#sign-in-token").fill(TOKEN)
    sight.page.keyboard.press("Enter")
    sight.expect_health("live")
    assert all("401" in failure for failure in sight.failures)  # what was asked for before
    sight.failures.clear()
    return sight


def is_same(sight: Sight, service: Service) -> bool:
    """The page says what the API says, and that it is so now."""
    summary = told(service, "/api/summary")
    if not summary or not summary["health"]["live"] or summary["agents"] != AGENTS:
        return False
    shown = {state: number for state, number in sight.counts().items() if number}
    is_live = sight.page.evaluate("() => document.documentElement.dataset.health === 'live'")
    return bool(is_live and shown == summary["by_state"])


def move_everybody(sight: Sight, service: Service) -> None:
    """Some hundred events, until the page has them."""
    before = told(service, "/api/summary").get("by_state")
    service.gateway.start_load(400.0, 1.0)
    eventually(lambda: service.gateway.status()["load"] == "done", "the load is over")
    eventually(service.has_caught_up, "the shards have caught up")
    eventually(lambda: is_same(sight, service), f"the page has moved on from {before}")


def truth(ledger: Path) -> Counter[str]:
    """Everybody's state by the gateway's own books."""
    expectation = Expectation(ledger)
    script = expectation.script
    states = [script.initial(agent).state for agent in range(script.settings.agents)]
    for agent, state in zip(expectation.agents, expectation.states, strict=True):
        states[agent] = state
    return Counter(STATES[state] for state in states)


def test_the_numbers_on_the_page_are_the_gateway_s_and_are_old_when_its_socket_closes(
    own_service: Service, look: Look
) -> None:
    sight = signed_in(look, own_service)
    sight.expect_health("live")
    move_everybody(sight, own_service)
    expect(sight.at("#population")).to_have_text(f"{AGENTS} agents")
    shown = sight.counts()
    assert sight.failures == []
    own_service.gateway.stop()
    assert Counter(shown) == truth(own_service.ledger)
    sight.expect_health("stale")
    expect(sight.at("#banner")).to_contain_text("no session since")
    expect(sight.at(".tile .share").first).to_have_text("last known")
    expect(sight.at("#agents-rows .row:visible .time").first).to_have_text("not confirmed")
    assert sight.counts() == shown


@pytest.mark.parametrize("child", ["web", "shard-0"])
def test_the_page_lives_on_when_a_child_is_killed(service: Service, look: Look, child: str) -> None:
    sight = signed_in(look, service)
    sight.expect_health("live")
    before = service.children()[child]
    os.kill(before, signal.SIGKILL)
    eventually(lambda: service.children()[child] != before, "it has a successor")
    eventually(lambda: is_same(sight, service), "the page is live again")
    move_everybody(sight, service)


def test_a_web_child_that_hangs_makes_everything_old(service: Service, look: Look) -> None:
    sight = signed_in(look, service)
    sight.expect_health("live")
    web = service.children()["web"]
    os.kill(web, signal.SIGSTOP)
    try:
        sight.expect_health("dead")
        expect(sight.at("#agents-rows .row:visible .time").first).to_have_text("not confirmed")
    finally:
        os.kill(web, signal.SIGCONT)
    eventually(lambda: is_same(sight, service), "the page is live again")


def test_a_presence_goes_to_the_gateway_and_comes_back_to_the_page(
    service: Service, look: Look
) -> None:
    sight = signed_in(look, service)
    expect(sight.at("#who-name")).to_have_text("desk")
    [user] = service.gateway.users(1)
    sight.open(user)
    sight.at("#presence-state").fill("offline")
    sight.at("#presence-reason").fill("goes home")
    sight.at("#presence-force").check()
    sight.at("#presence-send").click()
    expect(sight.at('#presence-outcome[data-outcome="confirmed"]')).to_be_visible()
    expect(sight.at("#presence-steps")).to_contain_text("acknowledged")
    expect(sight.at("#agent-presence")).to_have_text("offline")
    expect(sight.at("#agent-state")).to_contain_text("Not Available")
    expect(sight.at("#history tr").first).to_contain_text("Not Available")
    [command] = [each for each in service.commands() if each.user_id == user]
    assert (command.who, command.reason, command.forced) == ("token:desk", "goes home", True)
    sight.page.keyboard.press("Escape")
    sight.at("#who").click()
    expect(sight.at("#who")).to_have_text("Sign in")

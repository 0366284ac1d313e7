"""The page with 50,000 agents: what is in sight is in the document, and everybody on the map."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.sight import Sight
from tests.browser.stub import Stub, serving

AGENTS = 50_000
CHANGES_PER_S = 2_000
Look = Callable[..., Sight]
# Cells that were written while something went on: the canvas is asked, not the code.
COUNT_WRITES = """() => {
  const put = CanvasRenderingContext2D.prototype.putImageData;
  window.writes = { whole: 0, cells: 0 };
  CanvasRenderingContext2D.prototype.putImageData = function (...given) {
    window.writes[given.length > 3 ? "cells" : "whole"] += 1;
    return put.apply(this, given);
  };
}"""


@pytest.fixture(scope="module")
def crowd() -> Iterator[tuple[Stub, str]]:
    stub = Stub(AGENTS)
    with serving(stub) as url:
        yield stub, url


def test_everybody_is_on_the_map_and_only_what_is_in_sight_in_the_table(
    crowd: tuple[Stub, str], look: Look
) -> None:
    stub, url = crowd
    sight = look(url)
    sight.expect_health("live")
    expect(sight.at("#agents-count")).to_have_text("50,000")
    sight.expect_counts(dict(stub.organisation.by_state))
    assert sight.at(".row").count() < 120
    sight.page.keyboard.press("a")
    sight.page.keyboard.press("End")
    last = sight.at('#agents-rows .row[aria-rowindex="50001"]')
    expect(last).to_be_visible()
    newest = max(stub.organisation.agents, key=lambda agent: agent.since_ms)
    expect(last.locator(".name")).to_have_text(str(newest.name))
    sight.page.keyboard.press("m")
    sight.page.keyboard.press("End")
    expect(sight.at("#map-tip")).to_be_visible()
    box, frame = sight.at("#map").bounding_box(), sight.at("#map-frame").bounding_box()
    assert box is not None
    assert frame is not None
    assert box["height"] <= frame["height"]
    assert box["width"] <= frame["width"]


def test_a_change_writes_one_cell_and_a_search_finds_one_of_all(
    crowd: tuple[Stub, str], look: Look
) -> None:
    stub, url = crowd
    sight = look(url)
    sight.expect_health("live")
    expect(sight.at("#agents-count")).to_have_text("50,000")
    sight.page.evaluate(COUNT_WRITES)
    agent = stub.organisation.agents[31_415]
    for state in ("Reserved", "Talking", "Reserved"):
        stub.change(agent, state)
        expect(sight.at("#last li").first).to_contain_text(state)
    writes = sight.page.evaluate("() => window.writes")
    assert writes["whole"] == 0
    # One a change; and whoever has been too long in their state meanwhile gets a mark.
    assert 1 <= writes["cells"] < 1_000
    sight.find(agent.id)
    expect(sight.at("#agents-count")).to_have_text("1 of 50,000")
    expect(sight.at("#agents-rows .row:visible .name")).to_have_text(str(agent.name))


def test_numbers_stay_right_while_two_thousand_change_every_second(
    crowd: tuple[Stub, str], look: Look
) -> None:
    stub, url = crowd
    sight = look(url)
    sight.expect_health("live")
    before = dict(stub.organisation.by_state)
    stub.go(CHANGES_PER_S)
    for state in ("Available", "Talking"):
        expect(sight.tile(state)).not_to_have_text(f"{before[state]:,}")
    stub.go(0)
    sight.expect_counts(dict(stub.organisation.by_state))
    assert sum(sight.counts().values()) == AGENTS

"""What the page says when it cannot be believed: at once, unmistakably, and never old as live."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import expect

from tests.browser.sight import Sight
from tests.browser.stub import Stub

Look = Callable[..., Sight]
CELL = """() => {
  const copy = new OffscreenCanvas(400, 100).getContext("2d", { willReadFrequently: true });
  copy.drawImage(document.getElementById("map"), 0, 0);
  const { data } = copy.getImageData(0, 0, 400, 100);
  let most = 0;
  for (let i = 0; i < data.length; i += 4) most = Math.max(most, Math.abs(data[i + 2] - data[i]));
  return most;
}"""  # how much colour there is on the map
COLOURFUL = f"() => ({CELL})() > 100"
GREY = f"() => ({CELL})() < 32"


def expect_nothing_live(sight: Sight) -> None:
    """Old numbers are called so, and have no colour."""
    expect(sight.at('html[data-now="no"]')).to_be_attached()
    expect(sight.at(".tile .share").first).to_have_text("last known")
    expect(sight.at("#agents-rows .row:visible .time").first).to_have_text("not confirmed")
    expect(sight.at("#agents-rows .row:visible .state").first).to_have_text(re.compile("was "))
    sight.eventually(GREY, "the map shows no old states in colour")
    assert "grayscale" in sight.page.evaluate(
        "() => getComputedStyle(document.querySelector('main')).filter"
    )


def expect_everything_live(sight: Sight) -> None:
    sight.expect_health("live")
    expect(sight.at(".tile .share").first).to_have_text(re.compile("%"))
    expect(sight.at("#agents-rows .row:visible .time").first).to_have_text(re.compile(r"\d:\d\d"))


def test_a_stream_that_falls_silent_is_seen_within_two_seconds(
    stub: Stub, url: str, look: Look
) -> None:
    sight = look(url)
    sight.expect_health("live")
    sight.eventually(COLOURFUL, "the map shows states")
    heard = "() => import('/static/health.js').then((health) => health.SILENCE_MS_MAX)"
    assert sight.page.evaluate(heard) < 2_000
    stub.is_silent = True
    sight.expect_health("dead")
    expect(sight.at("#banner")).to_contain_text("No connection")
    expect(sight.at("#banner")).to_contain_text("the data shown is outdated")
    expect_nothing_live(sight)
    assert sight.page.title().startswith("⚠")
    stub.is_silent = False
    expect_everything_live(sight)


def test_a_server_that_is_not_live_says_why_and_since_when(
    stub: Stub, url: str, look: Look
) -> None:
    sight = look(url)
    sight.expect_health("live")
    since = "2026-11-22T06:40:00.000Z"
    reasons = ["no session since 06:40:00", "receiver-0 does not respond"]
    says(stub, live=False, stale_since=since, stale_agents=300, reasons=reasons)
    sight.expect_health("stale")
    for reason in reasons:
        expect(sight.at("#banner-reasons")).to_contain_text(reason)
    expect(sight.at("#banner")).to_contain_text(re.compile(r"Not confirmed since \d\d:\d\d:00"))
    expect_nothing_live(sight)
    says(stub, live=True, stale_since=None, stale_agents=0, reasons=[])
    expect_everything_live(sight)


def test_a_clock_does_not_go_on_over_what_is_old(stub: Stub, url: str, look: Look) -> None:
    sight = look(url)
    sight.expect_health("live")
    stub.is_silent = True
    sight.expect_health("dead")
    shown = sight.at("#clock").text_content()
    sight.page.evaluate("() => new Promise((done) => setTimeout(done, 2200))")
    assert sight.at("#clock").text_content() == shown


def test_what_is_not_whole_yet_is_not_shown_as_live(stub: Stub, url: str, look: Look) -> None:
    says(stub, lagging=True, reasons=["a snapshot is being read"])
    sight = look(url)
    sight.expect_health("lagging")
    expect_nothing_live(sight)


def test_a_full_journal_is_said_although_states_are_live(stub: Stub, url: str, look: Look) -> None:
    says(stub, reasons=["shard-1 waits for its disk: No space left on device"])
    sight = look(url)
    sight.expect_health("warned")
    expect(sight.at("#banner")).to_contain_text("shard-1 waits for its disk: No space left")
    expect(sight.at('html[data-now="yes"]')).to_be_attached()


def test_some_agents_may_be_stale_while_the_others_are_live(
    stub: Stub, url: str, look: Look
) -> None:
    sight = look(url)
    sight.expect_health("live")
    lost = stub.organisation.agents[:3]
    stub.mark_stale(*lost)
    sight.expect_health("partly")
    sight.at("#stale-count").click()
    expect(sight.at("#agents-count")).to_have_text("3 of 300")
    expect(sight.at("#agents-rows .row[data-stale]:visible")).to_have_count(3)
    expect(sight.at("#agents-rows .row:visible .time").first).to_have_text("not confirmed")
    sight.page.keyboard.press("Escape")
    sight.find(stub.organisation.agents[9].id)
    expect(sight.at("#agents-rows .row:visible .time").first).to_have_text(re.compile(r"\d:\d\d"))


def test_a_cut_stream_goes_on_where_it_was_without_another_snapshot(
    stub: Stub, url: str, look: Look
) -> None:
    sight = look(url)
    sight.expect_health("live")
    stub.change(stub.organisation.agents[1], "Reserved")
    expect(sight.at("#last li")).to_have_count(1)
    stub.cuts += 1
    stub.change(stub.organisation.agents[2], "Reserved")
    expect(sight.at("#last li")).to_have_count(2)
    assert stub.snapshots == 1
    first, *others = stub.streams
    assert first == "life-0"
    assert others in (["life-1"], ["life-2"])  # the second change may come before the cut


def test_a_server_of_another_life_is_read_anew_and_everybody_keeps_their_place(
    stub: Stub, url: str, look: Look
) -> None:
    sight = look(url)
    sight.expect_health("live")
    sight.page.keyboard.press("m")
    sight.page.keyboard.press("End")
    before = sight.at("#map-tip .name").text_content()
    gone = stub.organisation.agents.pop(0)
    stub.organisation.by_state[gone.state] -= 1
    stub.life = "another"
    stub.cuts += 1
    expect(sight.at("#agents-count")).to_have_text("299")
    expect_everything_live(sight)
    assert stub.snapshots == 2
    assert sight.at("#map-tip .name").text_content() == before
    sight.expect_counts(dict(stub.organisation.by_state))


def test_a_server_that_is_down_is_waited_for(stub: Stub, url: str, look: Look) -> None:
    sight = look(url)
    sight.expect_health("live")
    sight.page.context.set_offline(True)
    stub.cuts += 1
    sight.expect_health("dead")
    stub.change(stub.organisation.agents[4], "Reserved")
    sight.page.context.set_offline(False)
    expect_everything_live(sight)
    sight.expect_counts(dict(stub.organisation.by_state))


def says(stub: Stub, **health: Any) -> None:
    stub.health = {**stub.health, **health}

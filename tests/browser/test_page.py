"""The page as somebody uses it, against a stub: what it shows, what it takes, what it refuses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from playwright.sync_api import Route, expect

from tests.browser.sight import Sight
from tests.browser.stub import TOKEN, Stub, serving

Look = Callable[..., Sight]
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "'\"><script>alert(2)</script>",
    "\u202eretnec llac\u202c",
    "{{constructor.constructor('alert(3)')()}}",
    "N" * 400,
    "__proto__",
    "\U0001f9d1\u200d\U0001f4bb Z\u0351\u036b\u0343\u036a",
)


def test_the_page_shows_everybody_every_queue_and_nothing_goes_wrong(
    stub: Stub, url: str, look: Look
) -> None:
    sight = look(url)
    sight.expect_health("live")
    sight.expect_counts(dict(stub.organisation.by_state))
    expect(sight.at("#population")).to_have_text("300 agents")
    for queue, name in stub.organisation.queues.items():
        row = sight.at("#queues-rows .row:visible").filter(
            has=sight.page.locator(".name bdi", has_text=re.compile(f"^{name or queue}$"))
        )
        counts = stub.organisation.by_queue[queue]
        expect(row.locator(".total")).to_have_text(str(counts.total()))
        expect(row.locator(".number").nth(1)).to_have_text(str(counts["Available"] or "·"))
    expect(sight.at("#agents-count")).to_have_text("300")
    assert sight.failures == []
    assert sight.page.title() == "Contact centre"


def test_a_change_is_seen_in_tiles_table_and_last_transitions(
    stub: Stub, url: str, look: Look
) -> None:
    sight = look(url)
    sight.expect_health("live")
    agent = stub.organisation.agents[5]
    sight.find(agent.id)
    expect(sight.at("#agents-rows .row:visible")).to_have_count(1)
    stub.change(agent, "Reserved")
    expect(sight.at("#agents-rows .row:visible .state")).to_have_text("RReserved")
    expect(sight.at("#last li").first).to_contain_text(str(agent.name))
    expect(sight.at("#last li").first).to_contain_text("Reserved")
    sight.expect_counts(dict(stub.organisation.by_state))


def test_the_longest_in_their_state_stand_on_top_and_too_long_is_marked(
    stub: Stub, url: str, look: Look
) -> None:
    agent = stub.organisation.agents[9]
    stub.organisation.move(agent, "Talking", stub.now_ms() - 2 * 3_600_000)
    sight = look(url)
    first = sight.at("#agents-rows .row:visible").first
    expect(first.locator(".name")).to_have_text(str(agent.name))
    expect(first.locator('.time[data-slow="2"]')).to_have_text(re.compile(r"^2:00:\d\d$"))
    expect(sight.at('.tile[data-state="Talking"] .slow')).to_be_visible()


def test_times_are_the_server_s_whatever_the_browser_s_clock_says(look: Look) -> None:
    stub = Stub(20, skew_ms=-9 * 3_600_000)
    agent = stub.organisation.agents[3]
    stub.organisation.move(agent, "Available", stub.now_ms() - 3_600_000)
    with serving(stub) as url:
        sight = look(url)
        time = sight.at("#agents-rows .row:visible").first.locator(".time")
        expect(time).to_have_text(re.compile(r"^1:00:\d\d$"))


def test_a_column_head_sorts_and_a_second_press_turns_it_round(
    stub: Stub, url: str, look: Look
) -> None:
    sight = look(url)
    sight.expect_health("live")
    head = sight.at("#agents-head [data-sort=name]")
    names = "() => [...document.querySelectorAll('#agents-rows .row:not([hidden]) .name')]"
    in_sight = f"{names}.slice(0, 5).map((each) => each.textContent)"
    head.click()
    expect(sight.at("#agents-head [aria-sort=ascending]")).to_have_text("Name")
    expect(sight.at("#agents-rows .row .name").first).to_have_text("Ada Abara")
    shown = sight.page.evaluate(in_sight)
    assert shown == sorted(shown)
    head.click()
    expect(sight.at("#agents-rows .row .name").first).to_have_text("Rosa Novak")
    assert all(a >= b for a, b in pairwise(sight.page.evaluate(in_sight)))


def test_a_queue_and_a_state_select_for_tiles_map_and_table_until_escape(
    stub: Stub, url: str, look: Look
) -> None:
    sight = look(url)
    sight.expect_health("live")
    sight.at("#queues-rows .row:visible").first.click()
    label = sight.at("#queues-rows .row[data-chosen] .name").text_content()
    queue = next(each for each, name in stub.organisation.queues.items() if label in {each, name})
    counts = stub.organisation.by_queue[queue]
    sight.expect_counts(dict(counts))
    expect(sight.at("#selected-words")).to_have_text(str(label))
    sight.at('.tile[data-state="Talking"]').click()
    expect(sight.at("#agents-count")).to_have_text(f"{counts['Talking']} of 300")
    sight.page.keyboard.press("Escape")
    expect(sight.at("#agents-count")).to_have_text("300")
    sight.expect_counts(dict(stub.organisation.by_state))


def test_everything_can_be_done_with_keys(stub: Stub, url: str, look: Look) -> None:
    sight = look(url)
    sight.expect_health("live")
    keyboard = sight.page.keyboard
    keyboard.press("/")
    expect(sight.at("#search")).to_be_focused()
    agent = stub.organisation.agents[17]
    keyboard.type(agent.id)
    expect(sight.at("#agents-count")).to_have_text("1 of 300")
    keyboard.press("ArrowDown")
    expect(sight.at("#agents")).to_be_focused()
    keyboard.press("ArrowDown")
    assert sight.at("#agents").get_attribute("aria-activedescendant")
    keyboard.press("Enter")
    expect(sight.at("#agent-name")).to_have_text(str(agent.name))
    keyboard.press("Escape")
    expect(sight.at("#agent")).to_be_hidden()
    expect(sight.at("#agents")).to_be_focused()
    keyboard.press("Escape")
    expect(sight.at("#agents-count")).to_have_text("300")
    keyboard.press("?")
    expect(sight.at("#keys")).to_be_visible()
    keyboard.press("Escape")
    keyboard.press("Tab")
    outlined = "() => getComputedStyle(document.activeElement).outlineStyle"
    assert sight.page.evaluate(outlined) == "solid"


def test_the_map_s_cursor_says_who_and_enter_opens_them(stub: Stub, url: str, look: Look) -> None:
    sight = look(url)
    sight.expect_health("live")
    keyboard = sight.page.keyboard
    keyboard.press("m")
    expect(sight.at("#map-frame")).to_be_focused()
    keyboard.press("End")
    last = sight.at("#map-tip .name").text_content()
    keyboard.press("Home")
    expect(sight.at("#map-tip .name")).not_to_have_text(str(last))
    keyboard.press("ArrowRight")
    keyboard.press("ArrowDown")
    keyboard.press("ArrowLeft")
    keyboard.press("ArrowUp")
    first = str(sight.at("#map-tip .name").text_content())
    expect(sight.at("#map-said")).to_contain_text(first)
    box = sight.at("#map").bounding_box()
    assert box is not None
    sight.page.mouse.move(box["x"] + 3, box["y"] + 3)
    expect(sight.at("#map-tip .name")).to_have_text(first)
    keyboard.press("Enter")
    expect(sight.at("#agent-name")).to_have_text(first)


@pytest.fixture
def hostile() -> Iterator[tuple[Stub, str]]:
    stub = Stub(40, names=HOSTILE)
    with serving(stub) as url:
        yield stub, url


def test_what_agents_are_called_is_only_ever_text(hostile: tuple[Stub, str], look: Look) -> None:
    stub, url = hostile
    sight = look(url)
    sight.expect_health("live")
    for agent, name in zip(stub.organisation.agents, HOSTILE, strict=False):
        sight.find(agent.id)
        expect(sight.at("#agents-count")).to_have_text("1 of 40")
        shown = sight.at("#agents-rows .row:visible .name bdi")
        expect(shown).to_have_js_property("textContent", name)
        stub.change(agent, "Reserved")
        expect(sight.at("#last li").first).to_contain_text(name.replace("\n", " ")[:20])
        sight.at("#agents-rows .row:visible").first.click()
        expect(sight.at("#agent-name")).to_have_js_property("textContent", name)
        sight.page.keyboard.press("Escape")
    assert sight.at("main img, main script, dialog img").count() == 0
    wide = "() => document.documentElement.scrollWidth > innerWidth"
    assert not sight.page.evaluate(wide)


def test_dark_is_the_system_s_wish_until_somebody_switches_and_stays_switched(
    url: str, look: Look
) -> None:
    sight = look(url, color_scheme="dark")
    ground = "() => getComputedStyle(document.body).backgroundColor"
    sight.expect_health("live")
    dark = sight.page.evaluate(ground)
    sight.at("#theme").click()
    is_another = "dark => getComputedStyle(document.body).backgroundColor !== dark"
    sight.page.wait_for_function(is_another, arg=dark)
    light = sight.page.evaluate(ground)
    sight.page.reload()
    sight.expect_health("live")
    assert sight.page.evaluate(ground) == light


def test_a_telephone_needs_no_sideways_scrolling(url: str, look: Look) -> None:
    sight = look(url, viewport={"width": 360, "height": 740}, has_touch=True)
    sight.expect_health("live")
    assert sight.page.evaluate("() => document.documentElement.scrollWidth") == 360
    sight.at("#map").tap(position={"x": 20, "y": 20})
    expect(sight.at("#map-tip")).to_be_visible()
    expect(sight.at("#agent")).to_be_hidden()
    sight.at("#map").tap(position={"x": 20, "y": 20})
    expect(sight.at("#agent")).to_be_visible()


# -- rights ------------------------------------------------------------------------------------


def test_who_has_no_token_reads_and_is_told_how_to_write(stub: Stub, url: str, look: Look) -> None:
    sight = look(url)
    sight.expect_health("live")
    sight.open(stub.organisation.agents[2].id)
    expect(sight.at("#presence-form")).to_be_hidden()
    sight.at("#presence-sign-in").click()
    sight.at("#sign-in-token").fill("a-token-that-nobody-has")
    sight.page.keyboard.press("Enter")
    expect(sight.at("#sign-in-problem")).to_have_text("Invalid token.")
    sight.at("#sign-in-token").fill(TOKEN)
    sight.page.keyboard.press("Enter")
    expect(sight.at("#who-name")).to_have_text("supervisor")
    expect(sight.at("#presence-form")).to_be_visible()
    kept = sight.page.evaluate(
        "() => JSON.stringify([localStorage, sessionStorage, document.cookie])"
    )
    assert TOKEN not in kept
    assert "supervisor" not in kept


def test_a_server_that_wants_a_token_is_asked_for_nothing_else(
    stub: Stub, url: str, look: Look
) -> None:
    stub.is_locked = True
    sight = look(url)
    sight.expect_health("locked")
    expect(sight.at("#sign-in")).to_be_visible()
    sight.at("#sign-in-token").fill(TOKEN)
    sight.page.keyboard.press("Enter")
    sight.expect_health("live")
    sight.expect_counts(dict(stub.organisation.by_state))
    sight.page.keyboard.press("Escape")
    sight.at("#who").click()
    sight.expect_health("locked")


def test_a_presence_is_changed_and_each_step_is_shown(stub: Stub, url: str, look: Look) -> None:
    sight = look(url)
    sight.sign_in(TOKEN)
    expect(sight.at("#who-name")).to_have_text("supervisor")
    agent = stub.organisation.agents[2]
    sight.open(agent.id)
    expect(sight.at("#history tr")).to_have_count(50)
    sight.at("#agent-older").click()
    expect(sight.at("#history tr")).to_have_count(100)
    sight.at("#presence-state").fill("break")
    sight.at("#presence-reason").fill("lunch")
    sight.at("#presence-force").check()
    sight.at("#presence-send").click()
    expect(sight.at('#presence-outcome[data-outcome="confirmed"]')).to_be_visible()
    expect(sight.at("#presence-steps li")).to_have_count(6)
    [asked] = stub.asked
    assert re.fullmatch(
        r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-.{12}", asked["key"]
    )
    del asked["key"]
    assert asked == {"id": agent.id, "state": "break", "reason": "lunch", "force": True}


def test_why_a_presence_is_refused_stands_there_in_words(stub: Stub, url: str, look: Look) -> None:
    stub.refusal = {"status": 409, "code": "not-as-expected", "detail": "is on a break already"}
    sight = look(url)
    sight.sign_in(TOKEN)
    expect(sight.at("#who-name")).to_have_text("supervisor")
    sight.open(stub.organisation.agents[2].id)
    sight.at("#presence-state").fill("busy")
    sight.at("#presence-send").click()
    expect(sight.at("#presence-outcome")).to_have_text("is on a break already")
    stub.refusal = None
    sight.at("#presence-send").click()
    expect(sight.at('#presence-outcome[data-outcome="confirmed"]')).to_be_visible()
    assert stub.asked[0]["key"] != stub.asked[1]["key"]


def test_an_answer_that_is_lost_is_asked_for_again_under_the_same_key(
    stub: Stub, url: str, look: Look
) -> None:
    sight = look(url)
    sight.sign_in(TOKEN)
    expect(sight.at("#who-name")).to_have_text("supervisor")
    sight.open(stub.organisation.agents[2].id)
    lost: list[str] = []

    def lose_the_first(route: Route) -> None:
        if lost:
            route.continue_()
            return
        lost.append(route.request.headers["idempotency-key"])
        route.fetch()
        route.abort()

    sight.page.route("**/presence", lose_the_first)
    sight.at("#presence-state").fill("busy")
    sight.at("#presence-send").click()
    expect(sight.at('#presence-outcome[data-outcome="confirmed"]')).to_be_visible()
    assert [asked["key"] for asked in stub.asked] == lost * 2


def test_a_queue_is_called_short_only_when_it_is_known_who_is_in_it(
    stub: Stub, url: str, look: Look
) -> None:
    queue = next(iter(stub.organisation.queues))
    for agent in stub.organisation.agents:
        if queue in agent.queues:
            stub.organisation.move(agent, "Talking", stub.now_ms())
    stub.queues_unknown = 7
    sight = look(url)
    sight.expect_health("live")
    expect(sight.at("#queues-unknown")).to_have_text(
        "The queues of 7 agents are not known yet: they are missing here."
    )
    expect(sight.at("#queues-rows .row[data-short]")).to_have_count(0)
    stub.queues_unknown = 0
    stub.change(stub.organisation.agents[-1], "Wrapped Up")
    expect(sight.at("#queues-unknown")).to_be_hidden()
    expect(sight.at("#queues-rows .row[data-short]")).not_to_have_count(0)
    expect(sight.at("#queues-note")).to_contain_text("counts in each of their queues")

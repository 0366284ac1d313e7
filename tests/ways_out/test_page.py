"""The page of a whole runtime whose every text is hostile: each is text, and none leaks into the
next. Whatever element shows one is found by walking the page."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.sight import Sight
from tests.ways_out.scene import TOKEN, USERS, WaysOutScene

pytestmark = pytest.mark.timeout(300)
# Marks of direction reach to the end of their paragraph, unless an element isolates them.
LEAKING = """() => {
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    if (!/[\\u202a-\\u202e\\u2066-\\u2069\\u200f]/.test(walker.currentNode.data)) continue;
    let node = walker.currentNode.parentElement, isHeld = false;
    for (; node && node !== document.body && !isHeld; node = node.parentElement) {
      const style = getComputedStyle(node);
      isHeld = style.unicodeBidi.includes("isolate") || style.unicodeBidi === "plaintext" ||
        node.children.length === 0 && !["inline", "contents"].includes(style.display);
    }
    if (!isHeld) found.push(walker.currentNode.parentElement.outerHTML.slice(0, 200));
  }
  return found;
}"""
MADE_OF_TEXT = """() => [...document.querySelectorAll(
  "img, iframe, object, embed, form[action], a[href^='javascript'], base, script:not([src])")]
  .map((each) => each.outerHTML.slice(0, 200))"""
HANDLERS = """() => [...document.querySelectorAll("*")].flatMap((each) => [...each.attributes])
  .filter((each) => each.name.startsWith("on") || /^\\s*javascript:/i.test(each.value))
  .map((each) => each.name)"""


def test_every_element_of_the_page_shows_the_corpus_as_text(
    running: WaysOutScene, look: Callable[..., Sight]
) -> None:
    # Thirty states are thirty tiles: on a small screen they leave the table no room.
    sight = look(str(running.http.base_url), viewport={"width": 1600, "height": 2400})
    before = sight.page.evaluate(MADE_OF_TEXT)
    sight.at("#sign-in-token").wait_for(state="visible")  # nobody may read without: it opens itself
    sight.at("#sign-in-token").fill(TOKEN)
    sight.page.keyboard.press("Enter")
    expect(sight.at("#agents-count")).to_have_text(str(len(USERS)))
    for user in ("<img src=x onerror=alert(1)></script><!--", "a\u202egpj.exe\u2066b\u2069\u200f"):
        sight.open(user)
        assert sight.page.evaluate(LEAKING) == []
        assert sight.page.evaluate(MADE_OF_TEXT) == before
        assert sight.page.evaluate(HANDLERS) == []
        sight.page.keyboard.press("Escape")
        sight.find("")
    assert "onerror=alert(1)" in sight.page.evaluate("() => document.body.textContent")

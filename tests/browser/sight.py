"""Sight: a page as somebody sees it, by what is written on it. Knows no server."""

from __future__ import annotations

import re
import time
from typing import Any, Final

from playwright.sync_api import Browser, Locator, Page, Request, expect

ARGUMENTS: Final = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
PATIENCE_MS: Final = 30_000
DESK: Final = {"width": 1280, "height": 800}
# Chromium's own line for a server that does not answer, or refuses.
_FAILED: Final = "Failed to load resource"


class Sight:
    """One page in a browser of its own."""

    def __init__(self, browser: Browser, url: str, **context: Any) -> None:
        self.url = url
        self.errors: list[str] = []
        self.failures: list[str] = []  # of requests
        self.asked_elsewhere: list[str] = []
        self._context = browser.new_context(**{"viewport": DESK, **context})
        self._context.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        self.page: Page = self._context.new_page()
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", self._on_dialog)
        self.page.on("request", self._on_request)
        self.page.goto(url)

    def close(self) -> None:
        self._context.close()

    def _on_console(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            known = self.failures if message.text.startswith(_FAILED) else self.errors
            known.append(message.text)

    def _on_dialog(self, dialog: Any) -> None:
        self.errors.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith((self.url.split("?")[0].rstrip("/") + "/", "data:")):
            self.asked_elsewhere.append(request.url)

    def eventually(self, fact: str, what: str) -> None:
        """`fact`: a function of the page. (Playwright's own way needs `unsafe-eval`.)"""
        deadline_s = time.monotonic() + PATIENCE_MS / 1000
        while not self.page.evaluate(fact):
            assert time.monotonic() < deadline_s, f"not within {PATIENCE_MS} ms: {what}"
            time.sleep(0.02)

    # -- what there is to see ------------------------------------------------------------------

    def at(self, selector: str) -> Locator:
        return self.page.locator(selector)

    def expect_health(self, word: str, *, within_ms: float = PATIENCE_MS) -> None:
        """And that it is said where nobody can miss it."""
        root = self.at(f'html[data-health="{word}"]')
        expect(root).to_be_attached(timeout=within_ms)
        if word == "live":
            expect(self.at("#banner")).to_be_hidden()
        else:
            expect(self.at("#banner")).to_be_visible()

    def expect_counts(self, by_state: dict[str, int]) -> None:
        for state, number in by_state.items():
            expect(self.tile(state)).to_have_text(f"{number:,}")

    def tile(self, state: str) -> Locator:
        return self.at(f'.tile[data-state="{state}"] .big')

    def counts(self) -> dict[str, int]:
        """All of them at one moment."""
        told: dict[str, str] = self.page.evaluate(
            """() => Object.fromEntries([...document.querySelectorAll(".tile")].map((tile) =>
                 [tile.dataset.state, tile.querySelector(".big").textContent]))"""
        )
        return {state: int(text.replace(",", "")) for state, text in told.items()}

    def row(self, name: str) -> Locator:
        """Of the table of agents."""
        exactly = re.compile(f"^{re.escape(name)}$")
        return self.at("#agents-rows .row:visible").filter(
            has=self.page.locator(".name bdi", has_text=exactly)
        )

    def find(self, text: str) -> None:
        self.at("#search").fill(text)

    def open(self, agent_id: str) -> None:
        """The dialog of an agent."""
        self.find(agent_id)
        self.at("#agents-rows .row:visible").first.click()
        expect(self.at("#agent")).to_be_visible()

    def sign_in(self, token: str) -> None:
        self.expect_health("live")
        self.at("#who").click()
        self.at("#sign-in-token").fill(token)
        self.page.keyboard.press("Enter")

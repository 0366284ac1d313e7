"""Owns what others see of a token: the words of a page, and the line of the log when one fails.

Knows neither who holds the token nor what for. Counts go on where the last life's ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from runtime.counters import Counters

if TYPE_CHECKING:  # whoever wants the words alone need not load an HTTP client
    from actors.genesys.tokens import TokenProvider

TOKEN_WORDS: Final = ("token_refreshes", "token_failures", "token_seconds_left")


class TokenGauges:
    """For one provider, on the page of its process."""

    def __init__(self, counters: Counters, tokens: TokenProvider, log: Any) -> None:
        self._counters = counters
        self._tokens = tokens
        self._log = log
        self._refreshes_before = counters.get("token_refreshes")
        self._failures_before = counters.get("token_failures")
        self._failures_told = 0

    def show(self) -> None:
        tokens, put = self._tokens, self._counters.set
        put("token_refreshes", self._refreshes_before + tokens.refreshes)
        put("token_failures", self._failures_before + tokens.failures)
        put("token_seconds_left", int(tokens.seconds_left))
        if tokens.failures != self._failures_told:
            self._failures_told = tokens.failures
            self._log.warning("token.failed", reason=tokens.last_failure)

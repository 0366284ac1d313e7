"""Owns in whose name the planner calls Genesys: of each OAuth client a token, a share, and what may
be borrowed beside it.

It knows no call. The first client is the one that must be let in; others help if they can.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from actors.genesys.cloud_rest import CloudRest
from actors.genesys.http import GatewayAddress, http_client, reach
from actors.genesys.pacer import Pacer, borrowed, kept_pacer
from actors.genesys.rate_budget import planner_share
from actors.genesys.token_gauges import TokenGauges
from actors.genesys.tokens import TokenProvider
from actors.planner.arguments import PlannerArguments, budget_words
from runtime.clock import Clock
from runtime.counters import Counters


class Clients:
    """For one event loop. `is_borrowing`: whether more than the share is wanted at the moment."""

    def __init__(
        self,
        arguments: PlannerArguments,
        counters: Counters,
        *,
        clock: Clock,
        rng: random.Random,
        log: Any,
        is_borrowing: Callable[[], bool],
    ) -> None:
        self._arguments = arguments
        self._counters = counters
        self._clock = clock
        self._rng = rng
        self._log = log
        self._is_borrowing = is_borrowing
        self._requests_before = counters.get("requests"), counters.get("requests_refused")
        self._tokens: list[TokenProvider] = []
        self._pacers: list[Pacer] = []
        self._gauges: TokenGauges
        self.first: CloudRest
        self.others: tuple[CloudRest, ...] = ()

    async def open(self, stack: AsyncExitStack) -> None:
        """Until the stack is left."""
        in_service = self._counters.get("token_refreshes") > 0
        self.first = await self._open(self._arguments.address, stack, in_service=in_service)
        self._gauges = TokenGauges(self._counters, self._tokens[0], self._log)
        for address in self._arguments.others:
            other = await self._open(address, stack, in_service=True)
            self.others = (*self.others, other)

    async def _open(
        self, address: GatewayAddress, stack: AsyncExitStack, *, in_service: bool
    ) -> CloudRest:
        http = await stack.enter_async_context(http_client(reach(address)))
        tokens = TokenProvider(
            address, (), http, clock=self._clock, rng=self._rng, in_service=in_service
        )
        stack.push_async_callback(tokens.close)
        self._tokens.append(tokens)
        pacer = self._pacer(len(self._pacers))
        self._pacers.append(pacer)
        return CloudRest(address, tokens, http, pacer, clock=self._clock)

    def _pacer(self, client: int) -> Pacer:
        arguments = self._arguments
        total = arguments.requests_per_minute
        share = planner_share(total, has_sender=client == 0 and arguments.sends)
        neighbours = arguments.neighbours[client] if arguments.neighbours else ()
        most = borrowed(share, total, self._clock, neighbours, self._is_borrowing)
        words = budget_words(client)
        return kept_pacer(self._counters, share, total, self._clock, words, most=most)

    def renew_tokens(self) -> None:
        for tokens in self._tokens:
            tokens.renew_soon()

    def show(self) -> None:
        """On the page: what was asked, and what is used now, which others may not use."""
        requests, refused = self._requests_before
        rests = (self.first, *self.others)
        self._counters.set("requests", requests + sum(rest.requests for rest in rests))
        limited = sum(rest.rate_limited for rest in rests)
        self._counters.set("requests_refused", refused + limited)
        for pacer in self._pacers:
            pacer.show()
        self._gauges.show()

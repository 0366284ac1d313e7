"""Owns what the sender's loop does in the cloud dialect: definitions, changes as calls, a budget.

It decides nothing of a command. What the machine knows as a line is here that changes can be made:
the definitions are known and a token is at hand. A share of the rate budget that is spent is told
with what was not sent for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import httpx

from actors.genesys.cloud_errors import CloudError
from actors.genesys.cloud_rest import CloudRest
from actors.genesys.definitions import Definitions, NoSuchDefinition
from actors.genesys.pacer import WAITING_WORD, Neighbour, kept_pacer, lent
from actors.genesys.rate_budget import REQUESTS_PER_MINUTE, WINDOW_S, Budget, shares
from actors.genesys.retry_after import wait_s
from actors.sender import signals
from actors.sender.changing import Changing, together
from actors.sender.loop_life import TICK_S, LoopLife

KEEP_S: Final = 600.0
"""Definitions are read again so often, and when the gateway does not know one that we know."""
RELOAD_LEAST_S: Final = 30.0
CALLS_A_CHANGE: Final = 2
"""One that makes it, and as many again for reading and repeating."""


class CloudLoop(LoopLife):
    """Over the platform API, in the name of the first OAuth client."""

    def __init__(
        self,
        *,
        requests_per_minute: int = REQUESTS_PER_MINUTE,
        planner: Neighbour | None = None,
        receiver: Neighbour | None = None,
        **around: Any,
    ) -> None:
        super().__init__(**around)
        self._neighbours = planner, receiver
        self._requests_per_minute = requests_per_minute
        # Half of the share for first tries, half for what must be read and made again.
        gap_s = CALLS_A_CHANGE * WINDOW_S / shares(requests_per_minute).sender
        self._gap_s = min(gap_s, self._settings.ack_timeout_s / 2)
        # A try that long ago is tried again, and its answer is nobody's any more.
        self._try_s = self._settings.ack_timeout_s + self._settings.settle_s - self._gap_s
        self._before = {word: self._counters.get(word) for word in ("requests", "requests_refused")}
        self._definitions: Definitions | None = None
        self._read_s = float("-inf")  # the definitions
        self._is_read_wanted = asyncio.Event()
        self._lines = 0
        self._is_up = False
        self.trying = 0
        """Calls that are under way."""
        self._gathered: list[signals.Patch] = []
        self._has_gathered = asyncio.Event()
        self._untold: signals.LineDown | None = None
        self._budget: Budget
        self._rest: CloudRest
        self._changing: Changing

    # Life

    def _open(self, client: httpx.AsyncClient) -> None:
        total = self._requests_per_minute
        share = shares(total).sender
        most = lent(share, total, self._clock, *self._neighbours, is_sender=True)
        pacer = kept_pacer(
            self._counters, share, total, self._clock, most=most, waiting=WAITING_WORD
        )
        self._budget = pacer.budget
        self._rest = CloudRest(self._address, self._tokens, client, pacer, clock=self._clock)
        self._changing = Changing(
            self._rest,
            tell=self._tell,
            counters=self._counters,
            clock=self._clock,
            on_no_token=self._no_token,
            on_doubt=self._read_again,
            gateway_ahead_us=lambda: self._rest.gateway_ahead_us,
            takes_primary=self._settings.take_primary,
        )

    def _begin_way(self) -> None:
        self._spawn(self._keep_definitions)
        self._spawn(self._send_gathered)

    async def _end_way(self) -> None:
        """A call that is cut is in doubt: its successor reads the presence before it goes on."""

    def _stop_way(self) -> None:
        self._line_down("stopped")

    def _token_renewed(self) -> None:
        """Each call takes the token that there is."""

    def _ticked(self) -> float:
        return TICK_S

    def _show(self) -> None:
        self._gauges.show()
        counted = {"requests": self._rest.requests, "requests_refused": self._rest.rate_limited}
        for word, count in counted.items():
            self._counters.set(word, self._before[word] + count)

    # The line

    def _line_up(self) -> None:
        self._lines += 1
        self._is_up = True
        self._counters.set("connected", 1)
        self._counters.add("lines_bound")
        self._log.info("line.up", line=self._lines)
        self._tell(signals.LineUp(self._lines))

    def _line_down(self, reason: str) -> None:
        """Also of one that never came up, for what it says. It comes up when the definitions are
        read."""
        if self._is_up:
            self._counters.add("lines_ended")
            self._log.info("line.down", line=self._lines, reason=reason)
        self._is_up = False
        self._counters.set("connected", 0)
        self._untold = signals.LineDown(self._lines, reason)
        self._tell_down()

    def _tell_down(self) -> None:
        """Not before the tries that are under way have their answers, which still come."""
        if self._untold is not None and not self.trying and not self._gathered:
            self._tell(self._untold)
            self._untold = None

    # Definitions

    async def _keep_definitions(self) -> None:
        failures = 0
        while True:
            self._is_read_wanted.clear()
            try:
                await self._read_definitions()
            except CloudError as error:
                failures += 1
                delay_s = wait_s(failures, self._rng, error.retry_after_s)
                self._log.warning(
                    "definitions.failed", reason=str(error), delay_s=round(delay_s, 3)
                )
                if not self._is_up:
                    self._line_down(str(error))
                await asyncio.sleep(delay_s)
                continue
            failures = 0
            if not self._is_up:
                self._line_up()
            with suppress(TimeoutError):
                async with asyncio.timeout(KEEP_S):
                    await self._is_read_wanted.wait()

    async def _read_definitions(self) -> None:
        """Those that are deactivated only so that it can be said of them."""
        entities = await self._rest.definitions()
        try:
            entities += await self._rest.definitions(deactivated=True)
        except CloudError as error:
            self._log.info("definitions.deactivated_not_read", reason=str(error))
        before, found = self._definitions, Definitions(entities)
        self._definitions, self._read_s = found, self._clock.now_s()
        self._counters.set("definitions", len(found))
        if before is None or before.by_id != found.by_id:
            self._log.info("definitions.read", definitions=len(found))
            for name in _unmeant(found, self._settings.cloud_transitions):
                self._log.error("definitions.transition_unknown", name=name)
        self._tell(signals.StatesKnown(found))

    def _read_again(self) -> None:
        if self._clock.now_s() - self._read_s >= RELOAD_LEAST_S:
            self._is_read_wanted.set()

    # Changes

    def _check(self, user_id: str) -> None:
        raise AssertionError(f"nobody asks for {user_id} here: the machine speaks this dialect")

    def _send(self, change: signals.Send | signals.Patch) -> None:
        """What may have taken before is read first, and so is made alone."""
        assert isinstance(change, signals.Patch), "the machine speaks this dialect"
        if not self._is_on_line(change):
            self._changing.not_sent(change)
        elif change.doubted_since_us is None and self._changing.tells_each:
            self._gathered.append(change)
            self._has_gathered.set()
        else:  # what still waits of it would overtake nobody: it is made once
            self._gathered = [
                each for each in self._gathered if each.correlation != change.correlation
            ]
            self._spawn(self._try, [change])

    async def _send_gathered(self) -> None:
        """The first at once, and what comes within a gap after it together: a call for each would
        spend the share of a minute in half of one."""
        while True:
            await self._has_gathered.wait()
            self._has_gathered.clear()
            while self._gathered:
                changes, self._gathered = together(self._gathered)
                self._spawn(self._try, changes)
                await asyncio.sleep(self._gap_s)

    def _is_on_line(self, change: signals.Patch) -> bool:
        """On the one that it was meant for."""
        return self._is_up and change.line == self._lines

    async def _try(self, changes: list[signals.Patch]) -> None:
        """One answer each or none: if it takes too long, the machine has given it up by itself."""
        self.trying += 1
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._try_s):
                    await self._make(changes)
        finally:
            self.trying -= 1
            self._tell_down()

    async def _make(self, changes: list[signals.Patch]) -> None:
        """Nothing waits here for the budget: the machine's clock is running for what was sent."""
        now_s = self._clock.now_s()
        wait_s = self._budget.wait_s(now_s)
        sent = []
        for change in changes:
            if not self._is_on_line(change):
                self._changing.not_sent(change)
            elif wait_s > 0.0:
                self._changing.not_sent(change, now_s + wait_s)
            else:
                sent.append(change)
        if sent:
            assert self._definitions is not None, "without them no line is up"
            await self._changing.make(sent, self._definitions)

    def _no_token(self, reason: str) -> None:
        self._line_down(reason)
        self._is_read_wanted.set()  # which shows whether there is one again


def _unmeant(definitions: Definitions, table: Mapping[str, tuple[str, ...]]) -> list[str]:
    names = dict.fromkeys([*table, *(name for to in table.values() for name in to)])
    return [name for name in names if isinstance(definitions.meant(name), NoSuchDefinition)]

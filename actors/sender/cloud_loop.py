"""Owns what the sender's loop does in the cloud dialect: definitions, changes as calls, a budget.

It decides nothing of a command. What the machine knows as a line is here that changes can be made:
the definitions are known and a token is at hand. A share of the rate budget that is spent is told
with what was not sent for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

import httpx

from actors.genesys.cloud import is_user_id
from actors.genesys.cloud_answers import Entity
from actors.genesys.cloud_errors import (
    CloudError,
    ForbiddenError,
    NotFoundError,
    NoTokenError,
    RateLimitedError,
    RefusedError,
    UnauthorisedError,
)
from actors.genesys.cloud_rest import CloudRest
from actors.genesys.definitions import Definitions, Unmeant
from actors.genesys.pacer import kept_pacer
from actors.genesys.rate_budget import REQUESTS_PER_MINUTE, Budget, shares
from actors.genesys.reconnect import backoff_s
from actors.sender import signals
from actors.sender.cloud_dialect import CHANGED_SINCE, changed_since, shown_as
from actors.sender.loop_life import TICK_S, LoopLife

KEEP_S: Final = 600.0
"""Definitions are read again so often, and when the gateway does not know one that we know."""
RELOAD_LEAST_S: Final = 30.0
_REFUSES: Final = (UnauthorisedError, ForbiddenError, NotFoundError, RefusedError)


class CloudLoop(LoopLife):
    """Over the platform API, in the name of the first OAuth client."""

    def __init__(self, *, requests_per_minute: int = REQUESTS_PER_MINUTE, **around: Any) -> None:
        super().__init__(**around)
        self._requests_per_minute = requests_per_minute
        # A try that long ago is tried again, and its answer is nobody's any more.
        self._try_s = self._settings.ack_timeout_s + self._settings.settle_s
        self._before = {word: self._counters.get(word) for word in ("requests", "requests_refused")}
        self._definitions: Definitions | None = None
        self._read_s = float("-inf")  # the definitions
        self._is_read_wanted = asyncio.Event()
        self._lines = 0
        self._is_up = False
        self.trying = 0
        """Changes that are under way."""
        self._untold: signals.LineDown | None = None
        self._budget: Budget
        self._rest: CloudRest

    # Life

    def _open(self, client: httpx.AsyncClient) -> None:
        total = self._requests_per_minute
        pacer = kept_pacer(self._counters, shares(total).sender, total, self._clock)
        self._budget = pacer.budget
        self._rest = CloudRest(self._address, self._tokens, client, pacer, clock=self._clock)

    def _begin_way(self) -> None:
        self._spawn(self._keep_definitions)

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
        if self._untold is not None and not self.trying:
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
                delay_s = error.retry_after_s or backoff_s(failures, self._chance)
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
            self._log.info("definitions.deactivated_unknown", reason=str(error))
        before, found = self._definitions, Definitions(entities)
        self._definitions, self._read_s = found, self._clock.now_s()
        self._counters.set("definitions", len(found))
        if before is None or before.by_id != found.by_id:
            self._log.info("definitions.read", definitions=len(found))
            for name in _unmeant(found, self._settings.cloud_transitions):
                self._log.error("definitions.transitions_name_none", name=name)
        self._tell(signals.StatesKnown(found))

    def _read_again(self) -> None:
        if self._clock.now_s() - self._read_s >= RELOAD_LEAST_S:
            self._is_read_wanted.set()

    # Changes

    def _check(self, user_id: str) -> None:
        raise AssertionError(f"nobody asks for {user_id} here: the machine speaks this dialect")

    def _send(self, change: signals.Send | signals.Patch) -> None:
        assert isinstance(change, signals.Patch), "the machine speaks this dialect"
        if not self._is_up or change.line != self._lines:
            self._not_sent(change)
            return
        self._spawn(self._try, change)

    def _not_sent(self, change: signals.Patch, spent_until_s: float | None = None) -> None:
        self._counters.add("updates_not_sent")
        self._tell(signals.NotSent(change.correlation, spent_until_s))

    def _has_room(self, change: signals.Patch) -> bool:
        """Nothing waits here for the budget: the machine's clock is running for what was sent."""
        now_s = self._clock.now_s()
        wait_s = self._budget.wait_s(now_s)
        if wait_s > 0.0:
            self._not_sent(change, now_s + wait_s)
        return wait_s == 0.0

    async def _try(self, change: signals.Patch) -> None:
        """One answer or none: if it takes too long, the machine has given it up by itself."""
        self.trying += 1
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._try_s):
                    await self._make(change)
        finally:
            self.trying -= 1
            self._tell_down()

    async def _make(self, change: signals.Patch) -> None:
        if not self._has_room(change):
            return
        try:
            answer = await self._answer(change)
        except NoTokenError as error:
            self._not_sent(change)
            self._line_down(error.message)
            self._is_read_wanted.set()  # which shows whether there is one again
        except RateLimitedError as error:
            retry_after_ms = round((error.retry_after_s or 0.0) * 1e3) or None
            self._acknowledge(_declined(change, error, retry_after_ms))
        except _REFUSES as error:
            self._acknowledge(_declined(change, error))
            if error.status == HTTPStatus.BAD_REQUEST:
                self._read_again()  # it may not know a definition that we know
        except CloudError as error:
            self._tell(signals.Unanswered(change.correlation, str(error)))
        else:
            self._acknowledge(answer)

    async def _answer(self, change: signals.Patch) -> signals.Acknowledged:
        assert self._definitions is not None, "without them no line is up"
        wanted = self._definitions.meant(change.state)
        if isinstance(wanted, Unmeant):  # since it was validated
            return _refused(change, HTTPStatus.BAD_REQUEST, wanted.reason)
        if not is_user_id(change.user_id):  # as a path it would name something else
            return _refused(change, HTTPStatus.NOT_FOUND, "no user can have this id")
        if change.doubted_since_us is not None:
            held = await self._rest.presence(change.user_id)
            if why := changed_since(held, wanted, change.doubted_since_us):
                return _refused(change, CHANGED_SINCE, why)
        self._counters.add("updates_sent")
        message = change.message or None
        now: Entity = await self._rest.patch_presence(change.user_id, wanted.id, message)
        return signals.Acknowledged(
            change.correlation, True, HTTPStatus.OK, "", "", None, shown_as(now)
        )

    def _acknowledge(self, answer: signals.Acknowledged) -> None:
        self._counters.add("acknowledgements")
        self._tell(answer)


def _declined(
    change: signals.Patch, error: CloudError, retry_after_ms: int | None = None
) -> signals.Acknowledged:
    lacking = ", ".join(error.missing_permissions)
    message = f"{error.message} (missing: {lacking})" if lacking else error.message
    return signals.Acknowledged(
        change.correlation, False, error.status, error.code, message, retry_after_ms
    )


def _refused(change: signals.Patch, status: int, why: str) -> signals.Acknowledged:
    """By ourselves; no call was made that could change anything."""
    return signals.Acknowledged(change.correlation, False, status, "", why, None)


def _unmeant(definitions: Definitions, table: Mapping[str, tuple[str, ...]]) -> list[str]:
    names = dict.fromkeys([*table, *(name for to in table.values() for name in to)])
    return [name for name in names if isinstance(definitions.meant(name), Unmeant)]

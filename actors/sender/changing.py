"""Owns how changes are made in the cloud dialect: one alone as a PATCH, several as one bulk PUT.

It knows no line, budget or time; calls out, signals in. A bulk's answer tells the presences as they
are now: an entry that holds what was wanted is the answer to its change, as that of a PATCH would
be. What the answer does not tell of, for whatever reason, is read and then made alone, so that
nobody's refusal touches another, and nothing is made twice (protocol.md §2.1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple, Protocol

import structlog

from actors.genesys.cloud import is_user_id
from actors.genesys.cloud_errors import (
    CloudError,
    ForbiddenError,
    NotFoundError,
    NoTokenError,
    RateLimitedError,
    RefusedError,
    UnauthorisedError,
)
from actors.genesys.cloud_rest import PRESENCES_AT_ONCE_MAX, NewPresence
from actors.genesys.definitions import Definition, Definitions, NoSuchDefinition
from actors.sender.cloud_dialect import CHANGED_SINCE, changed_since, shown_as
from actors.sender.signals import Acknowledged, NotSent, Patch, Signal, Unanswered
from runtime.clock import Clock
from runtime.counters import Counters

_REFUSES: Final = (UnauthorisedError, ForbiddenError, NotFoundError, RefusedError)
_REFUSES_ONE: Final = (ForbiddenError, NotFoundError, RefusedError)
"""Of a bulk: for whose sake nobody knows."""


class Presences(Protocol):
    """The calls that are made; `CloudRest` has them."""

    async def presence(self, user_id: str) -> Mapping[str, Any]: ...

    async def patch_presence(
        self, user_id: str, definition_id: str, message: str | None = None
    ) -> Mapping[str, Any]: ...

    async def put_presences(
        self, presences: Sequence[NewPresence]
    ) -> Sequence[Mapping[str, Any]]: ...


class _Wanted(NamedTuple):
    change: Patch
    definition: Definition


def together(changes: Sequence[Patch]) -> tuple[list[Patch], list[Patch]]:
    """Which of them one call takes, and which wait for the next one: of each user only the first,
    for the second is to come behind it."""
    taken: dict[str, Patch] = {}
    left = []
    for change in changes:
        user = change.user_id.lower()
        if user in taken or len(taken) == PRESENCES_AT_ONCE_MAX:
            left.append(change)
        else:
            taken[user] = change
    return list(taken.values()), left


class Changing:
    """`tell` hears of each change once. `on_no_token` hears why, and `on_doubt` that the gateway
    may not know a definition which we know. `gateway_ahead_us`: of our clock, by its newest answer;
    what a presence says of its change is judged by the clock that wrote it."""

    def __init__(
        self,
        rest: Presences,
        *,
        tell: Callable[[Signal], None],
        counters: Counters,
        clock: Clock,
        on_no_token: Callable[[str], None],
        on_doubt: Callable[[], None],
        gateway_ahead_us: Callable[[], int] = lambda: 0,
    ) -> None:
        self._rest = rest
        self._tell = tell
        self._counters = counters
        self._clock = clock
        self._on_no_token = on_no_token
        self._on_doubt = on_doubt
        self._gateway_ahead_us = gateway_ahead_us
        self._log = structlog.get_logger("actors.sender")
        self.tells_each = True
        """Whether a bulk's answer has always told what it made: if not, all of it is doubtful, and
        there is to be no other one."""

    async def make(self, changes: Sequence[Patch], definitions: Definitions) -> None:
        wanted = []
        for change in changes:
            meant = definitions.meant(change.state)
            if isinstance(meant, NoSuchDefinition):  # since it was validated
                self._refused(change, HTTPStatus.BAD_REQUEST, meant.reason)
            elif not is_user_id(change.user_id):  # as a path it would name something else
                self._refused(change, HTTPStatus.NOT_FOUND, "invalid user id")
            else:
                wanted.append(_Wanted(change, meant))
        if len(wanted) > 1:
            await self._make_together(wanted)
        elif wanted:
            await self._make_alone(*wanted[0])

    def not_sent(self, change: Patch, spent_until_s: float | None = None) -> None:
        self._counters.add("updates_not_sent")
        self._tell(NotSent(change.correlation, spent_until_s))

    # Alone

    async def _make_alone(self, change: Patch, wanted: Definition) -> None:
        try:
            if change.doubted_since_us is not None:
                held = await self._rest.presence(change.user_id)
                since_us = change.doubted_since_us + self._gateway_ahead_us()
                if why := changed_since(held, wanted, since_us):
                    self._refused(change, CHANGED_SINCE, why)
                    return
            self._counters.add("updates_sent")
            message = change.message or None
            now = await self._rest.patch_presence(change.user_id, wanted.id, message)
        except CloudError as error:
            self._failed([change], error)
        else:
            self._took(change, shown_as(now))

    # Together

    async def _make_together(self, wanted: list[_Wanted]) -> None:
        changes = [change for change, _ in wanted]
        began_us = self._clock.wall_us()
        self._counters.add("updates_sent", len(wanted))
        try:
            told = await self._rest.put_presences(
                [
                    NewPresence(change.user_id, definition.id, change.message)
                    for change, definition in wanted
                ]
            )
        except _REFUSES_ONE as error:
            self._log.info("bulk.refused", changes=len(wanted), reason=str(error))
            told, untold = [], wanted
        except CloudError as error:
            self._failed(changes, error)
            return
        else:
            untold = self._took_together(wanted, told)
        for change, definition in untold:
            await self._make_after_all(change, definition, began_us)

    def _took_together(
        self, wanted: list[_Wanted], told: Sequence[Mapping[str, Any]]
    ) -> list[_Wanted]:
        """Those of whom the answer does not tell that they are what was wanted."""
        by_user = {str(each.get("id")).lower(): each for each in told}
        untold = []
        for each in wanted:
            now = by_user.get(each.change.user_id.lower(), {})
            if _holds(now, each.definition) and (name := shown_as(now)):
                self._took(each.change, f"{name} in a bulk of {len(wanted)}")
            else:
                untold.append(each)
        return untold

    async def _make_after_all(self, change: Patch, wanted: Definition, bulk_us: int) -> None:
        """The bulk may have made it and said nothing of it. What then is changed is in doubt; what
        is as it was before is made alone, and that answer is its own."""
        try:
            held = await self._rest.presence(change.user_id)
            why = changed_since(held, wanted, bulk_us + self._gateway_ahead_us())
            if why and _holds(held, wanted) and self.tells_each:
                self.tells_each = False
                self._log.error(
                    "bulk.response_incomplete",
                    reason="the response lacks a change that was applied",
                )
        except NotFoundError as error:
            self._failed([change], error)
            return
        except CloudError as error:
            why = str(error)
        if why:
            self._tell(Unanswered(change.correlation, why))
        else:
            await self._make_alone(change, wanted)

    # What is told

    def _took(self, change: Patch, name: str) -> None:
        self._answered(Acknowledged(change.correlation, True, HTTPStatus.OK, "", "", None, name))

    def _refused(self, change: Patch, status: int, why: str) -> None:
        """By ourselves; no call was made that could change anything."""
        self._answered(Acknowledged(change.correlation, False, status, "", why, None))

    def _failed(self, changes: Sequence[Patch], error: CloudError) -> None:
        """The call of all these."""
        for change in changes:
            match error:
                case NoTokenError():
                    self.not_sent(change)
                case RateLimitedError():
                    retry_after_ms = round((error.retry_after_s or 0.0) * 1e3) or None
                    self._answered(_declined(change, error, retry_after_ms))
                case _ if isinstance(error, _REFUSES):
                    self._answered(_declined(change, error))
                case _:
                    self._tell(Unanswered(change.correlation, str(error)))
        if isinstance(error, NoTokenError):
            self._on_no_token(error.message)
        elif error.status == HTTPStatus.BAD_REQUEST:
            self._on_doubt()

    def _answered(self, answer: Acknowledged) -> None:
        self._counters.add("acknowledgements")
        self._tell(answer)


def _holds(presence: Mapping[str, Any], wanted: Definition) -> bool:
    found = presence.get("presenceDefinition")
    return isinstance(found, dict) and str(found.get("id")).lower() == wanted.id.lower()


def _declined(change: Patch, error: CloudError, retry_after_ms: int | None = None) -> Acknowledged:
    lacking = ", ".join(error.missing_permissions)
    message = f"{error.message} (missing: {lacking})" if lacking else error.message
    return Acknowledged(
        change.correlation, False, error.status, error.code, message, retry_after_ms
    )

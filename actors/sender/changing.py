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
from actors.sender import presence_answer
from actors.sender.cloud_dialect import CHANGED_SINCE, changed_since
from actors.sender.commands import Code
from actors.sender.presence_answer import Applied, Meaning, NotPrimary, Unclear, is_in, meaning_of
from actors.sender.signals import Acknowledged, NotSent, Patch, Pending, Signal, Unanswered
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

    # Both take `is_primary=True` where `sender.take_primary` is set.


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
    may not know a definition which we know. `gateway_ahead_us`: of our clock, None if that is not
    known; what a presence says of its change is judged by the clock that wrote it. `takes_primary`:
    each change makes its source the agent's primary one."""

    def __init__(
        self,
        rest: Presences,
        *,
        tell: Callable[[Signal], None],
        counters: Counters,
        clock: Clock,
        on_no_token: Callable[[str], None],
        on_doubt: Callable[[], None],
        gateway_ahead_us: Callable[[], int | None] = lambda: None,
        takes_primary: bool = False,
    ) -> None:
        self._rest = rest
        self._tell = tell
        self._counters = counters
        self._clock = clock
        self._on_no_token = on_no_token
        self._on_doubt = on_doubt
        self._gateway_ahead_us = gateway_ahead_us
        self._how = {"is_primary": True} if takes_primary else {}
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
                since_us = change.doubted_since_us + (self._gateway_ahead_us() or 0)
                if why := changed_since(held, wanted, since_us):
                    self._refused(change, CHANGED_SINCE, why)
                    return
            self._counters.add("updates_sent")
            message, asked_us = change.message or None, self._clock.wall_us()
            now = await self._rest.patch_presence(change.user_id, wanted.id, message, **self._how)
        except CloudError as error:
            self._failed([change], error)
        else:
            self._told(change, self._meaning(now, change, wanted, asked_us))

    def _meaning(self, answer: object, change: Patch, wanted: Definition, asked_us: int) -> Meaning:
        return meaning_of(answer, change.user_id, wanted, asked_us, self._gateway_ahead_us())

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
                ],
                **self._how,
            )
        except _REFUSES_ONE as error:
            self._log.info("bulk.refused", changes=len(wanted), reason=str(error))
            told, untold = [], wanted
        except CloudError as error:
            self._failed(changes, error)
            return
        else:
            untold = self._told_together(wanted, told, began_us)
        for change, definition in untold:
            await self._make_after_all(change, definition, began_us)

    def _told_together(
        self, wanted: list[_Wanted], told: Sequence[Mapping[str, Any]], asked_us: int
    ) -> list[_Wanted]:
        """Those of whom the answer does not tell what became of their change."""
        by_user = {str(each.get("id")).lower(): each for each in told}
        untold = []
        for each in wanted:
            now = by_user.get(each.change.user_id.lower())
            match self._meaning(now, *each, asked_us):
                case Unclear():
                    untold.append(each)
                case presence_answer.Pending(is_future=False):
                    untold.append(each)
                case Applied(shown_as=name):
                    self._told(each.change, Applied(f"{name} in a bulk of {len(wanted)}"))
                case meaning:
                    self._told(each.change, meaning)
        return untold

    async def _make_after_all(self, change: Patch, wanted: Definition, bulk_us: int) -> None:
        """The bulk may have made it and said nothing of it. What then is changed is in doubt; what
        is as it was before is made alone, and that answer is its own."""
        try:
            held = await self._rest.presence(change.user_id)
            why = changed_since(held, wanted, bulk_us + (self._gateway_ahead_us() or 0))
            if why and is_in(held, wanted) and self.tells_each:
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

    def _told(self, change: Patch, meaning: Meaning) -> None:
        """By the answer to a call that was a success: what it holds decides."""
        correlation = change.correlation
        match meaning:
            case Applied(shown_as=name):
                self._answered(Acknowledged(correlation, True, HTTPStatus.OK, "", "", None, name))
            case presence_answer.Pending(shown_as=name):
                self._answered(Pending(correlation, name))
            case NotPrimary(reason=why):
                code = Code.NOT_PRIMARY.value
                self._answered(Acknowledged(correlation, False, HTTPStatus.OK, code, why, None))
            case Unclear(reason=why):
                self._tell(Unanswered(correlation, why))

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

    def _answered(self, answer: Acknowledged | Pending) -> None:
        self._counters.add("acknowledgements")
        self._tell(answer)


def _declined(change: Patch, error: CloudError, retry_after_ms: int | None = None) -> Acknowledged:
    lacking = ", ".join(error.missing_permissions)
    message = f"{error.message} (missing: {lacking})" if lacking else error.message
    return Acknowledged(
        change.correlation, False, error.status, error.code, message, retry_after_ms
    )

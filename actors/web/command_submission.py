"""Placing: an order, from the request for it to what its caller may be told. Knows no HTTP status.

202 only after *Taken*: then the command is durable, and has exactly one end, whatever is killed.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from actors.messages.commands import Accepted, CommandRequest, Rejected, Resend, StatusChanged
from actors.sender.commands import CommandStep
from actors.web.link import SenderLink
from actors.web.problems import Problem
from runtime.clock import Clock

ORDER_TIMES: Final = 5
"""An order is written so many times, a second apart, before its caller is told that nobody
answers."""
ORDERS_WAITING_MAX: Final = 5_000
REFUSAL_KNOWN_AT_ONCE_S: Final = 1.0
WAIT_MAX_S: Final = 60.0
RETRY_AFTER_MS: Final = 1_000
"""Of what is refused here, before the sender has it."""

_UNDECIDED: Final = frozenset({CommandStep.ACCEPTED, CommandStep.VALIDATED})
"""After these a command may still be refused by our own rules, in a moment."""


class PresenceRequest(NamedTuple):
    """What a request asks for."""

    who: str
    user_id: str
    state: str
    reason: str
    expected: str | None
    forced: bool
    key: str | None


class SubmittedCommand(NamedTuple):
    """A command that was not refused, as far as is known."""

    told: StatusChanged
    is_repeated: bool  # under this key it was there before

    @property
    def is_ended(self) -> bool:
        return _is_end(self.told.step)


class CommandStatuses(Protocol):
    """Where commands stand, by what the sender has committed."""

    async def standing(self, command_id: str) -> StatusChanged | None: ...


class CommandSubmission:
    """One for all requests."""

    def __init__(
        self, link: SenderLink, standings: CommandStatuses, clock: Clock, *, sender_enabled: bool
    ) -> None:
        self._link = link
        self._standings = standings
        self._clock = clock
        self._sender_enabled = sender_enabled

    async def place(self, wanted: PresenceRequest, wait_s: float) -> SubmittedCommand:
        """Raises Problem if it is refused within `wait_s`, or within a moment."""
        self._assert_served()
        command_id = str(uuid.uuid4())
        order = CommandRequest(
            order=self._link.number(),
            command_id=command_id,
            key=wanted.key or command_id,
            who=wanted.who,
            user_id=wanted.user_id,
            to_state=wanted.state,
            reason=wanted.reason,
            expected=wanted.expected,
            forced=wanted.forced,
            at_us=self._clock.wall_us(),
        )
        taken = await self._ask(order)
        if wait_s > 0:
            told = await self._until(taken.command_id, _is_end_for_now, wait_s)
        else:
            told = await self._until(taken.command_id, _is_decided, REFUSAL_KNOWN_AT_ONCE_S)
        if told.step == CommandStep.REFUSED:
            raise _refusal(told, taken.is_repeated)
        return SubmittedCommand(told, taken.is_repeated)

    async def follow(self, command_id: str, wait_s: float, step: str) -> None:
        """Until the command has its end, or the time is over; from another step also until it is
        pending, for its end may take an hour then."""
        is_enough = _is_end if step == CommandStep.PENDING else _is_end_for_now
        await self._until(command_id, is_enough, wait_s)

    async def resend(self, message_id: str, who: str) -> None:
        """Raises Problem if there is no such message."""
        self._assert_served()
        order = Resend(order=self._link.number(), message_id=message_id, who=who)
        answer = await self._link.ask(order, times=ORDER_TIMES)
        if answer is None:
            raise Problem(
                "no-answer", "the sender does not respond; the message may still be sent again"
            )
        if isinstance(answer, Rejected):
            raise Problem(answer.code, answer.detail)

    def _assert_served(self) -> None:
        if not self._sender_enabled:
            raise Problem(
                "sender-off", "the sender is disabled: the setting sender.enabled is false"
            )
        if self._link.waiting >= ORDERS_WAITING_MAX:
            raise Problem(
                "too-many-waiting",
                f"too many requests are waiting for the sender (at most {ORDERS_WAITING_MAX:,})",
                retry_after_ms=RETRY_AFTER_MS,
            )

    async def _ask(self, order: CommandRequest) -> Accepted:
        async def look() -> Accepted | None:
            found = await self._standings.standing(order.command_id)
            return found and Accepted(order.order, order.command_id, is_repeated=False)

        answer = await self._link.ask(order, times=ORDER_TIMES, look=look)
        if isinstance(answer, Rejected):
            raise Problem(answer.code, answer.detail, command=order.command_id)
        if answer is None:
            raise Problem(
                "no-answer",
                "the sender does not respond; the command may still be executed: look it up by its "
                "id, or repeat the request with the same Idempotency-Key",
                command=order.command_id,
                retry_after_ms=RETRY_AFTER_MS,
            )
        return answer

    async def _until(
        self, command_id: str, is_enough: Callable[[str], bool], wait_s: float
    ) -> StatusChanged:
        """Where it stands once that is enough, or once the time is over."""
        deadline_s = self._clock.now_s() + wait_s
        told = self._link.told(command_id) or await self._look(command_id)
        while not is_enough(told.step) and not self._link.is_closed:
            left_s = deadline_s - self._clock.now_s()
            if left_s <= 0:
                break
            if await self._link.news(command_id, left_s):
                told = self._link.told(command_id) or told
            else:
                told = await self._look(command_id)
        return told

    async def _look(self, command_id: str) -> StatusChanged:
        return await self._standings.standing(command_id) or StatusChanged(
            command_id, CommandStep.ACCEPTED, "", "", None
        )


def _is_end(step: str) -> bool:
    return CommandStep(step).is_end


def _is_end_for_now(step: str) -> bool:
    return step == CommandStep.PENDING or _is_end(step)


def _is_decided(step: str) -> bool:
    return step not in _UNDECIDED


def _refusal(told: StatusChanged, is_repeated: bool) -> Problem:
    return Problem(
        told.code,
        told.detail,
        command=told.command_id,
        retry_after_ms=told.retry_after_ms,
        headers=replayed(is_repeated),
    )


def replayed(is_repeated: bool) -> dict[str, str]:
    """The header that says: nothing was done anew, this is where the earlier command stands."""
    return {"Idempotent-Replayed": "true"} if is_repeated else {}

"""Owns a command as values: its steps, why it was refused, and what is to be done about it. Pure.

Knows no rule: `actors.sender.machine` decides. A command's id is its correlation id on the wire, at
every try.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final, NamedTuple, TypeAlias

import orjson

from actors.genesys.times import iso_ms
from actors.messages.commands import OutcomeRecord
from actors.messages.queries import Question
from actors.sender import signals


@unique
class CommandStep(StrEnum):
    """Where a command stands. The last four are ends: each command comes to exactly one."""

    ACCEPTED = "accepted"  # durable
    VALIDATED = "validated"
    ADMITTED = "admitted"  # a permit was given; certainly not applied
    SENT = "sent"  # its acknowledgement is awaited
    PENDING = "pending"  # accepted, to be applied when the agent's interaction ends
    UNANSWERED = "unanswered"  # it may be applied or not: the stream is awaited, or the next try
    ACKNOWLEDGED = "acknowledged"  # applied; the stream is awaited
    REFUSED = "refused"  # certainly not applied
    CONFIRMED = "confirmed"  # a transition shows it
    UNCONFIRMED = "unconfirmed"  # acknowledged or pending, and no transition was seen in time
    UNKNOWN = "unknown"  # never answered and never seen

    @property
    def is_end(self) -> bool:
        return self in _ENDS


_ENDS: Final = frozenset(
    {CommandStep.REFUSED, CommandStep.CONFIRMED, CommandStep.UNCONFIRMED, CommandStep.UNKNOWN}
)


@unique
class Code(StrEnum):
    """Why a command was refused."""

    NO_SUCH_STATE = "no-such-state"
    REASON_TOO_LONG = "reason-too-long"
    NEVER_SEEN = "never-seen"
    STALE = "stale"
    UNKNOWN_AGENT_STATE = "unknown-agent-state"
    NOT_AS_EXPECTED = "not-as-expected"
    TRANSITION = "transition"
    NO_SUCH_USER = "no-such-user"
    NOT_PRIMARY = "not-primary"  # another source decides the agent's presence
    SCOPE = "scope"
    CAPACITY = "capacity"
    RATE = "rate"
    IN_FLIGHT = "in-flight"
    UNAVAILABLE = "unavailable"  # a shard, a line or the user check
    BAD_REQUEST = "bad-request"
    UNAUTHORISED = "unauthorised"
    GATEWAY_ERROR = "gateway-error"
    GATEWAY_RATE = "rate-limited-by-gateway"


class Refusal(NamedTuple):
    """Why a command is refused, for programs and for people."""

    code: Code
    detail: str


RETRY_AFTER_MS: Final[dict[str, int]] = {
    Code.RATE: 1_000,
    Code.IN_FLIGHT: 1_000,
    Code.UNAVAILABLE: 2_000,
    Code.CAPACITY: 5_000,
    Code.GATEWAY_RATE: 5_000,
}
"""What has nothing to do with the command itself: under the same key it may be tried again, and
after so long, unless more is known."""

KEY_BOUND: Final = "key-bound"
"""`NotTaken.code`: under this key there is another command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What is kept of a command. Times are UTC, microseconds; None: that did not happen."""

    id: str
    key: str | None  # None: released
    who: str
    user_id: str
    to_state: str
    reason: str
    expected: str | None
    forced: bool
    step: CommandStep
    code: str  # of a refusal, else ""
    detail: str  # what the step has to say
    held: str | None  # the presence that the agent was in when it was validated
    queue: str | None  # text of the agent's queues at that time (`actors.messages.queues`)
    tries: int  # frames that left, or may have left
    accepted_us: int
    first_sent_us: int | None
    last_sent_us: int | None
    acknowledged_us: int | None
    confirmed_us: int | None
    ended_us: int | None


# What is to be done. Records are committed first, all of a batch in one transaction.


class Record(NamedTuple):
    """Make durable: the command as it is now, one audit row, and what WFM is to be told."""

    command: Command
    step: str
    at_us: int
    detail: str
    webhook: bytes | None


class Ask(NamedTuple):
    """Ask a shard; the answer may never come, and then it is asked again."""

    shard: int
    question: Question


class ReportOutcome(NamedTuple):
    """Tell web."""

    outcome: OutcomeRecord


Action: TypeAlias = Record | Ask | ReportOutcome | signals.Send | signals.Patch | signals.CheckUser


def webhook_body(command: Command) -> bytes:
    """What WFM is told of a change that took (protocol.md §1.3)."""
    assert command.acknowledged_us is not None, command
    return orjson.dumps(
        {
            "event": "presence_change",
            "userId": command.user_id,
            "state": command.to_state,
            "timestamp": iso_ms(command.acknowledged_us),
        }
    )

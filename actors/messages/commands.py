"""Owns what web and sender say to each other: orders down, what became of them up. Pure.

Knows no ring, no HTTP and no database. An order is a command that the sender has not accepted yet.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from actors.messages.codec import Vocabulary


class CommandRequest(NamedTuple):
    """Somebody wants an agent's presence changed."""

    order: int  # web's number for it; what comes back bears it
    command_id: str  # UUID v4, made by web; the sender keeps it unless the key is bound already
    key: str  # idempotency key; the command's id if the caller gave none
    who: str  # "uid:1000", later a token's name
    user_id: str
    to_state: str
    reason: str
    expected: str | None  # the current state that the caller believes in
    forced: bool
    at_us: int


class Resend(NamedTuple):
    """Somebody wants a dead webhook message sent again."""

    order: int
    message_id: str
    who: str


class Accepted(NamedTuple):
    """The command is durable. `is_repeated`: under this key it was before."""

    order: int
    command_id: str
    is_repeated: bool


class StatusChanged(NamedTuple):
    """What the caller may be told now: the command's step, and for a refusal why."""

    command_id: str
    step: str
    code: str  # "" or a reason of `actors.sender.commands`
    detail: str
    retry_after_ms: int | None


class Rejected(NamedTuple):
    """No command was made: the key is bound to another command, or the sender cannot write."""

    order: int
    code: str
    detail: str


RequestRecord: TypeAlias = CommandRequest | Resend
OutcomeRecord: TypeAlias = Accepted | StatusChanged | Rejected

_ORDERS: Vocabulary[RequestRecord] = Vocabulary({CommandRequest: "order", Resend: "resend"})
_OUTCOMES: Vocabulary[OutcomeRecord] = Vocabulary(
    {Accepted: "taken", StatusChanged: "told", Rejected: "not taken"}
)

encode_request, decode_request = _ORDERS.encode, _ORDERS.decode
encode_outcome, decode_outcome = _OUTCOMES.encode, _OUTCOMES.decode

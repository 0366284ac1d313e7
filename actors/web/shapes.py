"""Shapes: what the API takes and gives, as OpenAPI tells it. Knows no route and no table."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from actors.genesys.presences import PRESENCE_CHARS_MAX, Presence
from actors.genesys.times import iso_ms, utc
from actors.messages.queues import former_queue, queues_of
from actors.sender.cloud_dialect import MESSAGE_CHARS_MAX
from actors.sender.commands import Command, CommandStep
from actors.sender.reader import CommandStory, WebhookMessageRow
from actors.sender.transitions import REASON_CHARS_MAX

KEY_LENGTH_MAX: Final = 200

When = Annotated[
    str,
    Field(description="UTC, ISO-8601 with milliseconds", examples=["2026-11-21T22:00:00.000Z"]),
]
MessageState: TypeAlias = Literal["waiting", "delivered", "dead"]


Named = Annotated[
    str,
    Field(
        min_length=1,
        max_length=PRESENCE_CHARS_MAX,
        description="a presence definition: its name, its label in any language, or its id",
        examples=["On Queue", "Meal"],
    ),
]
_EXPECTED: Final = "refuse the change unless the agent is in this presence"


class PresenceChange(BaseModel):
    """A requested change of an agent's presence."""

    model_config = ConfigDict(extra="forbid")

    state: Named
    reason: str = Field(
        default="",
        max_length=MESSAGE_CHARS_MAX,
        description="recorded in the audit, and shown as the presence message",
    )
    expected: Named | None = Field(default=None, description=_EXPECTED)
    force: bool = Field(
        default=False,
        description="skip the transition, capacity and staleness checks (audited)",
    )


class WspChange(PresenceChange):
    """A requested change in the wsp dialect, which has four presences."""

    state: Presence
    reason: str = Field(
        default="", max_length=REASON_CHARS_MAX, description="recorded in the audit"
    )
    expected: Presence | None = Field(default=None, description=_EXPECTED)


CHANGES: Final[dict[str, type[PresenceChange]]] = {"wsp": WspChange, "cloud": PresenceChange}
"""What is taken in each dialect."""


class CommandStatus(BaseModel):
    """The status of a command."""

    id: str = Field(description="also sent as the correlation id")
    user_id: str
    state: str
    step: CommandStep = Field(
        description="the last four are final: each command ends with exactly one of them; "
        "`pending`: accepted by the gateway, which applies it when the agent's interaction ends"
    )
    code: str = Field(description="reason of a refusal; otherwise empty")
    detail: str


class CommandShown(CommandStatus):
    """A stored command."""

    reason: str
    expected: str | None
    forced: bool
    who: str = Field(description="who requested it", examples=["uid:1000"])
    held: str | None = Field(description="the agent's presence when the command was checked")
    queues: list[str] = Field(description="ids of the agent's queues at that time")
    queue: str | None = Field(description="deprecated: one of `queues`, or null")
    tries: int = Field(description="attempts that were, or may have been, sent")
    accepted_at: When
    first_sent_at: When | None
    last_sent_at: When | None
    acknowledged_at: When | None
    confirmed_at: When | None
    ended_at: When | None


class AuditStep(BaseModel):
    """One row of a command's audit."""

    at: When
    step: str
    detail: str


class Message(BaseModel):
    """The webhook message of one command."""

    id: str = Field(description="sent as webhook-id and Idempotency-Key with every attempt")
    command: str
    state: MessageState
    attempts: int
    last_status: int | None = Field(description="HTTP status of the last attempt; 0: no response")
    last_detail: str
    created_at: When
    due_at: When
    last_at: When | None


class CommandWithSteps(CommandShown):
    """A command with its audit and its webhook message."""

    steps: list[AuditStep]
    webhook: Message | None


class Commands(BaseModel):
    """Commands, newest first."""

    commands: list[CommandShown]


class Messages(BaseModel):
    """Webhook messages; `waiting` and `dead` are totals."""

    messages: list[Message]
    waiting: int
    dead: int
    oldest_waiting_at: When | None


class ResentMessage(BaseModel):
    """A dead message that will be sent again."""

    id: str


def shown(command: Command) -> dict[str, Any]:
    """The fields of CommandShown."""
    return {
        "id": command.id,
        "user_id": command.user_id,
        "state": command.to_state,
        "step": command.step,
        "code": command.code,
        "detail": command.detail,
        "reason": command.reason,
        "expected": command.expected,
        "forced": command.forced,
        "who": command.who,
        "held": command.held,
        "queues": list(queues_of(command.queue)),
        "queue": former_queue(command.queue),
        "tries": command.tries,
        "accepted_at": iso_ms(command.accepted_us),
        "first_sent_at": utc(command.first_sent_us),
        "last_sent_at": utc(command.last_sent_us),
        "acknowledged_at": utc(command.acknowledged_us),
        "confirmed_at": utc(command.confirmed_us),
        "ended_at": utc(command.ended_us),
    }


def with_steps(story: CommandStory) -> CommandWithSteps:
    steps = [
        AuditStep(at=iso_ms(row.at_us), step=row.step, detail=str(row.detail.get("detail", "")))
        for row in story.steps
    ]
    return CommandWithSteps(
        **shown(story.command),
        steps=steps,
        webhook=None if story.message is None else message(story.message),
    )


def message(row: WebhookMessageRow) -> Message:
    return Message.model_validate(
        {
            "id": row.message_id,
            "command": row.command,
            "state": row.state,
            "attempts": row.attempts,
            "last_status": row.last_status,
            "last_detail": row.last_detail,
            "created_at": iso_ms(row.born_us),
            "due_at": iso_ms(row.due_us),
            "last_at": utc(row.last_us),
        }
    )

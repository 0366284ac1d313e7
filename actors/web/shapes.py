"""Shapes: what the API takes and gives, as OpenAPI tells it. Knows no route and no table."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from actors.genesys.presences import PRESENCE_CHARS_MAX, Presence
from actors.genesys.times import iso_ms, utc
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
        description="a presence definition: its name, a label in any language, or its id",
        examples=["On Queue", "Meal"],
    ),
]
_EXPECTED: Final = "refused if the agent is in another one now"


class PresenceChange(BaseModel):
    """A presence that somebody wants an agent to be in."""

    model_config = ConfigDict(extra="forbid")

    state: Named
    reason: str = Field(
        default="",
        max_length=MESSAGE_CHARS_MAX,
        description="is audited, and shown as the presence's message",
    )
    expected: Named | None = Field(default=None, description=_EXPECTED)
    force: bool = Field(
        default=False,
        description="also against the transition table, capacity limits and a state that is not "
        "confirmed; is audited",
    )


class WspChange(PresenceChange):
    """In the wsp dialect there are four."""

    state: Presence
    reason: str = Field(default="", max_length=REASON_CHARS_MAX, description="is audited")
    expected: Presence | None = Field(default=None, description=_EXPECTED)


CHANGES: Final[dict[str, type[PresenceChange]]] = {"wsp": WspChange, "cloud": PresenceChange}
"""What is taken in each dialect."""


class CommandStatus(BaseModel):
    """Where a command stands."""

    id: str = Field(description="also its correlation id on the wire")
    user_id: str
    state: str
    step: CommandStep = Field(
        description="the last four are ends: each command comes to exactly one"
    )
    code: str = Field(description="why it was refused; empty otherwise")
    detail: str


class CommandShown(CommandStatus):
    """A command, as it is kept."""

    reason: str
    expected: str | None
    forced: bool
    who: str = Field(description="who asked", examples=["uid:1000"])
    held: str | None = Field(description="the presence that the agent was in when it was judged")
    queue: str | None = Field(description="the agent's, at that time")
    tries: int = Field(description="frames that left, or may have left")
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
    """What the webhook is to be told of one command."""

    id: str = Field(description="webhook-id and Idempotency-Key of every attempt")
    command: str
    state: MessageState
    attempts: int
    last_status: int | None = Field(description="0: no answer at all")
    last_detail: str
    created_at: When
    due_at: When
    last_at: When | None


class CommandWithSteps(CommandShown):
    """A command with its audit, and what the webhook was told of it."""

    steps: list[AuditStep]
    webhook: Message | None


class Commands(BaseModel):
    """The newest first."""

    commands: list[CommandShown]


class Messages(BaseModel):
    """What is owed to the webhook; `waiting` and `dead` count all that there are."""

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
        "queue": command.queue,
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

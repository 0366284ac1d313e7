"""Commands: the routes that tell what became of them. Knows no ring and no table.

GET  /api/commands, /api/commands/{id}  what became of it
GET  /api/webhooks                      what is owed to the webhook
POST /api/webhooks/{id}/resend          a dead message lives again
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query

from actors.genesys.times import utc
from actors.messages.control import USER_ID_BYTES_MAX
from actors.sender.commands import CommandStep
from actors.web.parts import WebParts
from actors.web.problems import Problem, documented
from actors.web.routes.parameters import Limit, Wait, Who
from actors.web.shapes import (
    Commands,
    CommandShown,
    CommandWithSteps,
    Messages,
    MessageState,
    ResentMessage,
    message,
    shown,
    with_steps,
)

COMMANDS: Final = "/api/commands"


def routes(parts: WebParts) -> APIRouter:
    router = APIRouter()
    _commands(router, parts)
    _webhooks(router, parts)
    return router


def _commands(router: APIRouter, parts: WebParts) -> None:
    submission, command_reader = parts.submission, parts.command_reader

    @router.get(
        COMMANDS, summary="List commands, newest first", responses=documented(403, 422, 500, 503)
    )
    async def list_commands(
        step: Annotated[CommandStep | None, Query(description="only commands in this step")] = None,
        user: Annotated[
            str | None, Query(max_length=USER_ID_BYTES_MAX, description="id of the agent")
        ] = None,
        limit: Limit = 50,
    ) -> Commands:
        found = await command_reader.commands(limit=limit, step=step, user_id=user)
        return Commands(commands=[CommandShown(**shown(each)) for each in found])

    @router.get(
        COMMANDS + "/{id}",
        summary="Get a command with its audit",
        responses=documented(403, 404, 422, 500, 503),
    )
    async def get_command(
        command_id: Annotated[str, Path(alias="id", max_length=64)], wait: Wait = 0
    ) -> CommandWithSteps:
        story = await command_reader.command(command_id)
        if story is not None and wait and story.command.ended_us is None:
            await submission.follow(command_id, wait, story.command.step)
            story = await command_reader.command(command_id)
        if story is None:
            raise Problem(
                "no-such-command", "no command has this id; it may have been deleted by retention"
            )
        return with_steps(story)


def _webhooks(router: APIRouter, parts: WebParts) -> None:
    submission, command_reader = parts.submission, parts.command_reader

    @router.get(
        "/api/webhooks",
        summary="List webhook messages, newest first",
        responses=documented(403, 422, 500, 503),
    )
    async def list_messages(
        state: Annotated[MessageState, Query(description="only messages in this state")] = "dead",
        limit: Limit = 50,
    ) -> Messages:
        counts = await command_reader.outbox()
        messages = await command_reader.messages(limit=limit, state=state)
        return Messages(
            messages=[message(each) for each in messages],
            waiting=counts.waiting,
            dead=counts.dead,
            oldest_waiting_at=utc(counts.oldest_us),
        )

    @router.post(
        "/api/webhooks/{id}/resend",
        status_code=202,
        summary="Send a dead message again, with a new deadline",
        responses=documented(403, 404, 422, 500, 503),
    )
    async def resend_message(
        message_id: Annotated[str, Path(alias="id", max_length=64)], who: Who
    ) -> ResentMessage:
        await submission.resend(message_id, who)
        return ResentMessage(id=message_id)

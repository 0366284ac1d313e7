"""App: the routes of the API and what OpenAPI says of them. Knows no ring and no table.

POST /api/agents/{id}/presence          change a presence
GET  /api/commands, /api/commands/{id}  what became of it
GET  /api/webhooks                      what is owed to the webhook
POST /api/webhooks/{id}/resend          a dead message lives again
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Header, Path, Query, Request, Response
from starlette.convertors import Convertor, register_url_convertor

from actors.events import USER_ID_BYTES_MAX
from actors.sender.commands import Step
from actors.web.body_limit import BodyLimit
from actors.web.book import Book
from actors.web.peer import OwnerOnly, uid_of
from actors.web.placing import WAIT_MAX_S, Placing, Wanted, replayed
from actors.web.problems import Problem, described, documented, handle_problems
from actors.web.shapes import (
    CHANGES,
    KEY_LENGTH_MAX,
    Change,
    Commands,
    CommandShown,
    CommandWithSteps,
    Messages,
    MessageState,
    Resent,
    Standing,
    message,
    shown,
    utc,
    with_steps,
)

COMMANDS: Final = "/api/commands"
OPENAPI: Final = "/api/openapi.json"
_AS_LONG: Final = "seconds to wait for the command's end"

Wait = Annotated[float, Query(ge=0, le=WAIT_MAX_S, allow_inf_nan=False, description=_AS_LONG)]
User = Annotated[
    str, Path(alias="id", min_length=1, max_length=USER_ID_BYTES_MAX, description="the agent's")
]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=KEY_LENGTH_MAX,
        pattern=r"^[\x21-\x7e]+$",
        description="the same request under the same key is one command, however often it is sent",
    ),
]

Limit = Annotated[int, Query(ge=1, le=1_000, description="at most so many")]
_LOCATION: Final[dict[str, Any]] = {
    "Location": {"description": "the command", "schema": {"type": "string"}}
}


def _who(request: Request) -> str:
    return f"uid:{uid_of(request.scope)}"


Who = Annotated[str, Depends(_who)]


class _AgentConvertor(Convertor[str]):
    """Any text: what an agent is called is the gateway's affair. Starlette's own converters stop at
    a slash, or at the end of a line."""

    regex = "(?s:.+)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("agent", _AgentConvertor())


class _Api(FastAPI):
    """Tells of its problems as they are."""

    def openapi(self) -> dict[str, Any]:
        return described(super().openapi())


def make_app(placing: Placing, book: Book, dialect: str = "wsp") -> FastAPI:
    """An ASGI application for whoever serves it; no lifespan."""
    app = _Api(
        title="presence-runtime",
        version="1",
        openapi_url=OPENAPI,
        docs_url=None,  # these would load their scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    handle_problems(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(OwnerOnly)
    _changes(app, placing, CHANGES[dialect])
    _commands(app, placing, book)
    _webhooks(app, placing, book)
    return app


def _changes(app: FastAPI, placing: Placing, shape: type[Change]) -> None:
    route = app.post(
        "/api/agents/{id:agent}/presence",
        status_code=202,
        response_model=Standing,
        summary="Change an agent's presence",
        responses={
            200: {"model": Standing, "description": "waited for, and it has its end"},
            202: {"description": "durable: it will come to exactly one end", "headers": _LOCATION},
            **documented(400, 403, 409, 413, 422, 429, 500, 503),
        },
    )

    async def change_presence(
        *,
        user_id: User,
        change: Change,
        response: Response,
        who: Who,
        key: Key = None,
        wait: Wait = 0,
    ) -> Standing:
        wanted = Wanted(
            who=who,
            user_id=user_id,
            state=change.state,
            reason=change.reason,
            expected=change.expected,
            forced=change.force,
            key=key,
        )
        placed = await placing.place(wanted, wait)
        told = placed.told
        if placed.is_ended:
            response.status_code = 200
        response.headers["Location"] = f"{COMMANDS}/{told.command_id}"
        response.headers.update(replayed(placed.is_repeated))
        return Standing(
            id=told.command_id,
            user_id=user_id,
            state=change.state,
            step=Step(told.step),
            code=told.code,
            detail=told.detail,
        )

    # FastAPI reads what a body must be from here: it differs by dialect.
    change_presence.__annotations__["change"] = shape
    route(change_presence)


def _commands(app: FastAPI, placing: Placing, book: Book) -> None:
    @app.get(
        COMMANDS, summary="Commands, the newest first", responses=documented(403, 422, 500, 503)
    )
    async def list_commands(
        step: Annotated[Step | None, Query(description="only those that stand there")] = None,
        user: Annotated[
            str | None, Query(max_length=USER_ID_BYTES_MAX, description="an agent's id")
        ] = None,
        limit: Limit = 50,
    ) -> Commands:
        found = await book.commands(limit=limit, step=step, user_id=user)
        return Commands(commands=[CommandShown(**shown(each)) for each in found])

    @app.get(
        COMMANDS + "/{id}",
        summary="A command, and its audit",
        responses=documented(403, 404, 422, 500, 503),
    )
    async def get_command(
        command_id: Annotated[str, Path(alias="id", max_length=64)], wait: Wait = 0
    ) -> CommandWithSteps:
        story = await book.command(command_id)
        if story is not None and wait and story.command.ended_us is None:
            await placing.follow(command_id, wait)
            story = await book.command(command_id)
        if story is None:
            raise Problem("no-such-command", "no command has this id, or none has it any more")
        return with_steps(story)


def _webhooks(app: FastAPI, placing: Placing, book: Book) -> None:
    @app.get(
        "/api/webhooks",
        summary="What is owed to the webhook, the newest first",
        responses=documented(403, 422, 500, 503),
    )
    async def list_messages(
        state: Annotated[MessageState, Query(description="only these")] = "dead",
        limit: Limit = 50,
    ) -> Messages:
        counts = await book.outbox()
        letters = await book.letters(limit=limit, state=state)
        return Messages(
            messages=[message(each) for each in letters],
            waiting=counts.waiting,
            dead=counts.dead,
            oldest_waiting_at=utc(counts.oldest_us),
        )

    @app.post(
        "/api/webhooks/{id}/resend",
        status_code=202,
        summary="Send a dead message again: its age begins anew",
        responses=documented(403, 404, 422, 500, 503),
    )
    async def resend_message(
        message_id: Annotated[str, Path(alias="id", max_length=64)], who: Who
    ) -> Resent:
        await placing.resend(message_id, who)
        return Resent(id=message_id)

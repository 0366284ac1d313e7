"""Problems: why a request was refused, as RFC 9457 says it. Knows no route and no socket.

The code is for programs and never changes its meaning; the detail is for people.
"""

from __future__ import annotations

from http import HTTPStatus
from math import ceil
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from actors.sender.commands import KEY_BOUND, Code
from actors.web.link import STOPPING
from runtime.errors import RuntimeFault

MEDIA_TYPE: Final = "application/problem+json"
SHOWN_ERRORS_MAX: Final = 20
NO_DATABASE: Final = "no-database"

STATUS_OF: Final[dict[str, HTTPStatus]] = {
    # of a request
    "invalid-request": HTTPStatus.UNPROCESSABLE_ENTITY,
    "not-the-owner": HTTPStatus.FORBIDDEN,
    "wrong-host": HTTPStatus.MISDIRECTED_REQUEST,
    "foreign-origin": HTTPStatus.FORBIDDEN,
    "token-needed": HTTPStatus.UNAUTHORIZED,
    "wrong-token": HTTPStatus.UNAUTHORIZED,
    "read-only": HTTPStatus.FORBIDDEN,  # what the token may
    "too-many-requests": HTTPStatus.TOO_MANY_REQUESTS,
    "no-such-command": HTTPStatus.NOT_FOUND,
    "no-such-agent": HTTPStatus.NOT_FOUND,
    "no-such-page": HTTPStatus.NOT_FOUND,
    "no-such-frame": HTTPStatus.NOT_FOUND,
    "no-such-probe": HTTPStatus.NOT_FOUND,
    "method-not-allowed": HTTPStatus.METHOD_NOT_ALLOWED,
    "too-many-filters": HTTPStatus.TOO_MANY_REQUESTS,
    "too-many-readers": HTTPStatus.SERVICE_UNAVAILABLE,
    "not-dead": HTTPStatus.NOT_FOUND,  # a message that may be sent again
    "too-large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "too-many-waiting": HTTPStatus.SERVICE_UNAVAILABLE,
    "internal-error": HTTPStatus.INTERNAL_SERVER_ERROR,
    STOPPING: HTTPStatus.SERVICE_UNAVAILABLE,
    "sender-off": HTTPStatus.SERVICE_UNAVAILABLE,
    "no-answer": HTTPStatus.SERVICE_UNAVAILABLE,
    NO_DATABASE: HTTPStatus.SERVICE_UNAVAILABLE,
    # of a command: the caller's view of the agent or of the key is wrong
    KEY_BOUND: HTTPStatus.CONFLICT,
    Code.NOT_AS_EXPECTED: HTTPStatus.CONFLICT,
    # the same command would be refused again until something else changes
    Code.NO_SUCH_STATE: HTTPStatus.UNPROCESSABLE_ENTITY,
    Code.REASON_TOO_LONG: HTTPStatus.UNPROCESSABLE_ENTITY,
    Code.NEVER_SEEN: HTTPStatus.UNPROCESSABLE_ENTITY,
    Code.STALE: HTTPStatus.UNPROCESSABLE_ENTITY,
    Code.UNKNOWN_AGENT_STATE: HTTPStatus.UNPROCESSABLE_ENTITY,
    Code.TRANSITION: HTTPStatus.UNPROCESSABLE_ENTITY,
    Code.NO_SUCH_USER: HTTPStatus.UNPROCESSABLE_ENTITY,
    Code.NOT_PRIMARY: HTTPStatus.UNPROCESSABLE_ENTITY,
    Code.BAD_REQUEST: HTTPStatus.UNPROCESSABLE_ENTITY,
    # it may be said again, later
    Code.RATE: HTTPStatus.TOO_MANY_REQUESTS,
    Code.IN_FLIGHT: HTTPStatus.TOO_MANY_REQUESTS,
    Code.CAPACITY: HTTPStatus.TOO_MANY_REQUESTS,
    Code.GATEWAY_RATE: HTTPStatus.TOO_MANY_REQUESTS,
    # somebody else must act first
    Code.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Code.SCOPE: HTTPStatus.SERVICE_UNAVAILABLE,
    Code.UNAUTHORISED: HTTPStatus.SERVICE_UNAVAILABLE,
    Code.GATEWAY_ERROR: HTTPStatus.SERVICE_UNAVAILABLE,
}


_CODE_OF: Final = {HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too-large"}


class ProblemBody(BaseModel):
    """A refusal (RFC 9457)."""

    type: str = Field(
        default="about:blank",
        description="always `about:blank`; use `code` to distinguish problems",
    )
    title: str
    status: int
    code: str = Field(
        description="machine-readable reason; its meaning never changes", examples=["rate"]
    )
    detail: str = Field(description="human-readable explanation")
    command: str | None = Field(default=None, description="the id of the command concerned")
    retry_after_ms: int | None = Field(
        default=None, description="like `Retry-After`, in milliseconds"
    )
    errors: list[str] | None = Field(default=None, description="the errors found in the request")


class Problem(Exception):  # noqa: N818 - RFC 9457's word
    """Ends a request with its code's status."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        command: str | None = None,
        retry_after_ms: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.command = command
        self.retry_after_ms = retry_after_ms
        self.headers = headers or {}

    def response(self) -> Response:
        # What a later sender calls a refusal is one all the same.
        status = STATUS_OF.get(self.code, HTTPStatus.UNPROCESSABLE_ENTITY)
        body = ProblemBody(
            title=status.phrase,
            status=status,
            code=self.code,
            detail=self.detail,
            command=self.command,
            retry_after_ms=self.retry_after_ms,
        )
        headers = dict(self.headers)
        if self.retry_after_ms is not None:
            headers["Retry-After"] = str(ceil(self.retry_after_ms / 1000))
        return _response(body, headers)


def described(openapi: dict[str, Any]) -> dict[str, Any]:
    """With the body that `documented` refers to."""
    openapi["components"]["schemas"][ProblemBody.__name__] = ProblemBody.model_json_schema()
    return openapi


def handle_problems(app: FastAPI) -> None:
    """Also what FastAPI and Starlette refuse by themselves is told in this form."""
    app.add_exception_handler(Problem, _of_ours)
    app.add_exception_handler(RuntimeFault, _of_database)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_starlette)
    app.add_exception_handler(Exception, _of_a_mistake)  # uvicorn logs it, too


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may be refused with these. (FastAPI's own way, a model, would
    describe them a second time as plain JSON.)"""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {
                MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{ProblemBody.__name__}"}}
            },
        }
        for status in statuses
    }


async def _of_ours(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


async def _of_database(_request: Request, error: Exception) -> Response:
    """The only fault of ours that a route may meet: what it wanted to read cannot be read."""
    return Problem(NO_DATABASE, str(error)).response()


async def _of_validation(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # Without the input: it may be long, and whoever sent it has it.
    errors = [
        f"{'.'.join(str(each) for each in one['loc'])}: {one['msg']}" for one in error.errors()
    ]
    status = STATUS_OF["invalid-request"]
    body = ProblemBody(
        title=status.phrase,
        status=status,
        code="invalid-request",
        detail=errors[0] if errors else "the request does not match the schema",
        errors=errors[:SHOWN_ERRORS_MAX],
    )
    return _response(body, {})


async def _of_starlette(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    headers = dict(error.headers or {})
    if status == HTTPStatus.BAD_REQUEST:  # FastAPI's word for JSON that nobody can read
        return Problem("invalid-request", str(error.detail)).response()
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_allowed(request)) or headers.get("Allow", "")
    body = ProblemBody(
        title=status.phrase,
        status=status,
        code=_CODE_OF.get(status, status.phrase.lower().replace(" ", "-")),
        detail=str(error.detail),
    )
    return _response(body, headers)


def _allowed(request: Request) -> list[str]:
    """All that its path knows, by the description. Starlette tells those of the route that it came
    upon; there may be one more, of the same path, for another method."""
    path = getattr(request.scope.get("route"), "path_format", None)
    known = {method.upper() for method in request.app.openapi()["paths"].get(path, ())}
    return sorted(known | ({"HEAD"} if "GET" in known else set()))


async def _of_a_mistake(_request: Request, _error: Exception) -> Response:
    return Problem("internal-error", "internal error; see the log").response()


def _response(body: ProblemBody, headers: dict[str, str]) -> Response:
    return JSONResponse(
        body.model_dump(exclude_none=True), body.status, headers, media_type=MEDIA_TYPE
    )

"""ApiClient: speaks HTTP with the runtime of a data directory. Knows no command line.

What is asked twice is done once (each change bears an idempotency key), so whatever goes wrong on
the way is simply asked again: a web child that restarts while somebody waits is not even noticed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar
from urllib.parse import quote

import httpx

from actors.cli import tables
from actors.sender.commands import CommandStep
from actors.storage.data_dir import holder
from actors.web import address
from runtime.clock import Clock, SystemClock
from runtime.errors import LocalError, RemoteError, TemporaryError

PATIENCE_S: Final = 20.0
"""How long a runtime that lives may be without an answer: a child is restarted in a second or two,
one that is stuck is killed after 15 s."""
ASK_AGAIN_S: Final = 0.2
READ_TIMEOUT_S: Final = 90.0
WAIT_S: Final = 30.0
"""Of one request for a command's end; asked again until there is one."""
FIRST_WAIT_S: Final = 1.0
"""Of the first one: a command that is pending by then keeps the others waiting for its end."""
CONNECTIONS_MAX: Final = 256
PENDING_S: Final = 15.0
"""How long a pending command is waited for: a change that the gateway makes in a moment is seen
then, and whoever waits for the end of a conversation is told that it has not come."""
_PASSING: Final = frozenset({"no-answer", "stopping", "too-many-waiting"})
"""Codes of refusals that a moment cures."""

Body: TypeAlias = dict[str, Any]
Value = TypeVar("Value")


class ApiResponse(NamedTuple):
    """What came back. `body` is a problem (RFC 9457) where the status is 400 or above."""

    status: int
    body: Body
    is_replayed: bool = False

    @property
    def is_problem(self) -> bool:
        return self.status >= httpx.codes.BAD_REQUEST

    @property
    def code(self) -> str:
        return str(self.body.get("code", "")) if self.is_problem else ""


class ApiClient:
    """Raises TemporaryError when no runtime runs there, or none answers."""

    def __init__(
        self, http: httpx.AsyncClient, data_dir: Path, *, clock: Clock, patience_s: float
    ) -> None:
        self._http = http
        self._data_dir = data_dir
        self._clock = clock
        self._patience_s = patience_s

    async def change(
        self, user_id: str, change: Body, *, key: str, wait_s: float = 0
    ) -> ApiResponse:
        """POST /api/agents/{id}/presence."""
        path = f"/api/agents/{quote(user_id, safe='')}/presence"
        headers = {"Idempotency-Key": key}
        return await self._ask("POST", path, json=change, headers=headers, params=_wait(wait_s))

    async def command(self, command_id: str, *, wait_s: float = 0) -> ApiResponse:
        path = f"/api/commands/{quote(command_id, safe='')}"
        return await self._ask("GET", path, params=_wait(wait_s))

    async def ended(self, command_id: str) -> Body:
        """The command, once it has its end, or has been pending for PENDING_S: then its end may be
        an hour away."""
        wait_s, pending_until_s = FIRST_WAIT_S, float("inf")
        while True:
            command = expected(await self.command(command_id, wait_s=wait_s))
            if CommandStep(command["step"]).is_end:
                return command
            if command["step"] == CommandStep.PENDING:
                now_s = self._clock.now_s()
                pending_until_s = min(pending_until_s, now_s + PENDING_S)
                if now_s >= pending_until_s:
                    return command
                wait_s = pending_until_s - now_s
            else:
                wait_s = WAIT_S
            await asyncio.sleep(ASK_AGAIN_S)  # a child that stops lets nobody wait

    async def commands(self, **filters: str | int | None) -> ApiResponse:
        return await self._ask("GET", "/api/commands", params=_given(filters))

    async def webhooks(self, **filters: str | int | None) -> ApiResponse:
        return await self._ask("GET", "/api/webhooks", params=_given(filters))

    async def status(self) -> Body:
        """GET /api/status."""
        return expected(await self._ask("GET", "/api/status"))

    async def unready(self) -> list[str]:
        """Why it is not ready, as /readyz says it; empty: it is."""
        return list((await self._ask("GET", "/readyz")).body.get("reasons", ()))

    async def resend(self, message_id: str) -> ApiResponse:
        return await self._ask("POST", f"/api/webhooks/{quote(message_id, safe='')}/resend")

    async def _ask(self, method: str, path: str, **request: Any) -> ApiResponse:
        deadline_s = self._clock.now_s() + self._patience_s
        while True:
            try:
                response = await self._http.request(method, path, **request)
            except httpx.TransportError as error:
                trouble = f"the web process does not respond ({str(error) or type(error).__name__})"
                if holder(self._data_dir) is None:
                    raise TemporaryError(
                        f"no runtime is running on {self._data_dir}; start it, or specify the data "
                        "directory of a running one (--data-dir)"
                    ) from None
            else:
                answer = _answer(response)
                if answer.code not in _PASSING:
                    return answer
                trouble = tables.cell(answer.body.get("detail"))
            if self._clock.now_s() >= deadline_s:
                raise TemporaryError(f"the runtime on {self._data_dir}: {trouble}")
            await asyncio.sleep(ASK_AGAIN_S)


@asynccontextmanager
async def open_client(
    data_dir: Path, *, clock: Clock | None = None, patience_s: float | None = None
) -> AsyncIterator[ApiClient]:
    """LocalError if the directory cannot be entered."""
    async with AsyncExitStack() as stack:
        try:
            path = stack.enter_context(address.connect_path(data_dir))
        except OSError as error:
            raise LocalError(f"cannot open the directory {data_dir}: {error.strerror}") from None
        limits = httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=8)
        http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=path, limits=limits),
            base_url="http://runtime",
            timeout=httpx.Timeout(READ_TIMEOUT_S, pool=None),
        )
        yield ApiClient(
            await stack.enter_async_context(http),
            data_dir,
            clock=clock or SystemClock(),
            patience_s=PATIENCE_S if patience_s is None else patience_s,
        )


def run(work: Coroutine[Any, Any, Value]) -> Value:
    """asyncio.run, for a program that may be interrupted at any moment."""
    with asyncio.Runner() as runner:
        runner.get_loop().set_exception_handler(_on_loop_error)
        return runner.run(work)


def _on_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # anyio watches a Unix socket with a future's set_result: one that was cancelled in the same
    # turn of the loop is told all the same, and Ctrl-C would show a traceback of that.
    if not isinstance(context.get("exception"), asyncio.InvalidStateError):
        loop.default_exception_handler(context)


def expected(answer: ApiResponse) -> Body:
    """The body of what must not be refused; RemoteError if it was."""
    if answer.is_problem:
        raise RemoteError(f"{answer.code}: {tables.cell(answer.body.get('detail'))}")
    return answer.body


def _answer(response: httpx.Response) -> ApiResponse:
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise RemoteError(
            f"the runtime sent an unexpected response (status {response.status_code})"
        )
    return ApiResponse(response.status_code, body, "idempotent-replayed" in response.headers)


def _wait(wait_s: float) -> dict[str, float]:
    return {"wait": wait_s} if wait_s else {}


def _given(filters: dict[str, str | int | None]) -> dict[str, str | int]:
    return {name: value for name, value in filters.items() if value is not None}

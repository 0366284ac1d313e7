"""Command views: what `commands`, `webhooks` and `audit` show. Knows no table of the store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

from actors.cli import tables
from actors.cli.api_client import ApiClient, ApiResponse, Body, expected, open_client, run
from actors.genesys.times import utc
from actors.sender import reader
from runtime.errors import EXIT_CLEAN, EXIT_FAILURE

Value = TypeVar("Value")

_COMMAND_COLUMNS: Final = ("accepted", "agent", "to", "step", "code", "detail", "who", "id")
_STEP_COLUMNS: Final = ("at", "step", "detail")
_MESSAGE_COLUMNS: Final = (
    "created", "state", "attempts", "last", "status", "detail", "command", "id",
)  # fmt: skip
_AUDIT_COLUMNS: Final = ("row", "at", "step", "agent", "from", "to", "reason", "detail", "command")
_SHOWN_OF_ONE: Final = (
    "id", "user_id", "state", "reason", "expected", "forced", "who", "step", "code", "detail",
    "held", "queues", "tries", "accepted_at", "first_sent_at", "last_sent_at", "acknowledged_at",
    "confirmed_at", "ended_at",
)  # fmt: skip


def show_commands(
    data_dir: Path, *, step: str | None, user: str | None, limit: int, as_json: bool
) -> int:
    """The newest first."""
    body = expected(
        _ask(data_dir, lambda client: client.commands(step=step, user=user, limit=limit))
    )
    if as_json:
        tables.show_json(body["commands"])
    else:
        tables.show("commands", _COMMAND_COLUMNS, map(_command_row, body["commands"]))
    return EXIT_CLEAN


def show_command(data_dir: Path, command_id: str, *, as_json: bool) -> int:
    """One, with its audit."""
    command = expected(_ask(data_dir, lambda client: client.command(command_id)))
    if as_json:
        tables.show_json(command)
        return EXIT_CLEAN
    rows = [(name.replace("_", " "), command[name]) for name in _SHOWN_OF_ONE]
    if command["webhook"] is not None:
        rows.append(("webhook", command["webhook"]["state"]))
    tables.show("", ("command", ""), rows)
    print()
    steps = ((each["at"], each["step"], each["detail"]) for each in command["steps"])
    tables.show("audit", _STEP_COLUMNS, steps)
    return EXIT_CLEAN


def show_webhooks(data_dir: Path, *, state: str, limit: int, as_json: bool) -> int:
    """What is owed to the webhook."""
    body = expected(_ask(data_dir, lambda client: client.webhooks(state=state, limit=limit)))
    if as_json:
        tables.show_json(body)
        return EXIT_CLEAN
    tables.show(f"{state} messages", _MESSAGE_COLUMNS, map(_message_row, body["messages"]))
    since = body["oldest_waiting_at"]
    print(f"{body['waiting']:,} waiting" + (f", the oldest since {since}" if since else ""))
    print(f"{body['dead']:,} dead-lettered")
    return EXIT_CLEAN


def resend(data_dir: Path, message_id: str) -> int:
    """A dead message lives again."""
    expected(_ask(data_dir, lambda client: client.resend(message_id)))
    print(f"{tables.cell(message_id)} is queued to be sent again")
    return EXIT_CLEAN


def verify_audit(data_dir: Path, *, as_json: bool) -> int:
    """Follows the whole chain; 1 if it is broken. No runtime is needed."""
    verdict = reader.verify_audit(data_dir)
    if as_json:
        tables.show_json({**verdict._asdict(), "intact": verdict.broken is None})
    elif verdict.broken is None:
        print(f"intact: {verdict.rows:,} rows, {verdict.erased:,} of them about forgotten people")
        print(f"head {verdict.head or '(none)'}")
    else:
        print(f"broken at row {verdict.broken}: {tables.cell(verdict.problem)}")
        print(f"intact before that row: {verdict.rows:,} rows, head {verdict.head or '(none)'}")
    return EXIT_CLEAN if verdict.broken is None else EXIT_FAILURE


def show_audit(data_dir: Path, *, limit: int, as_json: bool) -> int:
    """The newest steps of all commands. No runtime is needed."""
    rows = reader.read_audit(data_dir, limit=limit)
    if as_json:
        tables.show_json([{**row._asdict(), "at_us": utc(row.at_us)} for row in rows])
    else:
        tables.show("audit", _AUDIT_COLUMNS, map(_audit_row, rows))
    return EXIT_CLEAN


def _ask(data_dir: Path, question: Callable[[ApiClient], Awaitable[ApiResponse]]) -> ApiResponse:
    async def ask() -> ApiResponse:
        async with open_client(data_dir) as client:
            return await question(client)

    return run(ask())


def _command_row(command: Body) -> tuple[object, ...]:
    return (
        command["accepted_at"],
        command["user_id"],
        command["state"],
        command["step"],
        command["code"],
        command["detail"],
        command["who"],
        command["id"],
    )


def _message_row(message: Body) -> tuple[object, ...]:
    return (
        message["created_at"],
        message["state"],
        message["attempts"],
        message["last_at"],
        message["last_status"],
        message["last_detail"],
        message["command"],
        message["id"],
    )


def _audit_row(row: reader.AuditRow) -> tuple[object, ...]:
    said = row.detail.get
    return (
        row.row,
        utc(row.at_us),
        row.step,
        "(forgotten)" if row.user_id is None else row.user_id,
        said("from"),
        said("to"),
        said("reason"),
        said("detail"),
        row.command,
    )

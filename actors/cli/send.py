"""Send: one command, and what its caller is told of it. Knows no ring and no HTTP."""

from __future__ import annotations

import sys
import uuid
from pathlib import Path
from typing import Final

from actors.cli import tables
from actors.cli.api_client import ApiResponse, Body, open_client, run
from actors.sender.commands import CommandStep
from runtime.errors import EXIT_CLEAN, EXIT_FAILURE, EXIT_TEMPORARY, RuntimeFault

PATIENCE_S: Final = 3.0
"""Of a question whose answer only chooses the words of a refusal."""
SENDER: Final = "sender"
_TEXTS: Final[dict[str, str]] = {
    CommandStep.PENDING: "the gateway accepted the command, but agent {user} is not {state} yet",
    CommandStep.CONFIRMED: "agent {user} is {state}",
    CommandStep.UNCONFIRMED: "the gateway accepted the command, but agent {user} was not seen in "
    "{state}",
    CommandStep.UNKNOWN: "no answer from the gateway; it is unknown whether agent {user} is "
    "{state}",
}


def send_one(
    data_dir: Path,
    user: str,
    change: Body,
    *,
    key: str | None,
    waits: bool,
    as_json: bool,
) -> int:
    """The exit code: 0 if it was applied, or was accepted and is not waited for; 75 if it was
    waited for and is pending."""
    try:
        answer = run(_send_one(data_dir, user, change, key=key, waits=waits))
    except KeyboardInterrupt:
        print(
            "the command may still be applied; check with: presence-runtime commands --user",
            file=sys.stderr,
        )
        raise
    if as_json:
        tables.show_json(answer.body)
    elif answer.is_problem:
        _tell_refusal(answer)
    else:
        _tell_standing(answer)
    step = CommandStep.REFUSED if answer.is_problem else CommandStep(answer.body["step"])
    if waits and step == CommandStep.PENDING:
        return EXIT_TEMPORARY
    took = step == CommandStep.CONFIRMED or (not waits and not step.is_end)
    return EXIT_CLEAN if took else EXIT_FAILURE


async def _send_one(
    data_dir: Path, user: str, change: Body, *, key: str | None, waits: bool
) -> ApiResponse:
    async with open_client(data_dir) as client:
        answer = await client.change(user, change, key=key or str(uuid.uuid4()))
        if waits and not answer.is_problem and not CommandStep(answer.body["step"]).is_end:
            return answer._replace(body=await client.ended(answer.body["id"]))
        return answer


def is_sending(data_dir: Path) -> bool:
    """Whether the running runtime changes presences. True if none answers: that is not for its
    settings to explain."""

    async def ask() -> Body:
        async with open_client(data_dir, patience_s=PATIENCE_S) as client:
            return await client.status()

    try:
        return any(process["name"] == SENDER for process in run(ask())["processes"])
    except RuntimeFault:
        return True


def _tell_standing(answer: ApiResponse) -> None:
    body = answer.body
    user, state, step = (tables.cell(body[name]) for name in ("user_id", "state", "step"))
    text = _TEXTS.get(step)
    if step == CommandStep.REFUSED:
        print(f"refused ({tables.cell(body['code'])}): {tables.cell(body['detail'])}")
    elif text is None:
        print(f"{step}: change of agent {user} to {state}")
    else:
        print(f"{step}: {text.format(user=user, state=state)}")
    if step == CommandStep.PENDING:
        print(f"reason: {tables.cell(body['detail']).partition(': ')[2]}")
        print(f"to see its outcome: presence-runtime commands {tables.cell(body['id'])}")
    if answer.is_replayed:
        print("this is an earlier command with the same key; nothing was sent again")
    print(f"command {tables.cell(body['id'])}")


def _tell_refusal(answer: ApiResponse) -> None:
    body = answer.body
    print(f"refused ({tables.cell(body['code'])}): {tables.cell(body['detail'])}", file=sys.stderr)
    for error in body.get("errors", ())[1:]:
        print(f"  {tables.cell(error)}", file=sys.stderr)
    if (after_ms := body.get("retry_after_ms")) is not None:
        print(f"try again in {after_ms / 1000:.1f} s", file=sys.stderr)
    if body.get("command"):
        print(f"command {tables.cell(body['command'])}", file=sys.stderr)

"""Command line of the sender: send, commands, webhooks, audit. Knows how nothing is done.

All but `audit` ask the running runtime, over the socket in its data directory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from actors.cli.options import SHOWN, Config, DataDir, Json, journals
from actors.genesys.presences import PRESENCES, misnamed

app = typer.Typer()
audit = typer.Typer(
    help="Show or verify the audit of presence commands; works without a running runtime."
)
app.add_typer(audit, name="audit")

Limit = Annotated[int, typer.Option(min=1, max=1_000, help="Maximum number of entries")]

_State = Annotated[
    str | None,
    typer.Argument(
        help=f"Presence to set: {', '.join(PRESENCES)}; in the dialect cloud the name, a label "
        "or the id of a presence definition"
    ),
]
_Expect = Annotated[
    str | None,
    typer.Option(help="Reject the command if the agent's current presence is a different one"),
]
_Wait = Annotated[
    bool,
    typer.Option(
        "--wait",
        help="Wait until the command is confirmed or has failed; while it is pending, for 15 s",
    ),
]
_Force = Annotated[
    bool,
    typer.Option("--force", help="Skip the transition, capacity and staleness checks (audited)"),
]
_Key = Annotated[
    str | None,
    typer.Option(
        help="Idempotency key: commands with the same key run once; with --batch, a new key "
        "runs the file again"
    ),
]
_Batch = Annotated[
    Path | None,
    typer.Option(help="CSV file with the columns user,state,reason,expect; implies --wait"),
]
_Result = Annotated[
    Path | None,
    typer.Option(help="File for the outcome of each line; default: FILE.result.csv"),
]


@app.command()
def send(
    *,
    user: Annotated[str | None, typer.Argument(help="Id or full name of the agent")] = None,
    state: _State = None,
    reason: Annotated[str, typer.Option(help="Reason for the change; recorded in the audit")] = "",
    expect: _Expect = None,
    wait: _Wait = False,
    force: _Force = False,
    key: _Key = None,
    batch: _Batch = None,
    result: _Result = None,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Change the presence of an agent, or of all agents in a file.

    Exit codes: 0 applied, 1 rejected or not confirmed, 75 runtime unreachable or, with --wait,
    pending: the gateway applies the change when the agent's interaction ends.
    """
    if batch is not None:
        if user is not None or reason or expect is not None:
            raise typer.BadParameter(
                "USER, STATE, --reason and --expect cannot be combined with --batch; specify them "
                "in the lines of the file"
            )

        path = journals(data_dir, config)
        exit_code = _send_batch(
            path, config, batch, result=result, name=key or "", forced=force, as_json=as_json
        )
        raise typer.Exit(exit_code)
    if user is None or state is None or result is not None:
        raise typer.BadParameter("specify either USER and STATE, or --batch FILE [--result FILE]")

    from actors.cli import agent_lookup
    from actors.cli import send as sending
    from actors.storage.data_dir import read_meta

    path = journals(data_dir, config)
    for name in (state, expect):
        if name is not None and (why := misnamed(name, read_meta(path).dialect)):
            raise typer.BadParameter(f"{name!r} {why}")
    if not force:
        user = agent_lookup.found_to_change(
            path, config, user, is_sending=lambda: sending.is_sending(path)
        )
    change = {"state": state, "reason": reason, "expected": expect, "force": force}
    exit_code = sending.send_one(path, user, change, key=key, waits=wait, as_json=as_json)
    raise typer.Exit(exit_code)


def _send_batch(path: Path, config: Path | None, batch: Path, **how: Any) -> int:
    from actors.cli import agent_lookup, send_batch

    lookup = agent_lookup.Lookup(path, config)
    return send_batch.send_file(path, batch, ids_of=lookup.ids_of, **how)


@app.command()
def commands(
    *,
    command: Annotated[
        str | None, typer.Argument(help="Id of a command; default: the newest commands")
    ] = None,
    step: Annotated[str | None, typer.Option(help="Show only commands in this step")] = None,
    user: Annotated[str | None, typer.Option(help="Show only commands for this agent")] = None,
    limit: Limit = SHOWN,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """List presence commands and their outcome, newest first; or show one with its audit."""
    from actors.cli import commands

    path = journals(data_dir, config)
    if command is not None:
        raise typer.Exit(commands.show_command(path, command, as_json=as_json))
    exit_code = commands.show_commands(path, step=step, user=user, limit=limit, as_json=as_json)
    raise typer.Exit(exit_code)


@app.command()
def webhooks(
    *,
    state: Annotated[Literal["waiting", "delivered", "dead"], typer.Option()] = "dead",
    resend: Annotated[
        str | None, typer.Option(metavar="ID", help="Resend this dead-lettered message")
    ] = None,
    limit: Limit = SHOWN,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """List pending and dead-lettered webhook messages."""
    from actors.cli import commands

    path = journals(data_dir, config)
    if resend is not None:
        raise typer.Exit(commands.resend(path, resend))
    raise typer.Exit(commands.show_webhooks(path, state=state, limit=limit, as_json=as_json))


@audit.command()
def verify(*, data_dir: DataDir = None, config: Config = None, as_json: Json = False) -> None:
    """Verify the hash chain of the audit.

    Exit codes: 0 intact, 1 rows were changed or removed.
    """
    from actors.cli import commands

    raise typer.Exit(commands.verify_audit(journals(data_dir, config), as_json=as_json))


@audit.command()
def show(
    *, limit: Limit = SHOWN, data_dir: DataDir = None, config: Config = None, as_json: Json = False
) -> None:
    """Show the latest steps of all commands, newest first."""
    from actors.cli import commands

    path = journals(data_dir, config)
    raise typer.Exit(commands.show_audit(path, limit=limit, as_json=as_json))

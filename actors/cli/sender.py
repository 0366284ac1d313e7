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
audit = typer.Typer(help="What was asked for, by whom, and what became of it; no runtime needed.")
app.add_typer(audit, name="audit")

Limit = Annotated[int, typer.Option(min=1, max=1_000, help="at most so many")]


@app.command()
def send(
    *,
    user: Annotated[str | None, typer.Argument(help="an agent's id or full name")] = None,
    state: Annotated[
        str | None,
        typer.Argument(
            help=f"the presence to be in: {', '.join(PRESENCES)}; in the cloud dialect the name, a"
            " label or the id of a definition"
        ),
    ] = None,
    reason: Annotated[str, typer.Option(help="is audited")] = "",
    expect: Annotated[
        str | None, typer.Option(help="refuse if the agent is in another one now")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="until it is known whether it took")] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="also against transitions, capacity and doubt; is audited"),
    ] = False,
    key: Annotated[
        str | None, typer.Option(help="under one key it is done once; of a file: a run of its own")
    ] = None,
    batch: Annotated[
        Path | None, typer.Option(help="CSV file: user,state,reason,expect; always waits")
    ] = None,
    result: Annotated[
        Path | None, typer.Option(help="what became of each line; default: FILE.result.csv")
    ] = None,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Change an agent's presence, or those of a file. 0: it took; 1: it did not; 75: no runtime."""
    if batch is not None:
        if user is not None or reason or expect is not None:
            raise typer.BadParameter("--batch FILE says all of this line by line")

        path = journals(data_dir, config)
        exit_code = _send_batch(
            path, config, batch, result=result, name=key or "", forced=force, as_json=as_json
        )
        raise typer.Exit(exit_code)
    if user is None or state is None or result is not None:
        raise typer.BadParameter("either USER and STATE, or --batch FILE [--result FILE]")

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
    command: Annotated[str | None, typer.Argument(help="its id; without it, the newest")] = None,
    step: Annotated[str | None, typer.Option(help="those that stand there")] = None,
    user: Annotated[str | None, typer.Option(help="those of this agent")] = None,
    limit: Limit = SHOWN,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """What became of the changes that were asked for, the newest first; or one, with its audit."""
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
        str | None, typer.Option(metavar="ID", help="send this dead message again")
    ] = None,
    limit: Limit = SHOWN,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """What the webhook is still to be told, and what was given up."""
    from actors.cli import commands

    path = journals(data_dir, config)
    if resend is not None:
        raise typer.Exit(commands.resend(path, resend))
    raise typer.Exit(commands.show_webhooks(path, state=state, limit=limit, as_json=as_json))


@audit.command()
def verify(*, data_dir: DataDir = None, config: Config = None, as_json: Json = False) -> None:
    """Follow the chain of hashes from its first row; 1 if anything was changed or taken away."""
    from actors.cli import commands

    raise typer.Exit(commands.verify_audit(journals(data_dir, config), as_json=as_json))


@audit.command()
def show(
    *, limit: Limit = SHOWN, data_dir: DataDir = None, config: Config = None, as_json: Json = False
) -> None:
    """The newest steps of all commands, the newest first."""
    from actors.cli import commands

    path = journals(data_dir, config)
    raise typer.Exit(commands.show_audit(path, limit=limit, as_json=as_json))

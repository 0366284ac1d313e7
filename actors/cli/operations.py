"""Command line of operations: status, top, export, forget. Knows how nothing is done."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from actors.cli.options import Config, DataDir, Json, journals

app = typer.Typer()


@app.command()
def status(*, data_dir: DataDir = None, config: Config = None, as_json: Json = False) -> None:
    """Show the health of the running runtime.

    Exit codes: 0 live, 75 something is wrong or the runtime is unreachable.
    """
    from actors.cli import status as asking

    raise typer.Exit(asking.show(journals(data_dir, config), as_json=as_json))


@app.command()
def top(
    *,
    once: Annotated[bool, typer.Option("--once", help="Print one table and exit")] = False,
    every: Annotated[
        float, typer.Option(min=0.2, max=3600, help="Refresh interval in seconds")
    ] = 1.0,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Show processes, rings and rates of the running runtime, live (on a pipe: once)."""
    from actors.cli import status as asking

    raise typer.Exit(asking.top(journals(data_dir, config), every_s=every, once=once))


@app.command()
def export(
    *,
    since: Annotated[
        str,
        typer.Option(
            help="Start: today, yesterday, monday, 24h, 7d, 2026-11-22 or 2026-11-22T10:00 (all "
            "UTC)"
        ),
    ],
    until: Annotated[
        str | None, typer.Option(help="End, in the same formats; default: now")
    ] = None,
    format_: Annotated[Literal["jsonl", "csv"], typer.Option("--format")] = "jsonl",
    pseudonymise: Annotated[
        bool,
        typer.Option(
            "--pseudonymise",
            help="Replace people's ids and names by keyed pseudonyms that are the same in every "
            "export",
        ),
    ] = False,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact",
            help="Write CSV cells exactly as they are: without the apostrophe before what a "
            "spreadsheet would run as a formula",
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Output file, written completely or not at all; default: standard output"
        ),
    ] = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Export the transitions of all journals and archives, by the time of their receipt."""
    from actors.cli import export as exporting

    exporting.export(
        journals(data_dir, config),
        since=since,
        until=until,
        format_=format_,
        pseudonymise=pseudonymise,
        output=output,
        is_exact=exact,
    )


@app.command()
def forget(
    *,
    user: Annotated[str, typer.Argument(help="Id or full name of the agent")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation")] = False,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Permanently remove a person from all journals and stores. The runtime must be stopped."""
    from actors.cli import agent_lookup
    from actors.cli import forget as forgetting

    def agreed(question: str) -> bool:
        return yes or typer.confirm(question)

    if not user or user != user.encode(errors="replace").decode():
        raise typer.BadParameter(f"{user!r} is not a valid user id")
    path = journals(data_dir, config)
    user, hint = agent_lookup.found_to_forget(path, config, user)
    if hint:
        print(hint, file=sys.stderr)
    raise typer.Exit(forgetting.forget(path, user, agreed=agreed, as_json=as_json))

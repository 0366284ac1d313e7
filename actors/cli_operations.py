"""Command line of operations: status, top, export, forget. Knows how nothing is done, as `cli`."""

from __future__ import annotations

from typing import Annotated

import typer

from actors.cli_options import Config, DataDir, Json, journals

app = typer.Typer()


@app.command()
def status(*, data_dir: DataDir = None, config: Config = None, as_json: Json = False) -> None:
    """How the running runtime does. 0: live; 75: something is wrong, or nobody answers."""
    from actors import status as asking  # noqa: PLC0415

    raise typer.Exit(asking.show(journals(data_dir, config), as_json=as_json))


@app.command()
def top(
    *,
    once: Annotated[bool, typer.Option("--once", help="one table, and no more")] = False,
    every: Annotated[
        float, typer.Option(min=0.2, max=3600, help="seconds between two looks")
    ] = 1.0,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Processes, rings and rates of the running runtime, live. On a pipe: once."""
    from actors import status as asking  # noqa: PLC0415

    raise typer.Exit(asking.top(journals(data_dir, config), every_s=every, once=once))

"""Options: what several commands of the command line take, and where they find a runtime's data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

import typer

DISTRIBUTION: Final = "presence-runtime"
SHOWN: Final = 50

Config = Annotated[
    Path | None,
    typer.Option("--config", help="Settings file (TOML); default: presence-runtime.toml"),
]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Directory of the journals and the lock file")
]
DemoWatch = Annotated[
    Literal["all", "queues", "groups", "divisions"],
    typer.Option(help="Find the agents as members of all of these (dialect cloud)"),
]
KillEvery = Annotated[
    float | None,
    typer.Option(min=0.1, help="Average seconds between kills of a random child process"),
]
KillAllEvery = Annotated[
    float | None,
    typer.Option(
        min=1,
        help="Average seconds until the whole runtime is killed, stopped or frozen, and started "
        "with another number of shards; at the end it lives, and everything is verified",
    ),
]
KillUntil = Annotated[
    float | None, typer.Option(min=0, help="Stop the kills after this second of the load")
]
TokenLife = Annotated[
    float | None,
    typer.Option("--token-life", min=5, help="Seconds until a token of the gateway expires"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON")]


def journals(data_dir: Path | None, config: Path | None) -> Path:
    """The data directory to read: a flag or a setting; no credentials are needed for that."""
    from actors.storage.data_dir import read_meta

    if data_dir is None:
        from actors.settings.layers import load  # 0.2 s

        data_dir = load(config=config, needs_gateway=False).settings.data_dir
    read_meta(data_dir)
    return data_dir

"""Options: what several commands of the command line take, and where they find a runtime's data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

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
Json = Annotated[bool, typer.Option("--json", help="Print JSON")]


def journals(data_dir: Path | None, config: Path | None) -> Path:
    """The data directory to read: a flag or a setting; no credentials are needed for that."""
    from actors.storage.data_dir import read_meta

    if data_dir is None:
        from actors.settings.layers import load  # 0.2 s

        data_dir = load(config=config, needs_gateway=False).settings.data_dir
    read_meta(data_dir)
    return data_dir

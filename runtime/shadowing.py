"""Shadowing: which folder Python has found our packages in, and which one it should have been.

Knows the import path and what is installed; imports none of the packages. `python -m` looks into
the current directory first: in a clone it finds the clone, in any folder that holds an `actors/`
that one, whatever is installed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
import sysconfig
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

DISTRIBUTION: Final = "presence-runtime"
PACKAGES: Final = ("actors", "tools")
COMPILED: Final = "ring"
HERE: Final = Path(__file__).resolve().parent
"""The `runtime` that runs; the others lie beside it."""


def foreign_package() -> str | None:
    """Of a package that is not ours, though it has the name of one: what to do, in one line."""
    for package in PACKAGES:
        found, ours = folder_of(package), HERE.with_name(package)
        if found is not None and found != ours:
            return f"{found} shadows {ours}: {cure(found.parent)}"
    return None


def shadowed_installation() -> str | None:
    """Of an installation that would run, if another folder did not come first: what to do."""
    installed = installation()
    if installed is None or installed == HERE:
        return None
    return f"{HERE} shadows the installed {installed}: {cure(HERE.parent)}"


def is_built() -> bool:
    """Whether the folder that was found has its extensions, for this Python."""
    # Not asked of the import system: what is installed in place lends its modules to any `runtime`.
    return any((HERE / f"{COMPILED}{suffix}").is_file() for suffix in EXTENSION_SUFFIXES)


def cure(root: Path) -> str:
    """What makes `root` come after what is installed."""
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if any(entry and Path(entry).resolve() == root for entry in named):
        return f"remove {root} from PYTHONPATH"
    script = Path(sysconfig.get_path("scripts"), DISTRIBUTION)
    on_path = shutil.which(DISTRIBUTION)
    if on_path is not None and Path(on_path).absolute() == script.absolute():
        return f"run `{DISTRIBUTION}` instead of `python -m runtime`"
    if script.exists():
        return f"run `{script}` instead of `python -m runtime`"
    return f"change to another directory, or run `{sys.executable} -P -m runtime`"


def folder_of(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    if spec is None:
        return None
    places = list(spec.submodule_search_locations or ())
    place = places[0] if places else spec.origin
    return None if place is None else Path(place).resolve()


def installation() -> Path | None:
    """The folder `runtime` of what pip has installed, in place or not; None if it has not."""
    from importlib.metadata import distributions  # noqa: PLC0415 - slow, and seldom asked for

    # A build leaves metadata in the clone itself, which says nothing of an environment.
    path = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE.parent]
    for found in distributions(name=DISTRIBUTION, path=path):
        folder = Path(str(found.locate_file("runtime")))
        source = json.loads(found.read_text("direct_url.json") or "{}")
        if source.get("dir_info", {}).get("editable"):
            folder = Path(unquote(urlsplit(source["url"]).path), "runtime")
        if (folder / "__main__.py").is_file():
            return folder.resolve()
    return None

"""Finding: every way out that the product has, found in the product itself; no list is here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, cast, get_args

from actors import main as cli
from actors.cli import parser
from actors.settings.sinks import SinkSettings
from actors.web.app import make_app
from tests.deploy.log_events import log_events

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "actors" / "web" / "static"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


class _Anything:
    """Parts of a web child that is only looked at."""

    def __init__(self, **known: Any) -> None:
        self.__dict__.update(known)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything()

    def __call__(self, *_: Any, **__: Any) -> Any:
        return _Anything()


def _parts() -> Any:
    return _Anything(dialect="wsp")


@cache
def description() -> dict[str, Any]:
    """The API as it says of itself."""
    return make_app(_parts()).openapi()


def routes() -> list[tuple[str, str]]:
    """(method, path) of each operation."""
    return [
        (method.upper(), path)
        for path, item in description()["paths"].items()
        for method in item
        if method in METHODS
    ]


def undescribed() -> set[str]:
    """Paths that are served and stand in no description."""
    app = make_app(_parts())
    found: set[str] = set()
    waiting: list[Any] = list(app.router.routes)
    while waiting:
        route = waiting.pop()
        path = re.sub(r"\{(\w+):\w+\}", r"{\1}", getattr(route, "path", ""))
        if path and path not in description()["paths"]:
            found.add(path)
        waiting += list(getattr(getattr(route, "original_router", None), "routes", ()))
    return found


@cache
def commands() -> dict[str, Any]:
    """By their words: `audit show`."""
    found: dict[str, Any] = {}

    def walk(command: Any, words: tuple[str, ...]) -> None:
        for name, each in getattr(command, "commands", {}).items():
            walk(each, (*words, name))
        if not hasattr(command, "commands"):
            found[" ".join(words)] = command

    walk(parser.built(cli.app), ())
    return found


def events() -> list[str]:
    return sorted(log_events())


def sinks() -> list[str]:
    return list(get_args(SinkSettings.model_fields["kind"].annotation))


def page_files() -> list[Path]:
    return sorted(STATIC.glob("*.js"))


def prints() -> Iterator[tuple[str, int, str]]:
    """(path, line, what) of each place in the product that writes to a standard stream."""
    for folder in ("runtime", "actors"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                text = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
                if text == "print" or text.endswith((".echo", ".secho", "Console", "Live")):
                    yield path.relative_to(ROOT).as_posix(), cast("ast.Call", node).lineno, text
                if isinstance(node, ast.Attribute) and ast.unparse(node) in {
                    "sys.stdout.write", "sys.stderr.write", "sys.stdout.buffer",
                    "sys.stderr.buffer", "sys.__stdout__", "sys.__stderr__",
                }:  # fmt: skip
                    yield path.relative_to(ROOT).as_posix(), node.lineno, ast.unparse(node)

"""Recipes: how each command is called over the scene. A command without one fails the test."""

from __future__ import annotations

from typing import Final, NamedTuple

from tests.ways_out.scene import USERS

HOSTILE: Final = USERS[0]


class Recipe(NamedTuple):
    """`calls`: arguments of each call; `shows`: whether texts of the corpus must come out."""

    calls: tuple[tuple[str, ...], ...]
    shows: bool = False
    why: str = ""
    """Where there is no call: why it has no text of others, or which test has it."""


_JSON: Final = ((), ("--json",))
RECIPES: Final[dict[str, Recipe]] = {
    "state": Recipe((*_JSON, (HOSTILE,), (HOSTILE, "--json")), shows=True),
    "history": Recipe(((HOSTILE,), (HOSTILE, "--json")), shows=True),
    "export": Recipe((("--since", "7d"), ("--since", "7d", "--format", "csv"),
                      ("--since", "7d", "--pseudonymise")), shows=True),
    "commands": Recipe(_JSON, shows=True),
    "audit show": Recipe(_JSON, shows=True),
    "audit verify": Recipe(_JSON),
    "status": Recipe(_JSON),
    "top": Recipe((("--once",),)),
    "topics": Recipe(_JSON),
    "sinks": Recipe(_JSON),
    "webhooks": Recipe(_JSON),
    "send": Recipe(tuple(
        arguments
        for text in USERS[:12]
        for arguments in (
            ("--reason", text, "--wait", "0", "--", text, "available"),
            ("--json", "--", text, text),
            ("--", f"nobody {text}", "available"),
        )
    )),
    "forget": Recipe((("--yes", "--", f"nobody {HOSTILE}"), ("--yes", "--json", "--", HOSTILE))),
    "token": Recipe(tuple(("--read", "--", text) for text in USERS[:12])),
    "check": Recipe(tuple(("--base-url", text) for text in USERS[:6])),
    "run": Recipe(tuple(("--name", text) for text in USERS[:6])),
    "backup": Recipe((("./\x1b]0;x\x07",),)),
    "repair": Recipe(_JSON),
    "settings": Recipe((), why="prints only what the program itself says"),
    "demo": Recipe((), why="its gateway is its own; its view shows cells (test_view)"),
}  # fmt: skip

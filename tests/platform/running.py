"""Running: a program that imports the platform's SDK, in a process of its own, to its end."""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import uvloop

ROOT = Path(__file__).parents[2]
DEADLINE_S = 100.0  # the import alone takes seconds


def in_loop(test: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
    """Runs an async function to its end, with a deadline that an import of the SDK has room in."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> Any:
        return uvloop.run(asyncio.wait_for(test(*arguments, **named), DEADLINE_S))

    return run


async def output_of(module: str, *arguments: str, home: Path, given: str = "") -> str:
    """What it printed. `home`: the SDK looks for its settings there."""
    home.mkdir(exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        cwd=ROOT,
        env=os.environ | {"HOME": str(home)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await process.communicate(given.encode())
    except BaseException:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == 0, err.decode()
    return out.decode()

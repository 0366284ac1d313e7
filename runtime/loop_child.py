"""LoopChild: what a child of one asyncio loop has in common: how it runs, and how it is reached.

Knows nothing of what the loop does. A signal meets the main thread between two of its bytecodes;
what a loop owns may only be touched between two of its events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop

from runtime.child import Child


def run(life: Coroutine[Any, Any, object]) -> None:
    """An entry's whole work: one life on a uvloop, and what it raises."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(life)


def on_stop(child: Child, callback: Callable[[], None]) -> None:
    """As `Child.on_stop`, called between two events of the running loop; not if it has ended."""
    child.on_stop(_in_loop(callback))


def on_reload(child: Child, callback: Callable[[], None]) -> None:
    """As `Child.on_reload`, called between two events of the running loop; not if it has ended."""
    child.on_reload(_in_loop(callback))


def call(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    """From any thread or signal: have `callback` called between two events of `loop`. If that has
    just ended, nothing: what is left undone, a successor finds."""
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:
        return


def _in_loop(callback: Callable[[], None]) -> Callable[[], None]:
    loop = asyncio.get_running_loop()
    return lambda: call(loop, callback)

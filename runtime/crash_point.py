"""Crash point: a named place where a process kills itself on demand, for fault injection.

    PRESENCE_CRASH_AT=shard-0:after-commit      at the first passage
    PRESENCE_CRASH_AT=shard-0:after-commit:40   at the fortieth

Only a child's first generation crashes: what is tested is that its successor carries on. The death
is a SIGKILL, so no handler, destructor or buffer softens it.
"""

from __future__ import annotations

import os
import signal

from runtime.errors import ConfigurationError

VARIABLE = "PRESENCE_CRASH_AT"

_armed: str | None = None  # the only thing that is looked at while nobody wants a crash
_passages_left = 0


def crash_point(name: str) -> None:
    """Nothing, unless this process was armed for `name`."""
    if _armed is not None:
        _pass(name)


def _pass(name: str) -> None:
    global _passages_left  # noqa: PLW0603 - a process has one fate
    if name != _armed:
        return
    _passages_left -= 1
    if _passages_left == 0:
        os.kill(os.getpid(), signal.SIGKILL)


def arm(child: str, generation: int, wanted: str | None) -> None:
    """Called once by a child before its entry. `wanted` is the variable's value, None if unset.

    Raises ConfigurationError for a value that could never crash anything."""
    global _armed, _passages_left
    _armed, _passages_left = None, 0
    if not wanted:
        return
    victim, _, rest = wanted.partition(":")
    point, _, passage = rest.partition(":")
    if not (victim and point and (passage or "1").isdecimal() and int(passage or "1") > 0):
        raise ConfigurationError(f"{VARIABLE}={wanted!r} is not child:point or child:point:passage")
    if victim == child and generation == 1:
        _armed, _passages_left = point, int(passage or "1")

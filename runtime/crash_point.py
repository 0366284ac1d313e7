"""Crash point: a named place where a process kills itself on demand, for fault injection.

    PRESENCE_CRASH_AT=shard-0:after-commit       at the first passage of its first life
    PRESENCE_CRASH_AT=shard-0:after-commit:40    at the fortieth
    PRESENCE_CRASH_AT=shard-0:after-commit,receiver-0:after-publish:7,shard-0:after-peek
                                                 each child; shard-0 in its second life, too
    PRESENCE_POISON=shard:raise:"sequence":12,   every shard that meets this text in a batch

A crash is a SIGKILL, so no handler, destructor or buffer softens it, and it says nothing about what
was in hand. The k-th wish for a child is for its k-th life, and a life without a wish crashes
nowhere: what is tested is that a successor carries on. Poison kills in every life, by an exception
(`raise`) or a signal (`abort`): deaths of the child's own doing.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from typing import NamedTuple

from runtime.errors import ConfigurationError

VARIABLE = "PRESENCE_CRASH_AT"
POISON_VARIABLE = "PRESENCE_POISON"
VARIABLES = (VARIABLE, POISON_VARIABLE)

_armed: str | None = None  # the only thing that is looked at while nobody wants a crash
_passages_left = 0
_name = ""
_poison: bytes | None = None  # likewise
_poison_aborts = False


class PoisonError(Exception):
    """What somebody wanted to be fatal was handled."""


class _Wish(NamedTuple):
    child: str
    point: str
    passage: int


def crash_point(name: str) -> None:
    """Nothing, unless this process was armed for `name`."""
    if _armed is not None:
        _pass(name)


def poison_point(matter: Callable[[], bytes]) -> None:
    """Nothing, unless this process was poisoned with a text that is in what it is about to handle.

    Raises PoisonError, or aborts."""
    if _poison is not None and _poison in matter():
        if _poison_aborts:
            os.abort()
        raise PoisonError(f"{POISON_VARIABLE}: {_poison!r} was in the batch")


def _pass(name: str) -> None:
    global _passages_left  # noqa: PLW0603 - a process has one fate
    if name != _armed:
        return
    _passages_left -= 1
    if _passages_left == 0:
        os.write(2, f"crash point: {_name} is killed at {name}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)


def arm(child: str, generation: int, environment: Mapping[str, str]) -> None:
    """Called once by a child before its entry.

    Raises ConfigurationError for a value that could never crash anything."""
    global _armed, _passages_left, _name, _poison, _poison_aborts  # noqa: PLW0603
    _armed, _passages_left, _name = None, 0, child
    own = [wish for wish in _wishes(environment.get(VARIABLE, "")) if wish.child == child]
    if generation <= len(own):
        _armed, _passages_left = own[generation - 1].point, own[generation - 1].passage
    _poison = None
    if value := environment.get(POISON_VARIABLE):
        victim, _, rest = value.partition(":")
        how, _, text = rest.partition(":")
        if not (victim and text and how in {"raise", "abort"}):
            raise ConfigurationError(
                f"{POISON_VARIABLE}={value!r} is not child:raise:text or child:abort:text"
            )
        if victim in {child, child.rpartition("-")[0]}:
            _poison, _poison_aborts = text.encode(), how == "abort"


def _wishes(value: str) -> list[_Wish]:
    return [_wish(each) for each in value.split(",") if each]


def _wish(text: str) -> _Wish:
    victim, _, rest = text.partition(":")
    point, _, passage = rest.partition(":")
    if not (victim and point and (passage or "1").isdecimal() and int(passage or "1") > 0):
        raise ConfigurationError(f"{VARIABLE}: {text!r} is not child:point or child:point:passage")
    return _Wish(victim, point, int(passage or "1"))

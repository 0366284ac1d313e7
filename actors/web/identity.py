"""Identity: on whose behalf a request is made, and what they may. Knows no token and no socket.
Pure.

Who a request comes from is decided once, at the front; everything behind reads it from the scope.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final, NamedTuple


class AccessScope(StrEnum):
    """What somebody may; writing includes reading."""

    READ = "read"
    WRITE = "write"


class CallerIdentity(NamedTuple):
    """Nobody in particular has no name. What they may not is None."""

    name: str | None  # as the audit has it: `uid:1000` or `token:NAME`
    scope: AccessScope | None

    @property
    def may_read(self) -> bool:
        return self.scope is not None

    @property
    def may_write(self) -> bool:
        return self.scope is AccessScope.WRITE


NOBODY: Final = CallerIdentity(None, None)
VISITOR: Final = CallerIdentity(None, AccessScope.READ)
"""Somebody on this very machine, who has shown nothing: they may look."""

_KEY: Final = "identity"
_SESSION: Final = "session"
ON_REFUSED: Final = "on_refused"
"""Likewise: that whoever asks is kept waiting, and may give way."""
ON_NAMED: Final = "on_named"
"""The key in a scope's `state` of what its connection is told: the name of whoever asks."""


def identify(scope: Any, identity: CallerIdentity, session: str = "") -> None:
    """From now on the request is theirs; `session`: of a browser that is signed in."""
    state = scope.setdefault("state", {})
    state[_KEY], state[_SESSION] = identity, session
    if identity.name is not None and (on_named := state.get(ON_NAMED)) is not None:
        on_named(identity.name)


def identity_of(scope: Any) -> CallerIdentity:
    """Of a request that has passed the front; any other is nobody's."""
    identity = scope.get("state", {}).get(_KEY, NOBODY)
    assert isinstance(identity, CallerIdentity)
    return identity


def session_of(scope: Any) -> str:
    """Of a request that a cookie has let in; "" of any other."""
    return str(scope.get("state", {}).get(_SESSION, ""))

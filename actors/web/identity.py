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


def identify(scope: Any, identity: CallerIdentity) -> None:
    """From now on the request is theirs."""
    scope.setdefault("state", {})[_KEY] = identity


def identity_of(scope: Any) -> CallerIdentity:
    """Of a request that has passed the front; any other is nobody's."""
    identity = scope.get("state", {}).get(_KEY, NOBODY)
    assert isinstance(identity, CallerIdentity)
    return identity

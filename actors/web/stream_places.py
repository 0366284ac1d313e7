"""StreamPlaces: whose streams may be open at once. Pure; knows no hub and no socket.

Each stream is a thing that can be ended. Whoever has shown a token goes before who has not: where
all places are taken, the oldest stream of a visitor ends for it. And nobody alone has all of them.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

SHARE: Final = 0.8
"""Of all places, so many at most for one caller; at least one is left to somebody else."""


class StreamOwner(NamedTuple):
    """On whose behalf a stream is open."""

    caller: str  # `token:NAME`, `uid:N`, or a visitor's address
    has_token: bool
    session: str = ""  # of a browser that is signed in


class OpenStream:
    """Of one stream, from `enter` to `leave`."""

    __slots__ = ("end", "owner")

    def __init__(self, owner: StreamOwner, end: Callable[[], None]) -> None:
        self.owner = owner
        self.end = end


class StreamPlaces:
    """All that are taken, in the order of their beginning."""

    def __init__(self, readers_max: int) -> None:
        self.readers_max = readers_max
        self.per_caller_max = max(1, min(readers_max - 1, int(readers_max * SHARE)))
        self._places: OrderedDict[OpenStream, None] = OrderedDict()
        self._of_caller: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._places)

    def has_room_for(self, owner: StreamOwner) -> bool:
        if self._of_caller[owner.caller] >= self.per_caller_max:
            return False
        return len(self) < self.readers_max or (owner.has_token and self._visitor() is not None)

    def enter(self, owner: StreamOwner, end: Callable[[], None]) -> OpenStream:
        """`end` is called if somebody else needs the place, or nobody is to read any more; the
        place is left then. Only where there is room."""
        assert self.has_room_for(owner), "asked before"
        if len(self) >= self.readers_max and (visitor := self._visitor()) is not None:
            self._end(visitor)
        place = OpenStream(owner, end)
        self._places[place] = None
        self._of_caller[owner.caller] += 1
        return place

    def leave(self, place: OpenStream) -> None:
        if place not in self._places:
            return
        del self._places[place]
        caller = place.owner.caller
        self._of_caller[caller] -= 1
        if not self._of_caller[caller]:
            del self._of_caller[caller]

    def end_session(self, session: str) -> None:
        """All that a browser reads which has signed out."""
        for place in [each for each in self._places if each.owner.session == session]:
            self._end(place)

    def _visitor(self) -> OpenStream | None:
        """The oldest."""
        return next((each for each in self._places if not each.owner.has_token), None)

    def _end(self, place: OpenStream) -> None:
        self.leave(place)
        place.end()

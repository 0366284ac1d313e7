"""Connections: which of those that are open may stay, when more come than there is room for. Pure.

Knows no socket: whoever is to go is given back. A stranger may hold many connections that ask for
nothing; what one of them can take from others is bounded here: so many per address, the oldest idle
one of strangers goes first, and some places are for this machine alone.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Final, Protocol

RESERVED_MAX: Final = 64
"""Places that only this machine takes: whoever looks after the service finds room."""
SHARE: Final = 8
"""Of a small `connections_max`, so many-th part is reserved; of a large one RESERVED_MAX."""
STRANGERS_SHARE: Final = 4
"""One address has at most so many-th part of all places with connections that have shown no
token."""
NAME_SHARE: Final = 2
"""The connections of one token are safe from strangers up to so many-th part of all places."""


class Visit(Protocol):
    """One open connection, as its owner knows it."""

    @property
    def address(self) -> str:
        """As one client: `limits.client_of`."""
        ...

    @property
    def is_local(self) -> bool:
        """From this machine: perhaps a proxy's, with strangers behind it."""
        ...


class Connections:
    """All that are open to one listener. The idle ones of strangers are known in the order in which
    they became so."""

    def __init__(self, connections_max: int) -> None:
        self._connections_max = connections_max
        self._reserved = min(RESERVED_MAX, connections_max // SHARE)
        self._per_address_max = max(1, connections_max // STRANGERS_SHARE)
        self._strangers: set[Visit] = set()
        self._per_name_max = max(1, connections_max // NAME_SHARE)
        self._known: dict[Visit, str] = {}
        self._of_name: Counter[str] = Counter()
        self._idle: OrderedDict[Visit, None] = OrderedDict()
        self._idle_of: dict[str, OrderedDict[Visit, None]] = {}
        self._of_address: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._strangers) + len(self._known)

    def enter(self, visit: Visit) -> tuple[bool, Visit | None]:
        """Whether there is room, and who has to go for that; whoever goes has left already."""
        gone = None
        address = visit.address
        if not visit.is_local and self._of_address[address] >= self._per_address_max:
            gone = self._oldest_idle(address)
            if gone is None:
                return False, None
        elif len(self) >= self._connections_max - (0 if visit.is_local else self._reserved):
            gone = self._oldest_idle()
            if gone is None:
                return False, None
        if gone is not None:
            self.leave(gone)
        self._strangers.add(visit)
        if not visit.is_local:
            self._of_address[address] += 1
        self._now_idle(visit)
        return True, gone

    def asks(self, visit: Visit) -> None:
        """A request of it is being served: nobody takes its place meanwhile."""
        self._no_longer_idle(visit)

    def rests(self, visit: Visit) -> None:
        """It was answered; another request may come."""
        if visit in self._strangers:
            self._now_idle(visit)

    def has_shown_token(self, visit: Visit, name: str) -> None:
        """It is no stranger's any more, for as long as it lasts."""
        if visit in self._strangers and self._of_name[name] < self._per_name_max:
            self._no_longer_idle(visit)
            self._leave_address(visit)
            self._strangers.discard(visit)
            self._known[visit] = name
            self._of_name[name] += 1

    def leave(self, visit: Visit) -> None:
        if visit in self._strangers:
            self._no_longer_idle(visit)
            self._leave_address(visit)
            self._strangers.discard(visit)
        if (name := self._known.pop(visit, None)) is not None:
            _count_down(self._of_name, name)

    def _oldest_idle(self, address: str | None = None) -> Visit | None:
        among = self._idle if address is None else self._idle_of.get(address)
        return next(iter(among or ()), None)

    def _now_idle(self, visit: Visit) -> None:
        self._idle[visit] = None
        self._idle.move_to_end(visit)
        of_address = self._idle_of.setdefault(visit.address, OrderedDict())
        of_address[visit] = None
        of_address.move_to_end(visit)

    def _no_longer_idle(self, visit: Visit) -> None:
        self._idle.pop(visit, None)
        of_address = self._idle_of.get(visit.address)
        if of_address is not None:
            of_address.pop(visit, None)
            if not of_address:
                del self._idle_of[visit.address]

    def _leave_address(self, visit: Visit) -> None:
        if not visit.is_local:
            _count_down(self._of_address, visit.address)


def _count_down(counted: Counter[str], key: str) -> None:
    """What is at nothing is not remembered."""
    counted[key] -= 1
    if counted[key] <= 0:
        del counted[key]

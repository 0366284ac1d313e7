"""RateLimit: how many requests of one client are served. Pure: time is an argument."""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address
from typing import Final

CLIENTS_MAX: Final = 10_000
"""Of whom something is remembered; the one that was silent for longest is forgotten first."""
AT_ONCE_MIN: Final = 20
"""A page and what it is made of come at once, however little is allowed a second."""
ROUNDING_S: Final = 1e-6
_NETWORK_BITS: Final = 64


class RateLimit:
    """A bucket for each client: full, it holds what may come at once.

    What is remembered of a client is when its bucket would be full again; one that is full is
    nothing to remember.
    """

    def __init__(self, per_s: float, *, clients_max: int = CLIENTS_MAX) -> None:
        """`per_s` 0: everybody is served."""
        self._every_s = 1 / per_s if per_s else 0.0
        self._at_once_s = max(2 * per_s, AT_ONCE_MIN) * self._every_s
        self._clients_max = clients_max
        self._full_s: OrderedDict[str, float] = OrderedDict()

    def wait_s(self, client: str, now_s: float) -> float:
        """0: it is served, and counted; else after so many seconds it would be."""
        if not self._every_s:
            return 0.0
        full_s = max(self._full_s.get(client, now_s), now_s) + self._every_s
        if (over_s := full_s - now_s - self._at_once_s) > ROUNDING_S:
            return over_s
        self._full_s[client] = full_s
        self._full_s.move_to_end(client)
        if len(self._full_s) > self._clients_max:
            self._full_s.popitem(last=False)
        return 0.0

    def __len__(self) -> int:
        return len(self._full_s)


def client_of(host: str) -> str:
    """An address as one client. Whoever has an IPv6 address has 2^64 of them."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return f"{IPv6Address(int(address) >> _NETWORK_BITS << _NETWORK_BITS)}/{_NETWORK_BITS}"
    return host

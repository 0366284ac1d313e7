"""Hosts: under which names we are reached, and which pages may speak to us. Pure.

A page from elsewhere can make a browser send requests here. Its browser then says so: `Origin` is
the page's own, and where the page's name was bent to our address, `Host` is that name.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address
from typing import Final, NamedTuple
from urllib.parse import urlsplit

_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, never bound
_PORTS: Final = {"http": 80, "https": 443}


class Authority(NamedTuple):
    """`host:port` as a request has it."""

    host: str  # in lower case; an IPv6 address in brackets
    port: int | None


def authority(text: str) -> Authority | None:
    """None for what is none."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or parts.netloc != text or "@" in text or text.endswith(":"):
        return None
    if ":" in host:
        try:
            host = f"[{IPv6Address(host)}]"
        except ValueError:
            return None
    return Authority(host.rstrip("."), port)


def is_local_name(host: str) -> bool:
    """Whether only somebody on this very machine means us by it."""
    named = authority(host)
    return named is not None and named.host in _LOOPBACK_NAMES


class AllowedHosts:
    """Loopback, where we listen, and what else is said to be us."""

    def __init__(self, listen: str | None, allowed: Iterable[str]) -> None:
        """`listen`: the host that is bound, without brackets."""
        self._allowed = frozenset(allowed)
        self._ours = _LOOPBACK_NAMES | self._allowed
        if listen is not None and listen not in _EVERYWHERE:
            self._ours |= {_bracketed(listen).lower()}

    def serves(self, host: str, local: str | None) -> bool:
        """Whether we may be called so. `local`: the address that the connection was made to; where
        we listen everywhere, that is ours as well."""
        named = authority(host)
        if named is None:
            return False
        return named.host in self._ours or (local is not None and named.host == _bracketed(local))

    def is_ours(self, origin: str, host: str) -> bool:
        """Whether a page of ours has sent this. Another port is another program."""
        scheme, _, rest = origin.partition("://")
        page, asked = authority(rest), authority(host)
        if scheme not in _PORTS or page is None or asked is None:
            return False
        if page.host == asked.host and (page.port or _PORTS[scheme]) in _meant(asked):
            return True
        # A proxy may put its own name for us into Host.
        return page.host in self._allowed and page.port is None


def _meant(asked: Authority) -> set[int]:
    """A Host without a port is http or, behind a proxy, https."""
    return {asked.port} if asked.port is not None else set(_PORTS.values())


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host

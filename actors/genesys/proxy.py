"""Proxy: which one is used, what a URL of one must be, how one is shown. Knows no socket.

Its URL may hold a password, and people mistype it: so whatever is wrong with one is told without
showing more of it than what follows its last `@`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote, urlsplit

from runtime.errors import ConfigurationError
from runtime.log import MASK

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
SCHEMES: Final = frozenset({"http", "https"})
_ENTRY: Final = re.compile(r"(?:\[([^\]]+)\]|([^:]+))(?::([0-9]{1,5}))?")


def proxy_for(url: str, setting: str | None, environment: Mapping[str, str]) -> str | None:
    """The setting; else what the variables say of such a URL, unless this machine is meant or
    `NO_PROXY` exempts the host. Raises ConfigurationError for a variable that is no proxy's URL."""
    if setting is not None:
        return setting
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    is_secure = parts.scheme in {"https", "wss"}
    kinds = ("https_proxy" if is_secure else "http_proxy", "all_proxy")
    names = [name for kind in kinds for name in (kind, kind.upper())]
    variable = next((name for name in names if environment.get(name)), None)
    if variable is None or _is_this_machine(host):
        return None
    exempt = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    if is_exempt(host, parts.port or (443 if is_secure else 80), exempt):
        return None
    given = environment[variable].strip()
    proxy = given if "://" in given else f"http://{given}"
    if wrong := problem(proxy):
        cure = "" if "SOCKS" not in wrong else f"; or name {host} in NO_PROXY"
        raise ConfigurationError(f"{variable} = {without_password(given)!r}: {wrong}{cure}")
    return proxy


def problem(url: str) -> str:
    """What is wrong with the URL of a proxy; empty if nothing is."""
    usual = "must be a URL such as http://proxy.example:3128"
    if not url.isprintable() or " " in url:
        return usual
    try:
        parts = urlsplit(url)
        has_port = parts.port != 0  # raises for one that is no number, or too large
    except ValueError:
        return f"{usual}; in a password, write / ? # @ : as %2F %3F %23 %40 %3A"
    if parts.scheme.startswith("socks"):
        return f"SOCKS proxies are not supported ({parts.scheme}): an HTTP proxy {usual}"
    if parts.scheme not in SCHEMES or not parts.hostname or not has_port:
        return usual
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        return f"{usual}, without a path or query; in a password, write / ? # as %2F %3F %23"
    return ""


def without_password(url: str) -> str:
    """The same text, its user and password masked: all up to its last `@`."""
    before, at, host = url.rpartition("@")
    scheme = re.match(r"(https?|wss?|socks\w{1,2})://", before, re.IGNORECASE)
    return f"{scheme[0] if scheme else ''}{MASK}@{host}" if at else url


def passwords_in(url: str | None) -> tuple[str, ...]:
    """What must show in no line: the password, as it is written and as it is meant, and both with
    their user, since a short password alone would mask half of every line."""
    before, at, _ = (url or "").rpartition("@")
    if not at:
        return ()
    credentials = before.rpartition("://")[2]
    password = credentials.partition(":")[2]
    written = {credentials, password} - {""}
    return tuple(written | set(map(unquote, written)))


def is_exempt(host: str, port: int, exempt: str) -> bool:
    """`NO_PROXY`: a list of hosts, domains, addresses and networks, each with an optional port and
    trailing dot; `*` exempts all. A name is never resolved to be compared with a network."""
    host = host.lower().rstrip(".")
    return any(_matches(host, port, each) for each in re.split(r"[\s,;]+", exempt.lower()) if each)


def _matches(host: str, port: int, entry: str) -> bool:
    if entry == "*":
        return True
    found = _ENTRY.fullmatch(entry)
    name, wanted_port = (found[1] or found[2], found[3]) if found else (entry, None)
    if wanted_port is not None and int(wanted_port) != port:
        return False
    try:
        network = ipaddress.ip_network(name, strict=False)
    except ValueError:
        suffix = name.lstrip("*").lstrip(".").rstrip(".")
        return bool(suffix) and (host == suffix or host.endswith(f".{suffix}"))
    address = _address(host)
    return address is not None and address.version == network.version and address in network


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An IPv4 address that is mapped into IPv6 is the address that it stands for."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_this_machine(host: str) -> bool:
    address = _address(host)
    return host.lower() in LOOPBACK or (address is not None and address.is_loopback)

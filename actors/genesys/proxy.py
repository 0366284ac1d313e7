"""Proxy: which one is used, what a URL of one must be, how one is shown. Knows no socket.

Its URL may hold a password, and people mistype it: so whatever is wrong with one is told without
showing more of it than what follows its last `@`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote, urlsplit

from actors.log import MASK
from runtime.errors import ConfigurationError

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
SCHEMES: Final = frozenset({"http", "https", "socks5"})
_VARIABLES: Final = ("https_proxy", "HTTPS_PROXY")


def proxy_for(url: str, setting: str | None, environment: Mapping[str, str]) -> str | None:
    """The setting; else for https `HTTPS_PROXY`, unless loopback or `NO_PROXY` exempts the host.
    Raises ConfigurationError for a variable that is no proxy's URL."""
    if setting is not None:
        return setting
    parts = urlsplit(url)
    variable = next((name for name in _VARIABLES if environment.get(name)), None)
    if parts.scheme != "https" or variable is None or parts.hostname in LOOPBACK:
        return None
    exempt = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    if _is_exempt(parts.hostname or "", parts.port or 443, exempt):
        return None
    proxy = environment[variable]
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if wrong := problem(proxy):
        shown = without_password(environment[variable])
        raise ConfigurationError(f"{variable} = {shown!r}: {wrong}")
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
    if parts.scheme not in SCHEMES or not parts.hostname or not has_port:
        return usual
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        return f"{usual}, with nothing behind it; in a password, write / ? # as %2F %3F %23"
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


def _is_exempt(host: str, port: int, exempt: str) -> bool:
    """`NO_PROXY`: a list of hosts and domains, each with an optional port; `*` exempts all."""
    for entry in exempt.lower().replace(",", " ").split():
        name = entry.removesuffix(f":{port}").strip("[]").lstrip("*").lstrip(".")
        if entry == "*" or host == name or (name and host.endswith(f".{name}")):
            return True
    return False

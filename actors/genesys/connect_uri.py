"""Owns where a channel's socket may be opened: what a gateway names is believed within its domain.

Pure. `connectUri` bears the secret of its channel: whoever is asked there learns it, so it goes to
a host of the region alone, and never in plaintext (protocol.md R15, trap 39).
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from actors.genesys.regions import region_domain_in

CHARS_MAX: Final = 4_000
HOST_SHOWN_MAX: Final = 100
_PLAIN: Final = re.compile(r"[!-~]+")


def distrust_of(connect_uri: str, api_url: str) -> str:
    """Why a socket must not be opened there, without the URI's path; "" if it may. `api_url`: as
    the settings have it."""
    if len(connect_uri) > CHARS_MAX or not _PLAIN.fullmatch(connect_uri) or "\\" in connect_uri:
        return "the connectUri is not a URL"
    parts, own = _split(connect_uri), _split(api_url)
    if parts is None or own is None:
        return "the connectUri is not a URL"
    host, own_host = _host(parts), _host(own)
    shown = host[:HOST_SHOWN_MAX]
    if parts.username is not None or parts.password is not None:
        return f"the connectUri names a user at {shown}; no socket is opened there"
    if not _is_of(host, own_host):
        expected = f"{_domain(own_host)} or a host below it" if _domain(own_host) else own_host
        return f"the connectUri names the host {shown}, expected {expected}; it is not opened"
    scheme = parts.scheme.lower()
    if scheme == "wss" or (scheme == "ws" and own.scheme.lower() == "http"):
        return ""
    return f"the connectUri names {shown} by {scheme[:10]}, expected wss; it is not opened"


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for none
    except ValueError:
        return None
    return parts if parts.hostname else None


def _host(parts: SplitResult) -> str:
    return (parts.hostname or "").lower().removesuffix(".")


def _is_of(host: str, own: str) -> bool:
    if host == own or (_is_loopback(host) and _is_loopback(own)):
        return True
    domain = _domain(own)
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _domain(own: str) -> str:
    """Of the region whose API this host is; "": of none, it is a gateway of its own."""
    if not own.startswith("api."):
        return region_domain_in(own) or ""
    within = own.removeprefix("api.")
    return region_domain_in(within) or (within if "." in within else "")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")

"""Forwarding: whether somebody stands between a browser and us, as the headers tell. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

Headers: TypeAlias = Iterable[tuple[bytes, bytes]]
_PROXIED: Final = frozenset(
    {b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"true-client-ip", b"cf-connecting-ip"}
)
_PROXIED_PREFIX: Final = b"x-forwarded"


def is_forwarded(headers: Headers, http_version: str) -> bool:
    """Whether the connection does not say who asks. A browser speaks HTTP/1.1 at least; nginx that
    was told nothing about it 1.0, and says nothing else."""
    return http_version == "1.0" or any(
        name in _PROXIED or name.startswith(_PROXIED_PREFIX) for name, _ in headers
    )


def is_https(headers: Headers) -> bool:
    """Whether the browser speaks https to whoever stands in between. It is believed: all that comes
    of it is a cookie that travels more rarely."""
    headers = list(headers)
    told = [*values(headers, b"x-forwarded-proto"), *values(headers, b"origin")]
    told += [each.partition("proto=")[2].strip('"') for each in values(headers, b"forwarded")]
    return any(each.lower().startswith("https") for each in told)


def values(headers: Headers, wanted: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in headers if name == wanted]

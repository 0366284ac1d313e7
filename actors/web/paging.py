"""Paging: where a page of a long answer ended, as a text that nobody needs to understand.

Pure. A cursor names the last row that was told, by what it is sorted by: rows that come or go in
between are neither told twice nor hide others.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import orjson

CURSOR_CHARS_MAX = 2_000


class OddCursorError(ValueError):
    """Not one of ours."""


def cursor_of(*key: str | int) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(key)).rstrip(b"=").decode()


def key_of(cursor: str, *kinds: type) -> tuple[Any, ...]:
    """What `cursor_of` was given; OddCursorError if these are not its kinds."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        key = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (UnicodeEncodeError, binascii.Error, orjson.JSONDecodeError):
        raise OddCursorError(cursor) from None
    if not isinstance(key, list) or tuple(map(type, key)) != kinds:
        raise OddCursorError(cursor)
    return tuple(key)

"""Owns a text that must not be seen: it knows neither what it opens nor where it came from.

Client secrets and tokens are of this type, so that a log line, an error or a debugger that formats
one shows a mask. Only `reveal()` shows it; whoever calls that puts the text on a wire.
"""

from __future__ import annotations

import hmac
from typing import NoReturn, final

from runtime.log import MASK


@final
class Secret:
    """Compares in constant time, cannot be pickled, and formats as a mask."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled; pass its source instead")

"""Encoding: values as the bytes of JSON, whatever texts a gateway or a person has put into them.

Pure. A text may hold half of a surrogate pair (JSON can escape one alone), and UTF-8 cannot say
it: such a half becomes U+FFFD. Anything else stays as it is; whoever shows it has to escape it.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"


def encode(value: Any) -> bytes:
    """As JSON, in UTF-8."""
    try:
        return orjson.dumps(value)
    except TypeError:  # so rare that looking for it first would be dear
        return orjson.dumps(_mended(value))


def mended(text: str) -> str:
    """The same text, such that UTF-8 can say it."""
    if text.isascii():
        return text
    # Both halves, each alone, make the character that they meant.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return mended(value)
    if isinstance(value, dict):
        return {_mended(key): _mended(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_mended(each) for each in value]
    return value

"""Owns how JSON that a strict parser refuses is read all the same: what is damaged costs itself.

Pure. Texts of people come through many hands: half an emoji, a raw tab, bytes that are no UTF-8, a
byte order mark, a number out of range, a depth that nobody needs (protocol.md R6, R12). Each costs
the one value that it stands in: U+FFFD for a character, null for a number or a container.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

import orjson

DEPTH_MAX: Final = 64
"""What is nested deeper reads as null; what the platform sends is six deep."""

DAMAGE: Final = "\ufffd"
"""What stands for a character that could not be read. A name or an id that holds it names nothing.
"""

_AROUND: Final = " \t\r\n\0\ufeff"
_STRING_OR_BRACKET: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[{\]}]', re.DOTALL)
_ESCAPE: Final = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a character of two halves
    r"|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|\\u[0-9a-fA-F]{4}"
    r'|\\["\\/bfnrt]'
    r"|(?P<none>\\)"
)


def parsed(raw: bytes) -> Any:
    """The value that `raw` writes. Raises ValueError for what is no JSON even so."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return _patiently(raw)


def _patiently(raw: bytes) -> Any:
    """Some ten times slower. What it returns can be written as JSON again."""
    text = raw.decode("utf-8", errors="replace").strip(_AROUND)
    text = _ESCAPE.sub(_mended, _flattened(text))
    return json.loads(
        text, strict=False, parse_int=_integer, parse_float=_number, parse_constant=_nothing
    )


def _mended(escape: re.Match[str]) -> str:
    if escape["half"]:
        return r"\ufffd"
    return r"\\" if escape["none"] else escape[0]


def _flattened(text: str) -> str:
    """With null in the place of each container below DEPTH_MAX: parsers recurse."""
    kept, depth, from_ = [], 0, 0
    for token in _STRING_OR_BRACKET.finditer(text):
        character = token[0]
        if character in "[{":
            depth += 1
            if depth == DEPTH_MAX + 1:
                kept += [text[from_ : token.start()], "null"]
        elif character in "]}":
            if depth == DEPTH_MAX + 1:
                from_ = token.end()
            depth -= 1
    if depth > DEPTH_MAX:
        raise ValueError("not JSON: what is nested deepest is never closed")
    return "".join([*kept, text[from_:]]) if kept else text


def _integer(digits: str) -> float | int | None:
    """As orjson has them: 64 bits, else a float."""
    if len(digits) <= 20:
        value = int(digits)
        if -(1 << 63) <= value < 1 << 64:
            return value
    return _number(digits)


def _number(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _nothing(_constant: str) -> None:
    """NaN and the infinities are no JSON."""

"""Printable: text of others as it may stand on a terminal, in a log line or in JSON.

What moves a cursor, colours a screen, breaks a line, changes the direction of writing or is not
seen at all becomes an escape. Letters, marks and spaces of all languages stay, and so do the two
joiners that Persian and emoji need.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, Final, ParamSpec, TextIO, TypeVar, cast

Parameters = ParamSpec("Parameters")
Value = TypeVar("Value")

_REST: Final = (
    "\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufdd0-\ufdef\ufeff"
    "\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\ue000-\uf8ff\U000e0000-\U000e0fff\U000f0000-\U0010ffff"
)
_IN_A_LINE: Final = re.compile(f"[\0-\x1f{_REST}]")
_IN_LINES: Final = re.compile(f"[\0-\x08\x0b-\x1f{_REST}]")  # all but tab and newline
_COLOUR: Final = re.compile("(\x1b\\[[0-9;]*m)")


def printable(text: str) -> str:
    """In one line."""
    if text.isprintable():  # by far the most
        return text
    return _IN_A_LINE.sub(_escape, text)


def printable_lines(text: str) -> str:
    """The same; newlines and tabs are whoever's who calls."""
    if text.isprintable():
        return text
    return _IN_LINES.sub(_escape, text)


def printable_json(document: bytes) -> bytes:
    """The same document, UTF-8, such that nothing in its strings acts on a terminal. Line breaks
    between values stay."""
    if document.isascii() and b"\x7f" not in document:  # orjson has escaped what is below a space
        return document
    return _IN_LINES.sub(_json_escape, document.decode()).encode()


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape", "surrogatepass").decode()


def _json_escape(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1] if found[0] != "\x7f" else "\\u007f"


class PrintableStream:
    """A standard stream that no text can act on, whatever was printed. On a terminal colours pass:
    help and errors of the command line have them."""

    def __init__(self, stream: TextIO) -> None:
        self.unescaped = stream
        self._has_colours = stream.isatty()

    def write(self, text: str) -> int:
        if text.isprintable() or not self._has_colours:
            return self.unescaped.write(printable_lines(text))
        # What splits them stands at the odd places.
        parts = _COLOUR.split(text)
        parts[::2] = map(printable_lines, parts[::2])
        return self.unescaped.write("".join(parts))

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unescaped, name)


def unescaped(stream: TextIO) -> TextIO:
    """For whoever moves the cursor itself, and escapes what it shows."""
    return cast("TextIO", getattr(stream, "unescaped", stream))


def with_printable_streams(program: Callable[Parameters, Value]) -> Callable[Parameters, Value]:
    """Whatever the program prints, on either standard stream, acts on nobody."""

    @wraps(program)
    def escaped(*arguments: Parameters.args, **named: Parameters.kwargs) -> Value:
        before = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = map(PrintableStream, before)
        try:
            return program(*arguments, **named)
        finally:
            sys.stdout, sys.stderr = before

    return escaped

"""Owns how the id of a person is found in bytes that somebody else has written. Pure.

A frame in quarantine is kept as it came. JSON writes a character in many ways, gateways write ids
in either letter case, and what could not be read may be UTF-16: none of that makes it another
person.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, Protocol

import orjson

TELLING_LENGTH: Final = 16
"""An id of such a length, a UUID say, is never a part of another one."""
CUT_LENGTH_MIN: Final = 8
"""So much of an id at the end of a frame that was cut tells whose it is."""

TRACE: Final = rb"(?<![0-9A-Za-z_.+-])(?:%s)(?!\.?[0-9A-Za-z_-])"
"""A name or an address, as words: an address may end with another one, and a sentence with it."""
ESCAPED_BYTES_MAX: Final = 24
"""Of one character: two units of UTF-16, each behind some backslashes."""

_ESCAPE: Final = re.compile(rb"\\[u/\"\\bfnrt]|%[0-9a-fA-F]{2}")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NAMED: Final = {
    "/": b"/", '"': b'"', "\\": b"\\", "\n": b"n", "\r": b"r", "\t": b"t", "\b": b"b", "\f": b"f",
}  # fmt: skip
"""Characters for which JSON has an escape of their own."""
_WIDE: Final = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")


class Mention(Protocol):
    """Something that finds a person in bytes; `re.Pattern` is one."""

    def search(self, content: bytes, /) -> object: ...


class Mentions:
    """Finds the id however it is spelt: plain, with any of its characters escaped as JSON or a URL
    may (also in a text within a text), in either normal form or a wide encoding; a UUID in either
    case, with its hyphens or without. A short one as a word of its own: others may begin with it. A
    long one wherever it is: in a table, columns follow without anything between.

    Whole files are searched: what begins with a known byte takes nanoseconds a byte, and only
    around escapes, which are few, is the rest looked for, which takes a hundred times that.
    """

    __slots__ = ("_escaped", "_reach", "_usual")

    def __init__(self, user_id: str, traces: Iterable[str] = ()) -> None:
        forms = _forms(user_id)
        plain = [_spelt(form, _plain_ways, user_id) for form in forms]
        wide = [
            _spelt(form, partial(_wide_ways, encoding), user_id)
            for form in forms
            for encoding in _WIDE
        ]
        self._usual = [_compiled(user_id, [each]) for each in (*plain, *wide)]
        self._usual += [
            re.compile(b"(?i:%s)" % (TRACE % b"|".join(map(re.escape, written_ways(trace)))))
            for trace in traces
        ]
        self._escaped = _compiled(user_id, [_spelt(each, _byte_ways, user_id) for each in forms])
        self._reach = ESCAPED_BYTES_MAX * max(map(len, forms))

    def search(self, content: bytes, /) -> bool:
        return any(each.search(content) for each in self._usual) or self._search_escaped(content)

    def _search_escaped(self, content: bytes) -> bool:
        end = 0
        for found in _ESCAPE.finditer(content):
            at = found.start()
            if at >= end:  # else it was looked at already
                end = at + self._reach
                if self._escaped.search(content, max(0, at - self._reach), end + self._reach):
                    return True
        return False


def mentions(user_id: str, *traces: str) -> Mentions:
    """`traces`: by what else the person may be found, a name or an address; as words, in either
    case."""
    return Mentions(user_id, traces)


def written_ways(text: str) -> list[bytes]:
    """How a name or an address may be written: as it is, or as JSON has it."""
    plain, ascii_only = orjson.dumps(text)[1:-1], json.dumps(text)[1:-1].encode()
    ways = {text.encode(), plain, ascii_only, _upper(ascii_only)}
    ways |= {way.replace(b"/", b"\\/") for way in ways}
    return sorted(ways)


def _upper(escaped: bytes) -> bytes:
    return re.sub(rb"\\u[0-9a-f]{4}", lambda found: b"\\u" + found[0][2:].upper(), escaped)


def cut_mentions(user_id: str) -> re.Pattern[bytes] | None:
    """Finds its beginning at the end of what was cut off; None: it is too short to tell."""
    if len(user_id) < TELLING_LENGTH:
        return None
    heads = (user_id[:length] for length in range(len(user_id) - 1, CUT_LENGTH_MIN - 1, -1))
    ends = b"|".join(_spelt(head, _byte_ways, user_id) for head in heads)
    return re.compile(rb"(?:%s)[^,:\[\]{}]{0,8}\Z" % ends)


def spellings(user_id: str) -> list[str]:
    """As which tables may know the same person, the given one first."""
    cases = (user_id.lower(), user_id.upper()) if _UUID.fullmatch(user_id) else ()
    return list(dict.fromkeys((user_id, *cases)))


def _forms(user_id: str) -> list[str]:
    normal = (unicodedata.normalize(form, user_id) for form in ("NFC", "NFD"))
    return list(dict.fromkeys((user_id, *normal)))


def _compiled(user_id: str, ways: Iterable[bytes]) -> re.Pattern[bytes]:
    either = b"|".join(ways)
    if len(user_id) >= TELLING_LENGTH:
        return re.compile(either)
    return re.compile(rb"(?<![0-9A-Za-z_-])(?:%s)(?![0-9A-Za-z_-])" % either)


def _spelt(text: str, ways: Callable[[str], list[bytes]], user_id: str) -> bytes:
    is_uuid = _UUID.fullmatch(user_id) is not None
    spelt = []
    for character in text:
        cases = {character.lower(), character.upper()} if is_uuid else {character}
        each = [one for case in sorted(cases) for one in ways(case)]
        if len(each) == 1:  # what begins with a literal is searched for faster
            choice = each[0] if len(character.encode()) == 1 and b"\0" not in each[0] else None
        else:
            choice = b"[%s]" % b"".join(each) if all(map(_is_byte, each)) else None
        choice = choice or b"(?:%s)" % b"|".join(each)
        spelt.append(choice + (b"?" if is_uuid and character == "-" else b""))
    return b"".join(spelt)


def _is_byte(spelling: bytes) -> bool:
    return len(spelling) == 1


def _plain_ways(character: str) -> list[bytes]:
    return [re.escape(character.encode("utf-8", "surrogatepass"))]


def _byte_ways(character: str) -> list[bytes]:
    """Of one character in UTF-8, in JSON and in a URL."""
    utf_8 = character.encode("utf-8", "surrogatepass")
    units = character.encode("utf-16-be", "surrogatepass").hex()
    pairs = [units[at : at + 4] for at in range(0, len(units), 4)]
    ways = [re.escape(utf_8)]
    ways.append(b"".join(rb"\\+u" + _digits(pair) for pair in pairs))
    ways.append(b"".join(b"%" + _digits(f"{byte:02x}") for byte in utf_8))
    if character in _NAMED:
        ways.append(rb"\\+" + re.escape(_NAMED[character]))
    return ways


def _wide_ways(encoding: str, character: str) -> list[bytes]:
    return [re.escape(character.encode(encoding, "surrogatepass"))]


def _digits(text: str) -> bytes:
    """Hexadecimal ones, in either case."""
    return b"".join(
        f"[{each}{each.upper()}]".encode() if each.isalpha() else each.encode() for each in text
    )

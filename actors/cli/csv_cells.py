"""CSV cells: text of others as a spreadsheet may show it, and does not run it. Pure.

A spreadsheet takes a cell for a formula by its first letter, quoted or not. Such a cell is written
with an apostrophe before it; so is one that begins with an apostrophe, so that whoever takes one
away has the text again.
"""

from __future__ import annotations

import unicodedata
from typing import Final

GUARD: Final = "'"
_FIRST: Final = frozenset("=+-@|%" + GUARD)
_UNSEEN: Final = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp", "Cs", "Mn"})
"""Kinds of letters that a spreadsheet drops, or nobody sees: what stands after them counts."""


def guarded(value: object) -> object:
    """Numbers are no text of others, and stay."""
    if not isinstance(value, str) or not value or not _is_dangerous(value):
        return value
    return GUARD + value


def _is_dangerous(text: str) -> bool:
    if text[0] in _FIRST or text[0] in "\t\r\n":
        return True
    for letter in text:
        if unicodedata.category(letter) in _UNSEEN:
            continue
        # Full-width and small forms of the same letters: some programs take them for these.
        return unicodedata.normalize("NFKC", letter)[:1] in _FIRST
    return False

"""Owns when two texts that people write mean the same name: whatever the case, spaces and accents.

Pure, and without any list of names.
"""

from __future__ import annotations

import unicodedata


def folded(text: str) -> str:
    """Equal for texts that name the same: one normal form, one case, one space between words.

    >>> folded("CAFÉ\\u00a0 Noir") == folded("cafe\\u0301 noir")
    True

    The dot of a Turkish capital I goes too: lower-cased it would stay behind as an accent of `i`.
    """
    lowered = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(unicodedata.normalize("NFKC", lowered).replace("i\u0307", "i").split())

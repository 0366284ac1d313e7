"""LastWords: why a child has ended for good, left on its page for the supervisor's last line.

Only of an end that ends everything (exit 78): the note of the page is the child's own otherwise,
and a successor may need what stands there.
"""

from __future__ import annotations

from typing import Final

from runtime.counters import NOTE_BYTES_MAX, Counters

MARK: Final = "child.failed: "
"""Before it: what else stands in a note is no cause."""


def leave_cause(page: Counters, cause: str) -> None:
    """In the child; cut to what the page has room for."""
    text = MARK + " ".join(cause.split())
    page.note = text.encode(errors="replace")[:NOTE_BYTES_MAX].decode(errors="ignore")


def cause_left(page: Counters) -> str:
    """In the supervisor, of a child that is gone; "" if it left none."""
    note = page.note
    return note.removeprefix(MARK) if note.startswith(MARK) else ""

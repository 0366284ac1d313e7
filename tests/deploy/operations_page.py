"""OperationsPage: the part of docs/operations.md that is generated, and how it is renewed.

    python -m tests.deploy.operations_page

What a setting means stands where it is defined; the page repeats it for people.
"""

from __future__ import annotations

import sys
from pathlib import Path

from actors.settings.table import markdown

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
BEGINS = "<!-- presence-runtime settings --markdown: begins -->\n"
ENDS = "<!-- presence-runtime settings --markdown: ends -->\n"
RENEW = "python -m tests.deploy.operations_page"


def written() -> str:
    """What stands between the marks."""
    _, _, behind = PAGE.read_text(encoding="utf-8").partition(BEGINS)
    table, mark, _ = behind.partition(ENDS)
    assert mark, f"{PAGE} has lost its marks"
    return table


def renew() -> bool:
    """Whether anything has changed."""
    before = PAGE.read_text(encoding="utf-8")
    head, begins, behind = before.partition(BEGINS)
    _, ends, tail = behind.partition(ENDS)
    assert ends, f"{PAGE} has lost its marks"
    after = head + begins + markdown() + ends + tail
    PAGE.write_text(after, encoding="utf-8")
    return after != before


if __name__ == "__main__":
    sys.stdout.write("renewed\n" if renew() else "as it was\n")

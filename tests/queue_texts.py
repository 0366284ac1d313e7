"""QueueTexts: an agent counts in each of its queues, so nobody reads the first of them, or takes a
text of queues for the id of one (`actors/messages/queues.py`).

A rule as in `tidiness.py`, which knows no word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.tidiness import Source

OWNER = "actors/messages/queues.py"
# Who may tell the field `queue` of 0.1, which is one of the queues and decides nothing.
TELL_FORMER = {
    "actors/cli/export_formats.py",
    "actors/cli/state.py",
    "actors/sinks/envelope.py",
    "actors/web/board.py",
    "actors/web/changes.py",
    "actors/web/rendering.py",
    "actors/web/shapes.py",
}
# Where texts are compared as wholes: whether they are the same, not who is in them.
COMPARE_WHOLES = {
    "actors/shard/agent_table.py",
    "actors/shard/merge.py",
    "actors/web/read_model.py",
}
FIRST = re.compile(
    r"queues(?:_of\([^()]*\))?\s*\[\s*0\s*\]"  # one by its place
    r"|next\(\s*iter\([^()]*queues?\b"
    r"|(?:min|max)\([^()]*\bqueues\)"
    r"|\*_\s*=\s*[\w.]*queues\b"
    r"|activeQueueIds\"?\]?\s*\[\s*0"
)
AS_ONE = re.compile(  # what is selected on the page is the id of one
    r"(?<!selection)(?<!this)\.queue\s*(?:[=!]==?|\bin\b|\bnot in\b)"
    r"|(?:[=!]==?|\bin\b)\s*(?!selection|this)\b\w+\.queue\b(?!\()"
)


def each_queue_counts(source: Source) -> Iterator[str]:
    if not source.path.startswith("actors/") or source.path == OWNER:
        return
    for number, line in enumerate(source.text.split("\n"), 1):
        where = f"{source.path}:{number}"
        if FIRST.search(line):
            yield f"{where}: the first of several queues; an agent counts in each"
        if AS_ONE.search(line) and source.path not in COMPARE_WHOLES:
            yield f"{where}: a text of queues taken for one; read it by queues_of"
        if "former_queue" in line and source.path not in TELL_FORMER:
            yield f"{where}: the field of 0.1 decides nothing"

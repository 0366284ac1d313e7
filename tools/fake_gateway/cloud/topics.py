"""Topics: what a channel may subscribe to, told from its text (protocol.md §2.1). Pure.

`v2.users.{id}.activity`, or one of its parts. A combined topic, as in
`v2.users.{id}?presence&routingStatus`, counts as one, whatever it combines, and has at most 200
characters; its events bear their own names.
"""

from __future__ import annotations

import re
from typing import NamedTuple

ACTIVITY, PRESENCE, ROUTING_STATUS, OUT_OF_OFFICE = 1, 2, 4, 8  # a mask is a sum of these
_PARTS = {
    "activity": ACTIVITY,
    "presence": PRESENCE,
    "routingstatus": ROUTING_STATUS,
    "outofoffice": OUT_OF_OFFICE,
}
_USER = r"v2\.users\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
_ONE = re.compile(_USER + r"\.(\w+)", re.IGNORECASE)
COMBINED_CHARS_MAX = 200
_COMBINED = re.compile(_USER + r"\?(\w+(?:&\w+)*)", re.IGNORECASE)


class Topic(NamedTuple):
    user: str
    mask: int


def parse_topic(text: str) -> Topic | None:
    """None: no topic of ours."""
    found = _ONE.fullmatch(text)
    if found is None and len(text) <= COMBINED_CHARS_MAX:
        found = _COMBINED.fullmatch(text)
    if found is None:
        return None
    parts = [_PARTS.get(part.lower(), 0) for part in found[2].split("&")]
    return Topic(found[1].lower(), sum(set(parts))) if all(parts) else None

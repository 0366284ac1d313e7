"""Owns how a frame is named in which the platform speaks of itself, and asks for nothing we know.
Pure.

Such frames are no events, and may come every 30 s: they are told by their name, once.
"""

from __future__ import annotations

from typing import Final

from actors.genesys import json_text

SYSTEM_TOPICS: Final = ("v2.system.", "channel.")
NAME_CHARS_MAX: Final = 64
RESULT_CHARS_MAX: Final = 8


def notice_of(payload: bytes) -> str | None:
    """Its name, without what follows a topic, which may be a channel's id; None: it is none."""
    try:
        parsed = json_text.parsed(payload)
    except ValueError:
        return None
    if not isinstance(parsed, dict):
        return None
    topic, result = parsed.get("topicName"), parsed.get("result")
    if isinstance(topic, str) and topic.lower().startswith(SYSTEM_TOPICS):
        parts = topic[:NAME_CHARS_MAX].lower().split(".")
        return ".".join(parts[: 3 if parts[0] == "v2" else 2])
    if topic is None and isinstance(result, str | int | float):
        shown = str(result)
        return f"result {shown}" if len(shown) <= RESULT_CHARS_MAX else None
    return None

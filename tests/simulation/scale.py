"""The scale of a simulation: the product's bounds, made as small as a schedule of 200 events.

Knows no schedule. At their real size (a margin of 1,000, a window of 65,536, pages of 256 agents)
every resume would begin before the first event, nothing would ever leave a window, and a mistake in
either would go unseen. The rules are the same; only these numbers shrink.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from actors.receiver import line, numbering, poison
from actors.shard import checkpoint, dedup, event_run, merge, sessions, shard

MARGIN: Final = 16  # how far neighbours change places
WINDOW: Final = 256  # a power of two; wider than any lag of one shard behind another
PAGE_AGENTS: Final = 4

_SMALL: Final = (
    (line, "RESUME_MARGIN", MARGIN),
    (sessions, "RESUME_MARGIN", MARGIN),
    (numbering, "RESUME_MARGIN", MARGIN),
    (poison, "RESUME_MARGIN", MARGIN),
    (dedup, "WINDOW_WIDTH", WINDOW),
    (dedup, "_MASK", WINDOW - 1),
    (event_run, "WINDOW_WIDTH", WINDOW),
    (merge, "WINDOW_WIDTH", WINDOW),
    (shard, "WINDOW_WIDTH", WINDOW),
    (checkpoint, "PAGE_AGENTS", PAGE_AGENTS),
)


@contextmanager
def small_scale() -> Iterator[None]:
    """The product with small bounds, in this process, while this lasts."""
    before = [(module, name, getattr(module, name)) for module, name, _ in _SMALL]
    for module, name, value in _SMALL:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)

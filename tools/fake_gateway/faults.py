"""Fault: what goes wrong, as a control call or a plan asks for it; and broken frames. Pure.

The kinds of each dialect are rows (`wsp/faults.py`, `cloud/faults.py`). A malformed frame is always
additional: the event itself is also sent whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, ClassVar, Self, get_type_hints

from tools.fake_gateway.wire import BINARY, CONTINUATION, TEXT, server_frame

BREAKING = ("oversized", "reserved-bits", "bad-continuation")  # a client ends its session over them
OVERSIZED_BYTES = 2 << 20

FrameBreaker = Callable[[bytes], bytes]  # the text of a healthy event -> what is put on the socket


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A dialect adds its kinds, its statuses (0 = never answered) and whom a fault may meet."""

    KINDS: ClassVar[tuple[str, ...]] = ()
    STATUSES: ClassVar[tuple[int, ...]] = ()

    kind: str
    code: int | None = None
    seconds: float = 0.0
    count: int = 1
    status: int = 429
    retry_after_s: int | None = None

    def check(self, statuses: tuple[int, ...]) -> None:
        """Raises ValueError that names what is wrong."""
        if self.kind not in self.KINDS:
            raise ValueError(
                f"Unknown fault {self.kind!r}; expected one of {', '.join(self.KINDS)}"
            )
        if self.code is not None and not 1000 <= self.code <= 4999:
            raise ValueError(f"a close code is 1000 to 4999, or null: {self.code}")
        if self.status not in statuses:
            raise ValueError(f"status is one of {statuses} (0 = hang), not {self.status}")
        if self.seconds < 0 or self.count < 1:
            raise ValueError("seconds must not be negative, count must be at least 1")

    @property
    def detail(self) -> dict[str, Any]:
        """The fields beside the kind that do not have their default."""
        usual = type(self)(kind=self.kind)
        names = (field.name for field in fields(self) if field.name != "kind")
        return {
            name: getattr(self, name)
            for name in names
            if getattr(self, name) != getattr(usual, name)
        }

    @classmethod
    def parse(cls, asked: Any) -> Self:
        """Of a control call's JSON. Raises ValueError that names what is wrong."""
        if not isinstance(asked, dict):
            raise ValueError("a fault is a JSON object")
        hints = get_type_hints(cls)
        types = {field.name: hints[field.name] for field in fields(cls)}
        if unknown := asked.keys() - types:
            names = f"{', '.join(sorted(unknown))}; known: {', '.join(sorted(types))}"
            raise ValueError(f"unknown: {names}")
        if "kind" not in asked:
            raise ValueError(f"kind is missing: one of {', '.join(cls.KINDS)}")
        for name, value in asked.items():
            wanted = int | float if types[name] is float else types[name]
            if isinstance(value, bool) is not (wanted is bool) or not isinstance(value, wanted):
                raise ValueError(f"{name} has the wrong type: {value!r}")
        return cls(**asked)


def frame_breakers(
    *,
    key: bytes,
    state: bytes,
    other_state: bytes,
    end: bytes,
    stranger: bytes,
    names: tuple[str, str] = ("unknown-type", "unknown-state"),
    more: Mapping[str, FrameBreaker] = MappingProxyType({}),
) -> Mapping[str, FrameBreaker]:
    """The frame faults that both dialects have, and `more`. `key`: whose colon is broken; `state`:
    the opening of a state's value; `end`: the brackets that close an event; `stranger`: a whole
    event of a type that nobody knows; `names`: what a dialect calls a strange type and state."""

    def unknown_state(text: bytes) -> bytes:
        begin = text.index(state) + len(state)
        return server_frame(text[:begin] + other_state + text[text.index(b'"', begin) :])

    def oversized(text: bytes) -> bytes:
        pad = b',"pad":"' + b"x" * OVERSIZED_BYTES + b'"'
        return server_frame(text.removesuffix(end) + pad + end)

    return {
        "malformed": lambda text: server_frame(text.replace(key + b":", key + b";", 1)),
        "truncated": lambda text: server_frame(text[: len(text) * 2 // 3]),
        "binary": lambda text: server_frame(text, BINARY),
        "fragmented": _fragmented,
        names[0]: lambda _: server_frame(stranger),
        names[1]: unknown_state,
        **more,
        "non-utf8": lambda text: server_frame(text.replace(state, state + b"\xff\xfe", 1)),
        "oversized": oversized,
        "reserved-bits": lambda text: server_frame(text, 0x40 | TEXT),
        "bad-continuation": lambda text: server_frame(text, CONTINUATION),
    }


def _fragmented(text: bytes) -> bytes:
    third = len(text) // 3
    return (
        server_frame(text[:third], final=False)
        + server_frame(text[third : 2 * third], CONTINUATION, final=False)
        + server_frame(text[2 * third :], CONTINUATION)
    )


def text_of(event: bytes) -> bytes:
    """Of a whole, healthy frame of the 16-bit form."""
    assert event[1] == 126, event[:4]
    return event[4:]

"""Tagged: values that travel through rings as JSON arrays of a tag and their fields. Pure.

Knows no record's meaning and no ring. `control`, `queries` and `commands` name
the records of one pair of ends each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar, get_type_hints

import orjson

Record = TypeVar("Record", bound=tuple[Any, ...])

# type(value) is compared, not isinstance: True is no sequence and 5.0 no session.
_FIELD_TYPES: dict[object, tuple[type, ...]] = {
    int: (int,),
    str: (str,),
    bool: (bool,),
    int | None: (int, type(None)),
    str | None: (str, type(None)),
}


class Vocabulary(Generic[Record]):
    """The NamedTuples that one pair of ends exchanges, each under its tag. Their fields are int,
    str, bool, `int | None` or `str | None`."""

    def __init__(self, tags: Mapping[type[Record], str]) -> None:
        self._tags = dict(tags)
        self._layouts = {
            tag: (kind, tuple(_FIELD_TYPES[hint] for hint in get_type_hints(kind).values()))
            for kind, tag in self._tags.items()
        }
        assert len(self._layouts) == len(self._tags), "a tag twice"

    def encode(self, record: Record) -> bytes:
        return orjson.dumps([self._tags[type(record)], *record])

    def decode(self, payload: bytes) -> Record:
        """The inverse of `encode`; ValueError for every payload that it did not write."""
        decoded = orjson.loads(payload)  # orjson.JSONDecodeError is a ValueError
        if not isinstance(decoded, list) or not decoded or not isinstance(decoded[0], str):
            raise ValueError(f"no record: {payload[:80]!r}")
        tag, *fields = decoded
        if tag not in self._layouts:
            raise ValueError(f"unknown record {tag!r}")
        kind, layout = self._layouts[tag]
        names: tuple[str, ...] = kind._fields  # type: ignore[attr-defined]  # of every NamedTuple
        if len(fields) != len(layout):
            raise ValueError(f"{tag!r} has {len(layout)} fields, not {len(fields)}")
        for name, field, types in zip(names, fields, layout, strict=True):
            if type(field) not in types:
                raise ValueError(f"{tag!r}: {name} is {field!r}")
        return kind(*fields)

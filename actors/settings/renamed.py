"""RenamedSettings: settings of the previous version under their old names, with a warning for each.

Knows no default and no bound. An old name is accepted for one version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

Keys: TypeAlias = tuple[str, ...]
Leaf: TypeAlias = tuple[str, Keys, Any]
"""Where a value comes from, its keys from the outermost table, and the value."""

RENAMED: Final[Mapping[Keys, str]] = {
    ("backoff_most_s",): "backoff_max_s",
    ("sender", "webhook", "backoff_most_s"): "backoff_max_s",
    ("sinks", "backoff_most_s"): "backoff_max_s",
}
"""By the old keys, the last key of the new ones. A list of tables has no numbers here."""


def is_old_name(key: str) -> bool:
    """Of a setting that is in no table."""
    return (key,) in RENAMED


def current(leaf: Leaf) -> tuple[Leaf, tuple[str, ...]]:
    """The same under the names of today, and a warning for each that was an old one. Raises
    ValueError where a table of a list has both names."""
    origin, keys, value = leaf
    if keys in RENAMED:
        new = (*keys[:-1], RENAMED[keys])
        return (origin, new, value), (_warning(origin, keys, RENAMED[keys]),)
    old = {path[-1]: name for path, name in RENAMED.items() if path[:-1] == keys}
    if not old or not isinstance(value, Sequence) or isinstance(value, str):
        return leaf, ()
    warnings = tuple(
        _warning(origin, (*keys, str(number), name), old[name])
        for number, each in enumerate(value)
        for name in _given(each, old)
    )
    return (origin, keys, [_with_new_names(each, old) for each in value]), warnings


def _with_new_names(table: Any, old: Mapping[str, str]) -> Any:
    for name in _given(table, old):
        if old[name] in table:
            raise ValueError(f"{old[name]} and {name} are both set; remove {name}")
    if not isinstance(table, Mapping):
        return table
    return {old.get(key, key): value for key, value in table.items()}


def _given(table: Any, old: Mapping[str, str]) -> Iterator[str]:
    if isinstance(table, Mapping):
        yield from (key for key in table if key in old)


def _warning(origin: str, keys: Keys, new: str) -> str:
    return (
        f"{'.'.join(keys)} (from {origin}) was renamed to {new}; the old name will be removed in "
        "the next version"
    )

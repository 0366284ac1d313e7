"""SettingsWords: what is wrong with a setting, said in our own words. Knows no layer and no file.

pydantic's messages never reach a person: they speak of inputs and tuples, and know neither where a
value came from nor what else the setting allows.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from pydantic import BaseModel

from actors.genesys.proxy import without_password
from actors.settings.cloud import ClientSettings
from actors.settings.model import Settings, shown
from actors.settings.sinks import SinkSettings
from actors.settings.table import rows
from runtime.log import MASK

Keys: TypeAlias = tuple[str, ...]

LISTS: Final[dict[str, type[BaseModel]]] = {"clients": ClientSettings, "sinks": SinkSettings}
"""Lists of tables, and what each table is."""
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_TABLE: Final = "must be a table; set its keys"
_FIXED: Final = {
    "missing": "is required",
    "string_type": "must be text",
    "string_sub_type": "must be text",
    "string_unicode": "must be text in UTF-8",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "path_type": "must be the path of a file or folder",
    "tuple_type": 'must be a list, such as ["a", "b"]',
    "list_type": 'must be a list, such as ["a", "b"]',
    "model_type": _TABLE,
    "model_attributes_type": _TABLE,
    "dict_type": _TABLE,
    "mapping_type": _TABLE,
    "finite_number": "must be a finite number",
}
"""By pydantic's type of error."""
_COUNTED: Final = {
    "string_too_short": ("at least", "min_length", "characters"),
    "string_too_long": ("at most", "max_length", "characters"),
    "too_short": ("at least", "min_length", "entries"),
    "too_long": ("at most", "max_length", "entries"),
}
_BOUNDED: Final = {
    "greater_than": ("over", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("under", "lt"),
    "less_than_equal": ("at most", "le"),
}
_WHOLE: Final = frozenset({"int_type", "int_parsing", "int_from_float", "int_parsing_size"})
_NUMBERS: Final = frozenset({"float_type", "float_parsing"})


def named(path: Sequence[object]) -> str:
    """As TOML writes it: `sender.capacity.queues."Sales West".minimum_available`."""
    return ".".join(
        str(key) if _BARE_KEY.fullmatch(str(key)) else json.dumps(str(key)) for key in path
    )


def leaves(table: Mapping[str, Any], above: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from leaves(value, (*above, key))
        else:
            yield (*above, key), value


def known_keys() -> list[Keys]:
    return [path for path, _ in leaves(Settings.model_construct().model_dump())]


def explain(error: Mapping[str, Any], origins: Mapping[str, str]) -> str:
    """One of pydantic's errors as setting, value (masked), origin, and what is allowed."""
    path = tuple(str(part) for part in error["loc"] if part != "[key]")  # pydantic's own word
    if not path:
        return in_words(error, "")
    key = named(path)
    above = (named(path[:length]) for length in range(len(path), 0, -1))  # of a list's element: it
    origin = next((origins[each] for each in above if each in origins), None)
    where = f" (from {origin})" if origin else ""
    if error["type"] == "extra_forbidden":
        return f"{key}{where}: unknown setting{_near(path)}"
    said, given = in_words(error, allowed(path)), error["input"]
    # Whatever it is, a secret may be in it.
    if isinstance(given, Mapping | BaseModel) or path[0] in LISTS:
        return f"{key}{where}: {said}"
    is_text = isinstance(given, str)
    masked = repr(without_password(shown(key, given))) if is_text else without_password(repr(given))
    value = MASK if "secret" in key else masked
    return f"{key} = {value}{where}: {said}"


def allowed(path: Keys) -> str:
    """Choices or bounds, as the documentation's table has them; "" if it has none."""
    pattern = [r'(\[\]|\."…")' if each.isdecimal() else re.escape(f".{each}") for each in path]
    wanted = re.compile("".join(pattern).removeprefix(re.escape(".")))
    return next((row.allowed for row in rows() if wanted.fullmatch(row.setting)), "")


def in_words(error: Mapping[str, Any], choices: str) -> str:
    """What is wrong, as a sentence without its subject. `choices`: what is allowed."""
    kind, context = str(error["type"]), error.get("ctx") or {}
    if kind in {"value_error", "assertion_error"}:
        return re.sub(r"^(Value error|Assertion failed), ", "", str(error["msg"]))
    if kind in {"literal_error", "enum"}:
        return f"must be {context['expected']}{_near_choice(error['input'], choices)}"
    if kind in _COUNTED:
        least_or_most, bound, things = _COUNTED[kind]
        return f"must have {least_or_most} {context[bound]} {things}"
    if kind in _BOUNDED:
        word, bound = _BOUNDED[kind]
        return f"must be {choices if ' to ' in choices else f'{word} {context[bound]}'}"
    if kind in _WHOLE | _NUMBERS:
        number = "a whole number" if kind in _WHOLE else "a number"
        return f"must be {number}, {choices}" if choices else f"must be {number}"
    return _FIXED.get(kind, f"is invalid{f'; allowed: {choices}' if choices else ''}")


def _near_choice(given: object, choices: str) -> str:
    names = choices.split(", ")
    near = difflib.get_close_matches(str(given).lower(), names, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def _near(path: Keys) -> str:
    *table, key = path
    depth = len(table)
    if path[0] in LISTS:
        beside = sorted(LISTS[path[0]].model_fields)
    else:
        beside = sorted({each[depth] for each in known_keys() if each[:depth] == tuple(table)})
    near = [named((*table, each)) for each in difflib.get_close_matches(key, beside, n=2)]
    if not near and path[0] not in LISTS:  # perhaps it stands in the wrong table
        last = {each[-1] for each in known_keys()}
        close = difflib.get_close_matches(key, last, n=1, cutoff=0.75)
        near = [named(each) for each in known_keys() if each[-1] in close]
    return (
        f"; did you mean {' or '.join(near)}?" if near else f"; expected one of {', '.join(beside)}"
    )

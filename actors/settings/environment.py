"""SettingsEnvironment: what the variables `PRESENCE_…` say, each under its own name.

Not pydantic-settings' own reader: one list that is no JSON makes it name every table there is, and
it does not say which variable a value came from. A list may be written `a,b` or as JSON.
"""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel

from actors.settings.model import ENVIRONMENT_PREFIX, Settings, unusable
from actors.settings.problems import Keys, leaves
from actors.settings.renamed import is_old_name

Given: TypeAlias = tuple[str, Keys, Any]
"""A variable, the keys of what it sets, and the value."""
_OPENS_JSON: Final = re.compile(r"\[\s*(?:[\"{\]]|[0-9.+-]+\s*[,\]])")


def variable(path: Keys) -> str:
    return ENVIRONMENT_PREFIX + "__".join(path).upper()


def given_in(environment: Mapping[str, str]) -> list[Given]:
    """All that is set, what is deeper first. An empty variable is one that was not given: compose
    files and units write them so. Raises ConfigurationError that names each wrong one."""
    found: list[Given] = []
    problems: list[str] = []
    names = [name for name in environment if name.upper().startswith(ENVIRONMENT_PREFIX)]
    for name in sorted(names, key=lambda name: (-name.count("__"), name)):
        keys = tuple(name.upper().removeprefix(ENVIRONMENT_PREFIX).lower().split("__"))
        if not environment[name]:
            continue
        if keys[0] not in Settings.model_fields and not is_old_name(keys[0]):
            continue  # a cluster sets variables of its own making: told as a warning
        try:
            found += _read(name.upper(), keys, environment[name])
        except ValueError as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise unusable(problems)
    return found


def _read(name: str, keys: Keys, text: str) -> Iterator[Given]:
    kind: Any = Settings
    for depth, key in enumerate(keys):
        if _is_model(kind):
            field = kind.model_fields.get(key)
            kind = None if field is None else _bare(field.annotation)
        elif get_origin(kind) is dict:
            kind = _bare(get_args(kind)[1])
        elif depth:
            if kind is not None:
                return  # a setting with something below it: told as a warning
            break  # of a table's own key that there is none of
    value = _value(kind, keys, text)
    if isinstance(value, Mapping):
        yield from ((name, path, each) for path, each in leaves(value, keys))
    else:
        yield name, keys, value


def _value(kind: Any, keys: Keys, text: str) -> Any:
    if _is_model(kind) or get_origin(kind) is dict:
        value = _json(text)
        if not isinstance(value, Mapping):
            key = next(iter(kind.model_fields), "NAME") if _is_model(kind) else "NAME"
            raise ValueError(
                f"{'.'.join(keys)} is a table: set its keys, for example "
                f"{variable((*keys, key))}=…, or specify a JSON object"
            )
        return value
    if get_origin(kind) is tuple:
        return _listed(kind, keys, text.strip())
    return text


def _listed(kind: Any, keys: Keys, text: str) -> Any:
    is_of_tables = _is_model(_bare(get_args(kind)[0]))
    if is_of_tables or _OPENS_JSON.match(text):
        value = _json(text)
        if not isinstance(value, list):
            of_tables = " of tables" if is_of_tables else ""
            raise ValueError(f"{'.'.join(keys)} is a list{of_tables}: specify it as a JSON list")
        return value
    parts = (each.strip() for each in re.split(r"[,\n]", text))
    return [each.strip("\"'") if each[:1] == each[-1:] else each for each in parts if each]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _bare(kind: Any) -> Any:
    """Without what is said beside the type, and without None."""
    if get_origin(kind) in {Union, types.UnionType}:
        kind = next(each for each in get_args(kind) if each is not type(None))
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return kind


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)

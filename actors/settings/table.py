"""SettingsTable: every setting, its default, its bounds and what it means, from the model itself.

Knows no value that anybody has given.
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Mapping
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NamedTuple,
    TypeGuard,
    Union,
    get_args,
    get_origin,
)

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from actors.settings.model import Settings

COLUMNS: Final = ("setting", "default", "allowed", "meaning")


class SettingRow(NamedTuple):
    setting: str
    default: str
    allowed: str
    meaning: str


def rows(model: type[BaseModel] = Settings, above: str = "") -> Iterator[SettingRow]:
    """In the order in which they are defined; a table's own keys right below it."""
    for name, field in model.model_fields.items():
        key, kind = above + name, field.annotation
        if _is_model(kind):
            yield from rows(kind, f"{key}.")
            continue
        yield SettingRow(key, _default(field), _allowed(field), field.description or "")
        if within := _tables_within(kind):
            yield from rows(*within(key))


def markdown() -> str:
    """For `docs/operations.md`."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|---|---|---|---|"]
    for row in rows():
        default = f"`{row.default}`" if row.default else ""
        cells = (f"`{row.setting}`", default, row.allowed, row.meaning)
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _is_model(kind: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _tables_within(kind: Any) -> Any:
    """Of a list or a table of tables: what gives the tables' model, and how their keys begin."""
    arguments = get_args(kind)
    if get_origin(kind) is tuple and arguments and _is_model(arguments[0]):
        return lambda key: (arguments[0], f"{key}[].")
    if get_origin(kind) is dict and _is_model(arguments[1]):
        return lambda key: (arguments[1], f'{key}."…".')
    return None


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined and field.default_factory is None:
        return "needed"
    return _written(field.get_default(call_default_factory=True))


def _written(value: Any) -> str:
    """As TOML has it; "": nothing."""
    if isinstance(value, SecretStr) or value is None or value in ("", (), {}):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_written_within, value))}]"
    if isinstance(value, Mapping):
        pairs = (f"{_key(key)} = {_written_within(each)}" for key, each in value.items())
        return f"{{ {', '.join(pairs)} }}"
    return str(value)


def _written_within(value: Any) -> str:
    return json.dumps(value) if isinstance(value, str) else _written(value)


def _key(key: str) -> str:
    return key if key.isidentifier() else json.dumps(key)


def _allowed(field: FieldInfo) -> str:
    """Choices, or bounds; "": what its meaning says."""
    kind = field.annotation
    if get_origin(kind) in {Union, types.UnionType}:
        kind = next(each for each in get_args(kind) if each is not type(None))
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) is Literal:
        return ", ".join(map(str, get_args(kind)))
    if kind is bool:
        return "true, false"
    if kind not in {int, float}:
        return ""
    low = next((_bound(each) for each in field.metadata if isinstance(each, Ge | Gt)), "")
    high = next((_bound(each) for each in field.metadata if isinstance(each, Le | Lt)), "")
    return f"{low} to {high}" if low and high else low or high


def _bound(bound: Ge | Gt | Le | Lt) -> str:
    match bound:
        case Ge(ge=value) | Le(le=value):
            return f"{value:,.15g}" if isinstance(value, int | float) else str(value)
        case Gt(gt=value):
            return f"over {value}"
        case Lt(lt=value):
            return f"under {value}"

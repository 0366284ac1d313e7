"""Owns who an agent is, beside id and name: what an answer that lists users tells of it. Pure.

Knows no call and no file. A profile is a JSON object that holds the fields of the settings, and of
these only what was told. Nothing of a field that is left out is ever read.

An answer that tells a user name or an address is of the whole user: a field that it lacks there is
none of, as far as it goes. Answers leave out what they should tell as well (protocol.md §4, R3), so
whoever keeps profiles believes that only of several in a row. Skills are a part that is asked for
apart: absent says nothing of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, Literal, TypeAlias

import orjson

from actors.genesys.cloud import is_user_id, user_id_of
from actors.genesys.cloud_answers import Entity

ProfileField: TypeAlias = Literal["user_name", "email", "division", "manager", "title", "skills"]
Profile: TypeAlias = dict[str, Any]

PROFILE_FIELDS: Final[tuple[ProfileField, ...]] = (
    "user_name", "email", "division", "manager", "title", "skills",
)  # fmt: skip
USUAL_FIELDS: Final[tuple[ProfileField, ...]] = PROFILE_FIELDS[:-1]
"""Skills make an answer two to three times as large."""

TEXT_CHARS_MAX: Final = 320
"""An address has at most 254, a title or a skill fewer."""
SKILLS_MAX: Final = 200

_OWN: Final[Mapping[ProfileField, str]] = {
    "user_name": "username",
    "email": "email",
    "division": "division",
    "manager": "manager",
    "title": "title",
}
_OF_THE_WHOLE: Final = ("username", "email")


def parts_of(fields: Collection[ProfileField]) -> tuple[str, ...]:
    """What is to be asked for with a list of users (`expand`) because of these fields."""
    return ("skills",) if "skills" in fields else ()


def told_of(entity: Entity, fields: Collection[ProfileField]) -> Profile:
    """What this answer tells of them; null: there is none. A member of a queue has its user's
    fields in `user`."""
    user = entity.get("user")
    within = {**user, **entity} if isinstance(user, dict) else entity
    is_whole = any(_text(within.get(name)) is not None for name in _OF_THE_WHOLE)
    told: Profile = {}
    for field, name in _OWN.items():
        if field in fields and (is_whole or name in within):
            value = _READ[field](within.get(name))
            if value is not None or is_whole:
                told[field] = value
    skills = within.get("skills")
    if "skills" in fields and isinstance(skills, list):
        told["skills"] = _skills(skills)
    return told


def with_news(profile: Profile, told: Profile, doubted: Collection[str] = ()) -> Profile:
    """What is held, and what an answer tells over it; what there is none of is not kept, but for
    what is `doubted` to be gone."""
    news = {**profile, **told}
    return {
        field: profile[field] if value is None else value
        for field, value in news.items()
        if value is not None or (field in doubted and field in profile)
    }


def gone(profile: Profile, told: Profile) -> list[str]:
    """Fields that are held, and of which an answer says that there is none."""
    return [field for field in profile if field in told and told[field] is None]


def profile_in(text: str | None) -> Profile:
    """As a file has it; of one that holds no JSON nothing is known."""
    try:
        profile = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return {}
    return profile if isinstance(profile, dict) else {}


def manager_of(profile: Profile) -> str | None:
    """Whose id it is."""
    manager = profile.get("manager")
    id_ = manager.get("id") if isinstance(manager, dict) else None
    return id_ if isinstance(id_, str) else None


def unknown(user_id: str) -> dict[str, Any]:
    """An agent of whom nothing is known, as others are given it."""
    return {"id": user_id, "name": None, **shown({}, None)}


def shown(profile: Profile, manager_name: str | None) -> dict[str, Any]:
    """As others are given it: every field, null if it is not known or left out by the settings.
    `manager_name`: as the roster has it, which need not know them."""
    told: dict[str, Any] = {field: profile.get(field) for field in PROFILE_FIELDS}
    if (manager := manager_of(profile)) is not None:
        told["manager"] = {"id": manager, "name": manager_name or told["manager"].get("name")}
    return told


def _text(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    return " ".join(value.split())[:TEXT_CHARS_MAX] or None


def _named(value: object) -> dict[str, str | None] | None:
    """Of a division: its id need not be a UUID."""
    if not isinstance(value, dict):
        return None
    id_ = _text(value.get("id"))
    return None if id_ is None else {"id": user_id_of(id_), "name": _text(value.get("name"))}


def _person(value: object) -> dict[str, str | None] | None:
    if isinstance(value, dict) and is_user_id(value.get("id")):
        return _named(value)
    return None


def _skills(values: list[Any]) -> list[dict[str, Any]]:
    """With how good somebody is at each; what has no name is none."""
    found = [
        {"name": name, "proficiency": _number(each.get("proficiency"))}
        for each in values
        if isinstance(each, dict) and (name := _text(each.get("name"))) is not None
    ]
    return found[:SKILLS_MAX]


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


_READ: Final[Mapping[ProfileField, Callable[[object], Any]]] = {
    "user_name": _text,
    "email": _text,
    "division": _named,
    "manager": _person,
    "title": _text,
}

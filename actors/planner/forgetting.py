"""Forgetting: takes one person out of the planner's store, which nobody else has open.

Whoever is still in the organisation is in the next roster again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import apsw
import orjson

from actors.genesys.agent_profile import manager_of, profile_in
from actors.planner.store import KIND, has_profiles
from actors.storage import sqlite

_HAS_MEMBERS: Final = "SELECT name FROM sqlite_master WHERE name = 'memberships'"
"""A file of 0.1 that no planner has opened since has none."""


class ForgottenAgent(NamedTuple):
    """What the store held of them."""

    names: int
    profiles: int
    managed: int
    """Profiles of others, whose manager they were."""


class AgentTraces(NamedTuple):
    """By what else than an id somebody may be found in a file; "": nothing is known."""

    user_name: str = ""
    email: str = ""
    name: str = ""
    """Also "" where others are called the same."""


def traces(path: Path, user_id: str) -> AgentTraces:
    """Before it is forgotten. TemporaryError for a file that cannot be read now."""
    with sqlite.reading(path, KIND) as connection, sqlite.damage_named(path, KIND):
        name = connection.execute("SELECT name FROM users WHERE id = ?", (user_id,)).get or ""
        namesakes = connection.execute("SELECT count(*) FROM users WHERE name = ?", (name,)).get
        profile = {}
        if has_profiles(connection):
            text = connection.execute("SELECT profile FROM profiles WHERE id = ?", (user_id,)).get
            profile = profile_in(text)
    return AgentTraces(
        str(profile.get("user_name") or ""),
        str(profile.get("email") or ""),
        name if namesakes == 1 else "",
    )


def forget(path: Path, user_id: str) -> ForgottenAgent:
    """TemporaryError for a disk in trouble, and then nothing was changed."""
    with sqlite.erasing(path, KIND) as connection:
        connection.execute("DELETE FROM users WHERE id = ?", (user_id,))
        names = connection.changes()
        if connection.execute(_HAS_MEMBERS).get is not None:
            connection.execute("DELETE FROM memberships WHERE user = ?", (user_id,))
        if not has_profiles(connection):
            return ForgottenAgent(names, 0, 0)
        connection.execute("DELETE FROM profiles WHERE id = ?", (user_id,))
        return ForgottenAgent(names, connection.changes(), _leave_managers_out(connection, user_id))


def _leave_managers_out(connection: apsw.Connection, user_id: str) -> int:
    managed = []
    for id_, text in connection.execute("SELECT id, profile FROM profiles"):
        profile = profile_in(text)
        if manager_of(profile) == user_id:
            del profile["manager"]
            managed.append((orjson.dumps(profile).decode(), id_))
    connection.executemany("UPDATE profiles SET profile = ? WHERE id = ?", managed)
    return len(managed)

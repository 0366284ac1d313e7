"""Owns how others read who agents are: name and profile, from the planner's file.

The planner need not have made the file, and another version may have: of whom nothing is written
nothing is known. Knows no sink and no request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import apsw
import orjson

from actors.genesys.agent_profile import manager_of, profile_in, shown, unknown
from actors.planner.store import KIND, has_profiles
from actors.storage.sqlite import connect, reading
from runtime.errors import RuntimeFault

KEPT_MAX: Final = 20_000
"""Agents whose profile is kept at hand; of more, all are read anew."""

Agent: TypeAlias = dict[str, Any]
"""`id`, `name`, and the fields of `agent_profile.shown`."""

_PEOPLE: Final = """
SELECT users.id, users.name, profiles.profile FROM users LEFT JOIN profiles USING (id)
WHERE users.id IN (SELECT value FROM json_each(?))
"""
_ONE: Final = """
SELECT users.name, profiles.profile FROM users LEFT JOIN profiles USING (id) WHERE users.id = ?
"""
_NAME: Final = "SELECT name FROM users WHERE id = ?"


def read_agents(path: Path, users: Iterable[str]) -> dict[str, Agent]:
    """Of those of them whom the file knows. Raises as `store.read_roster` does."""
    with reading(path, KIND) as connection:
        if not has_profiles(connection):
            return {}
        ids = orjson.dumps([user for user in users if user.isascii()]).decode()
        return dict(_agents(connection, ids))


def _agents(connection: apsw.Connection, ids: str) -> Iterator[tuple[str, Agent]]:
    names: dict[str, str | None] = {}
    for user_id, name, text in list(connection.execute(_PEOPLE, (ids,))):
        yield user_id, _agent(connection, user_id, name, text, names)


def _agent(
    connection: apsw.Connection,
    user_id: str,
    name: str,
    text: str | None,
    names: dict[str, str | None],
) -> Agent:
    """`names`: of managers, who have many."""
    profile = profile_in(text)
    manager = manager_of(profile)
    if manager is not None and manager not in names:
        names[manager] = connection.execute(_NAME, (manager,)).get or None
    manager_name = None if manager is None else names[manager]
    return {"id": user_id, "name": name or None, **shown(profile, manager_name)}


class AgentReader:
    """The open file, for whoever asks often; one thread uses it at a time. Nothing of it raises:
    of whom cannot be read nothing is known, and `tell` hears why, once."""

    def __init__(self, path: Path, tell: Callable[[str], None]) -> None:
        self._path = path
        self._tell = tell
        self._connection: apsw.Connection | None = None
        self._version = 0
        self._kept: dict[str, Agent] = {}
        self._names: dict[str, str | None] = {}
        self._trouble = ""
        """Why it could not be read the last time; empty: it could."""

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def refresh(self) -> None:
        """Before some are asked for: what was written since is read then."""
        try:
            if self._connection is None:
                if not self._path.exists():
                    return
                connection = connect(self._path, KIND, flags=apsw.SQLITE_OPEN_READONLY)
                self._connection = connection if has_profiles(connection) else None
                if self._connection is None:
                    connection.close()
                    return
            version = int(self._connection.pragma("data_version"))
        except (apsw.Error, RuntimeFault) as error:
            self._failed(error)
            return
        self._trouble = ""
        if version != self._version:
            self._version = version
            self._forget()

    def agent(self, user_id: str) -> Agent:
        """As of the last `refresh`."""
        agent = self._kept.get(user_id)
        if agent is None:
            agent = self._read(user_id)
            if len(self._kept) >= KEPT_MAX:
                self._forget()
            self._kept[user_id] = agent
        return agent

    def _forget(self) -> None:
        self._kept.clear()
        self._names.clear()

    def _read(self, user_id: str) -> Agent:
        if self._connection is None or not user_id.isascii():  # no id of the platform's
            return unknown(user_id)
        try:
            found = self._connection.execute(_ONE, (user_id,)).fetchone()
            if found is None:
                return unknown(user_id)
            name, text = found
            return _agent(self._connection, user_id, name, text, self._names)
        except apsw.Error as error:
            self._failed(error)
            return unknown(user_id)

    def _failed(self, error: Exception) -> None:
        """What is open is opened again."""
        self.close()
        self._forget()
        if str(error) != self._trouble:
            self._trouble = str(error)
            self._tell(self._trouble)

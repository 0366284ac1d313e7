"""The store of the planner: a SQLite file with the roster, the plan, the members of queues, and
names for people to read.

Knows no gateway and no rule of a plan. The planner alone writes it; receivers, the command line and
the web read it at any time. Layout of the tables: SCHEMA below.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import apsw
import orjson

from actors.genesys.agent_profile import PROFILE_FIELDS, ProfileField
from actors.genesys.channel_plan import EMPTY, ChannelPlan, Slot
from actors.messages.queues import memberships_text
from actors.storage.data_file import DataFile, OwnedFile
from actors.storage.sqlite import DamagedFileError, Kind, damage_named, preparing
from actors.storage.sqlite import reading as reading_file

FILE: Final = "cloud.db"
FORMAT: Final = 1


class DamagedRosterError(DamagedFileError):
    """A file that is no store of the planner any more."""

    cure = "the planner starts without a roster; agents may move to other channels once"


KIND: Final = Kind("planner", FORMAT, DamagedRosterError)

SCHEMA: Final = """
CREATE TABLE progress(
    one INTEGER PRIMARY KEY CHECK (one = 1),
    run TEXT NOT NULL,                -- whoever holds another run id can commit nothing
    version INTEGER NOT NULL,         -- of the plan; 0: there is none yet
    planned_us INTEGER NOT NULL,      -- when it changed last
    read_us INTEGER NOT NULL,         -- when the roster was read whole last
    clients_needed INTEGER NOT NULL
) STRICT;
INSERT INTO progress VALUES (1, '', 0, 0, 0, 0);

CREATE TABLE users(
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,               -- kept for people who read of the past
    is_watched INTEGER NOT NULL,
    client INTEGER,                   -- NULL: not watched, or no room (unmonitored)
    slot INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE queues(id TEXT PRIMARY KEY, name TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""
_PROFILES: Final = """
CREATE TABLE IF NOT EXISTS profiles(
    id TEXT PRIMARY KEY,
    profile TEXT NOT NULL             -- `agent_profile.Profile`, as JSON
) STRICT, WITHOUT ROWID;
"""
"""Made with every start: files of version 0.1 have none."""

MEMBERS_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS memberships(
    user TEXT PRIMARY KEY,
    queues TEXT,                      -- as `actors.messages.queues` writes them; NULL: in none
    version INTEGER NOT NULL          -- of the reading that changed it last
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS memberships_by_version ON memberships(version, user);
CREATE TABLE IF NOT EXISTS memberships_read(
    one INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL,         -- grows with each reading that changed one; 0: none yet
    read_us INTEGER NOT NULL          -- when all queues were read last
) STRICT;
INSERT OR IGNORE INTO memberships_read VALUES (1, 0, 0);
"""
"""What files of 0.1 do not have."""

SELECTION_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS selection(
    one INTEGER PRIMARY KEY CHECK (one = 1),
    text TEXT NOT NULL                -- whom the settings watched when the roster was read whole
) STRICT;
"""
"""Likewise."""

_UPSERT_USER: Final = """
INSERT INTO users VALUES (?, ?, 1, ?, ?)
ON CONFLICT(id) DO UPDATE SET name = excluded.name, is_watched = 1, client = excluded.client,
    slot = excluded.slot
"""
_UNWATCH: Final = "UPDATE users SET is_watched = 0, client = NULL, slot = NULL WHERE id = ?"
_UPDATE_PROGRESS: Final = (
    "UPDATE progress SET version = ?, planned_us = ?, read_us = ?, clients_needed = ?"
)
_UPSERT_QUEUE: Final = """
INSERT INTO queues VALUES (?, ?) ON CONFLICT(id) DO UPDATE SET name = excluded.name
"""
_UPSERT_MEMBER: Final = """
INSERT INTO memberships VALUES (?, ?, ?)
ON CONFLICT(user) DO UPDATE SET queues = excluded.queues, version = excluded.version
"""
_UPSERT_SELECTION: Final = """
INSERT INTO selection VALUES (1, ?) ON CONFLICT(one) DO UPDATE SET text = excluded.text
"""
_UPDATE_READ: Final = "UPDATE memberships_read SET version = ?, read_us = ?"
_PUT_PROFILE: Final = """
INSERT INTO profiles VALUES (?, ?) ON CONFLICT(id) DO UPDATE SET profile = excluded.profile
"""
_PROFILES_OF: Final = (
    "SELECT id, profile FROM profiles WHERE id IN (SELECT value FROM json_each(?))"
)


class Roster(NamedTuple):
    """The plan as of one version, with the names of all whom it is for."""

    version: int  # 0: nobody has planned anything yet
    planned_us: int
    read_us: int
    plan: ChannelPlan
    names: Mapping[str, str]  # of everybody watched, unmonitored ones included


class RosterNames(NamedTuple):
    """By id, for people; of users who are gone as well."""

    users: Mapping[str, str]
    queues: Mapping[str, str]


class KeptMemberships(NamedTuple):
    """What a reading of all queues changed."""

    version: int  # from now on; the word `memberships_version` of the planner's page
    changed: int  # users
    cut: int  # memberships beyond QUEUES_PER_AGENT_MAX of one user, which nobody counts


def roster_path(data_dir: Path) -> Path:
    """Where the file is in a data directory."""
    return data_dir / FILE


class RosterStore(OwnedFile):
    """The open file of the planner; one thread uses it."""

    def __init__(self, path: Path, run: str) -> None:
        """LocalError if another run owns the file by now."""
        super().__init__(path, KIND, run)
        with damage_named(path, KIND):
            self._own()
            self._roster = _roster(self._connection)
            self._queues = dict(self._connection.execute("SELECT id, name FROM queues"))
            self._memberships = dict(
                self._connection.execute("SELECT user, queues FROM memberships")
            )
            version, read_us = self._connection.execute(
                "SELECT version, read_us FROM memberships_read"
            ).get
            self._memberships_version, self._memberships_us = int(version), int(read_us)
            self._selection = self._connection.execute("SELECT text FROM selection").get

    @property
    def roster(self) -> Roster:
        """As it was committed last."""
        return self._roster

    def commit(self, plan: ChannelPlan, names: Mapping[str, str], at_us: int) -> bool:
        """Makes the plan durable, and the names of all whom it is for; True: the plan is another
        one than before, and has the next version. On one of TRANSIENT_ERRORS nothing of it was, and
        the same call may be made again. LocalError if another run owns the file."""
        before, places, held = self._roster, plan.places(), self._roster.plan.places()
        assert names.keys() == places.keys() | plan.unmonitored
        changed = [
            (user, name, *(places.get(user) or (None, None)))
            for user, name in names.items()
            if before.names.get(user) != name or places.get(user) != held.get(user)
        ]
        gone = [(user,) for user in before.names.keys() - names.keys()]
        is_another = before.version == 0 or plan != before.plan
        now = Roster(
            before.version + is_another,
            at_us if is_another else before.planned_us,
            at_us,
            plan,
            dict(names),
        )
        progress = (now.version, now.planned_us, now.read_us, plan.clients_needed)
        self._execute([(_UPSERT_USER, changed), (_UNWATCH, gone), (_UPDATE_PROGRESS, [progress])])
        self._roster = now
        return is_another

    def name_queues(self, names: Mapping[str, str]) -> None:
        """Adds these; those of queues that are gone are kept. Raises as `commit` does."""
        changed = [each for each in names.items() if self._queues.get(each[0]) != each[1]]
        if changed:
            self._execute([(_UPSERT_QUEUE, changed)])
            self._queues.update(changed)

    def note_selection(self, text: str) -> None:
        """The roster was read whole for it. Raises as `commit` does."""
        if text != self._selection:
            self._execute([(_UPSERT_SELECTION, [(text,)])])
            self._selection = text

    def is_whole_for(self, text: str) -> bool:
        """Whether the roster is that of a whole read for this selection."""
        return bool(self._selection == text)

    @property
    def memberships(self) -> Mapping[str, str | None]:
        """By user the text of their queues (`actors.messages.queues.queues_of`), as kept last; who
        is not among them nobody has read yet."""
        return self._memberships

    @property
    def memberships_version(self) -> int:
        """0: all queues were never read."""
        return self._memberships_version

    @property
    def memberships_us(self) -> int:
        """When all queues were read last; 0: never."""
        return self._memberships_us

    def keep_memberships(
        self, memberships: Mapping[str, Iterable[str]], at_us: int
    ) -> KeptMemberships:
        """The members of *all* queues, by user: whoever is watched, or was a member before, and is
        not among them is in none. Users that are not watched are kept as well: they may be later.
        Raises as `commit` does."""
        texts = dict.fromkeys((*self._roster.names, *self._memberships))
        return self._keep(memberships, texts, at_us)

    def add_memberships(self, memberships: Mapping[str, Iterable[str]]) -> KeptMemberships:
        """The queues of these users, and of nobody else. Raises as `commit` does."""
        return self._keep(memberships, {}, self._memberships_us)

    def _keep(
        self, memberships: Mapping[str, Iterable[str]], texts: dict[str, str | None], at_us: int
    ) -> KeptMemberships:
        """`texts`: of users who are in no queue, unless `memberships` has them."""
        held, version, cut = self._memberships, self._memberships_version + 1, 0
        for user, queues in memberships.items():
            texts[user], more = memberships_text(queues)
            cut += more
        changed = {
            user: text for user, text in texts.items() if user not in held or held[user] != text
        }
        if not changed and self._memberships_version:
            version -= 1
        rows = [(user, text, version) for user, text in changed.items()]
        self._execute([(_UPSERT_MEMBER, rows), (_UPDATE_READ, [(version, at_us)])])
        held.update(changed)
        self._memberships_version, self._memberships_us = version, at_us
        return KeptMemberships(version, len(changed), cut)

    def profiles(self, users: Iterable[str]) -> dict[str, str]:
        """Of those of them who have one, as JSON."""
        return dict(self._connection.execute(_PROFILES_OF, (_ids(users),)))

    def put_profiles(self, profiles: Mapping[str, str]) -> None:
        """As JSON. Raises as `commit` does."""
        self._execute([(_PUT_PROFILE, list(profiles.items()))])


# -- for readers ---------------------------------------------------------------------------------


def read_roster(path: Path) -> Roster:
    """As it stands now. Raises LocalError or ConfigurationError if there is none, TemporaryError if
    it cannot be read at this moment."""
    with reading_file(path, KIND) as connection, damage_named(path, KIND):
        return _roster(connection)


def read_names(path: Path) -> RosterNames:
    """Raises as `read_roster` does."""
    with reading_file(path, KIND) as connection, damage_named(path, KIND):
        return RosterNames(
            dict(connection.execute("SELECT id, name FROM users")),
            dict(connection.execute("SELECT id, name FROM queues")),
        )


def read_changed_memberships(
    path: Path, after: tuple[int, str], limit: int
) -> list[tuple[str, str | None, int]]:
    """User, text of their queues and version of those that changed after that (version, user), at
    most `limit`, in this order. Raises as `read_roster` does."""
    with reading_file(path, KIND) as connection, damage_named(path, KIND):
        return list(
            connection.execute(
                "SELECT user, queues, version FROM memberships WHERE (version, user) > (?, ?)"
                " ORDER BY version, user LIMIT ?",
                (*after, limit),
            )
        )


def read_memberships_version(path: Path) -> int:
    """0: all queues were never read. Raises likewise."""
    with reading_file(path, KIND) as connection, damage_named(path, KIND):
        return int(connection.execute("SELECT version FROM memberships_read").get)


def read_memberships_of(path: Path, users: Sequence[str]) -> dict[str, str | None]:
    """The texts of the queues of those of them whose queues were read. Raises likewise."""
    query = "SELECT user, queues FROM memberships WHERE user = ?"
    with reading_file(path, KIND) as connection, damage_named(path, KIND):
        return dict(connection.executemany(query, ((user,) for user in users)))


def _roster(connection: apsw.Connection) -> Roster:
    version, planned_us, read_us, clients_needed = connection.execute(
        "SELECT version, planned_us, read_us, clients_needed FROM progress"
    ).get
    names: dict[str, str] = {}
    slots: dict[Slot, set[str]] = {}
    unmonitored = set()
    for user, name, client, slot in _watched(connection):
        names[user] = name
        if client is None or slot is None:
            unmonitored.add(user)
        else:
            slots.setdefault(Slot(client, slot), set()).add(user)
    plan = ChannelPlan(
        slots={slot: frozenset(slots[slot]) for slot in sorted(slots)},
        unmonitored=frozenset(unmonitored),
        clients_needed=clients_needed,
    )
    return Roster(version, planned_us, read_us, plan if version else EMPTY, names)


def _watched(
    connection: apsw.Connection,
) -> Iterator[tuple[str, str, int | None, int | None]]:
    return connection.execute("SELECT id, name, client, slot FROM users WHERE is_watched = 1")


# -- who they are --------------------------------------------------------------------------------


def has_profiles(connection: apsw.Connection) -> bool:
    """A file of version 0.1 that nothing has been started on since has none."""
    return bool(
        connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'profiles'").get
    )


def keep_fields(path: Path, fields: Collection[ProfileField]) -> None:
    """Takes out of a prepared file what the settings leave out, before any child reads it."""
    with preparing(path, KIND) as connection:
        connection.pragma("secure_delete", True)
        with connection:
            connection.execute(
                "DELETE FROM profiles WHERE ?1 OR NOT json_valid(profile)", (not fields,)
            )
            for field in set(PROFILE_FIELDS) - set(fields):
                connection.execute(
                    "UPDATE profiles SET profile = json_remove(profile, ?1)"
                    " WHERE json_type(profile, ?1) IS NOT NULL",
                    (f"$.{field}",),
                )


def _ids(users: Iterable[str]) -> str:
    return orjson.dumps(list(users)).decode()


def _read(path: Path) -> None:
    read_roster(path)
    read_names(path)
    with reading_file(path, KIND) as connection, damage_named(path, KIND):
        tables = "SELECT name FROM sqlite_master WHERE name = 'memberships'"
        if connection.execute(tables).get is not None:  # 0.1 had none
            connection.execute("SELECT count(queues) FROM memberships").get  # noqa: B018 - reads it


def _migrate(connection: apsw.Connection) -> None:
    connection.execute(MEMBERS_SCHEMA)
    connection.execute(SELECTION_SCHEMA)
    connection.execute(_PROFILES)


ROSTER_FILE: Final = DataFile(
    kind=KIND, schema=SCHEMA, read=_read, migrate=_migrate, is_private=True
)
prepare: Final = ROSTER_FILE.prepare

"""Owns the receiver's own file: which channels are ours, and which topics were refused on them.

Knows no gateway. One receiver writes it, before a channel is used: what stands here is ours, and
nothing else is ever touched (trap 29). A channel's id is a secret, so the file is for its owner
only. The command line reads what was refused at any time. Layout of the tables: SCHEMA below.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

import apsw
import orjson

from actors.genesys.channel_plan import Slot
from actors.genesys.cloud_answers import Rejected
from actors.genesys.secret import Secret
from actors.sqlite import DamagedFileError, Kind, connect, damage_named, make_durable, preparing
from actors.sqlite import reading as reading_file
from runtime.crash_point import crash_point
from runtime.errors import LocalError

FORMAT: Final = 1
_MODE: Final = 0o600


class DamagedChannelsError(DamagedFileError):
    """A file that is no store of channels any more."""

    cure = "the receiver makes new channels; the old ones end by themselves within a day"


KIND: Final = Kind("channels", FORMAT, DamagedChannelsError)

SCHEMA: Final = """
CREATE TABLE progress(
    one INTEGER PRIMARY KEY CHECK (one = 1),
    run TEXT NOT NULL                 -- whoever holds another run id can commit nothing
) STRICT;
INSERT INTO progress VALUES (1, '');

CREATE TABLE channels(
    id TEXT PRIMARY KEY,              -- a secret: whoever has it may read along
    client INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    connect_uri TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    expires_us INTEGER                -- NULL: not said
) STRICT, WITHOUT ROWID;

CREATE TABLE refused(
    client INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    topic TEXT NOT NULL,
    reason TEXT NOT NULL,
    permissions TEXT NOT NULL,        -- that are missing: a JSON list
    since_us INTEGER NOT NULL,
    PRIMARY KEY(client, slot, topic)
) STRICT, WITHOUT ROWID;
"""

_KEPT_SINCE: Final = """
INSERT INTO refused VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET reason = excluded.reason, permissions = excluded.permissions
"""


class ChannelRecord(NamedTuple):
    """A channel that is ours."""

    id: Secret
    slot: Slot
    connect_uri: Secret
    created_us: int
    expires_us: int | None


class Refused(NamedTuple):
    """A topic that the gateway does not permit, since when, and which permissions are missing."""

    slot: Slot
    topic: str
    reason: str
    permissions: tuple[str, ...]
    since_us: int


class Report(NamedTuple):
    """For people: how many channels each slot has, without their ids, and what was refused."""

    channels: dict[Slot, int]
    refused: tuple[Refused, ...]


def prepare(path: Path, run: str) -> None:
    """Makes the file if need be and hands it to this run: from now on only `run` commits."""
    path.touch(_MODE)
    path.chmod(_MODE)
    with preparing(path, KIND) as connection:
        if connection.pragma("user_version") == 0:
            with connection:
                connection.execute(SCHEMA)
                connection.pragma("user_version", FORMAT)
        with connection:
            connection.execute("UPDATE progress SET run = ?", (run,))
            if connection.changes() != 1:
                raise LookupError("its progress is gone")


class ChannelStore:
    """The open file of a receiver; one thread uses it. Every call that changes it is durable when
    it returns. On one of TRANSIENT_ERRORS nothing of it was done."""

    def __init__(self, path: Path, run: str) -> None:
        """LocalError if another run owns the file by now."""
        self.path = path
        self._run = run
        self._connection = connect(path, KIND)
        with damage_named(path, KIND):
            make_durable(self._connection)
            owner = self._connection.execute("SELECT run FROM progress").get
        if owner != run:
            self._connection.close()
            raise LocalError(f"{path} belongs to run {owner!r}, not to {run!r}")

    def close(self) -> None:
        self._connection.close()

    def channels(self) -> list[ChannelRecord]:
        """Ours, the youngest first."""
        with damage_named(self.path, KIND):
            rows = self._connection.execute(
                "SELECT id, client, slot, connect_uri, created_us, expires_us FROM channels"
                " ORDER BY created_us DESC, id"
            )
            return [
                ChannelRecord(Secret(id_), Slot(client, slot), Secret(uri), created, expires)
                for id_, client, slot, uri, created, expires in rows
            ]

    def add(self, record: ChannelRecord) -> None:
        """Before the channel is used."""
        row = (
            record.id.reveal(),
            *record.slot,
            record.connect_uri.reveal(),
            record.created_us,
            record.expires_us,
        )
        with self._connection:
            self._own()
            self._connection.execute("INSERT OR REPLACE INTO channels VALUES (?,?,?,?,?,?)", row)
            crash_point("in-transaction")

    def forget(self, channel: Secret) -> None:
        """It is gone, or let go."""
        with self._connection:
            self._own()
            self._connection.execute("DELETE FROM channels WHERE id = ?", (channel.reveal(),))

    def refuse(self, slot: Slot, rejected: Iterable[Rejected], at_us: int) -> None:
        """From now on these topics of the slot and no others are refused."""
        told = {each.topic: each for each in rejected}
        with self._connection:
            self._own()
            held = self._connection.execute(
                "SELECT topic FROM refused WHERE client = ? AND slot = ?", slot
            )
            gone = [(*slot, topic) for (topic,) in held if topic not in told]
            self._connection.executemany(
                "DELETE FROM refused WHERE client = ? AND slot = ? AND topic = ?", gone
            )
            self._connection.executemany(
                _KEPT_SINCE,
                [
                    (*slot, each.topic, each.reason, _json(each.missing_permissions), at_us)
                    for each in told.values()
                ],
            )

    def _own(self) -> None:
        owner = self._connection.execute("SELECT run FROM progress").get
        if owner != self._run:
            raise LocalError(f"{self.path} belongs to another run now: nothing is committed")


def _json(names: tuple[str, ...]) -> str:
    return orjson.dumps(names).decode()


# -- for readers ---------------------------------------------------------------------------------


def read_report(path: Path) -> Report:
    """As it stands now. Raises LocalError or ConfigurationError if there is none, TemporaryError if
    it cannot be read at this moment."""
    with reading_file(path, KIND) as connection, damage_named(path, KIND):
        return Report(_counted(connection), tuple(_refused(connection)))


def _counted(connection: apsw.Connection) -> dict[Slot, int]:
    rows = connection.execute(
        "SELECT client, slot, count(*) FROM channels GROUP BY client, slot ORDER BY client, slot"
    )
    return {Slot(client, slot): count for client, slot, count in rows}


def _refused(connection: apsw.Connection) -> list[Refused]:
    rows = connection.execute(
        "SELECT client, slot, topic, reason, permissions, since_us FROM refused"
        " ORDER BY client, slot, topic"
    )
    return [
        Refused(Slot(client, slot), topic, reason, tuple(orjson.loads(missing)), since_us)
        for client, slot, topic, reason, missing, since_us in rows
    ]

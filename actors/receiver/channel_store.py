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
from actors.genesys.cloud_answers import RejectedTopic
from actors.genesys.secret import Secret
from actors.storage.data_file import DataFile, OwnedFile, run_of
from actors.storage.sqlite import DamagedFileError, Kind, damage_named
from actors.storage.sqlite import reading as reading_file

FORMAT: Final = 1


class DamagedChannelsError(DamagedFileError):
    """A file that is no store of channels any more."""

    cure = "the receiver creates new channels; the old ones expire within a day"


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

_PERMITTED: Final = """
DELETE FROM refused WHERE client = ? AND slot = ? AND topic NOT IN (SELECT value FROM json_each(?))
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


class RefusedTopic(NamedTuple):
    """A topic that the gateway does not permit, since when, and which permissions are missing."""

    slot: Slot
    topic: str
    reason: str
    permissions: tuple[str, ...]
    since_us: int


class ChannelReport(NamedTuple):
    """For people: how many channels each slot has, without their ids, and what was refused."""

    channels: dict[Slot, int]
    refused: tuple[RefusedTopic, ...]


class ChannelStore(OwnedFile):
    """The open file of a receiver; one thread uses it. Every call that changes it is durable when
    it returns. On one of TRANSIENT_ERRORS nothing of it was done."""

    def __init__(self, path: Path, run: str) -> None:
        """LocalError if another run owns the file by now."""
        super().__init__(path, KIND, run)
        with damage_named(path, KIND):
            self._own()

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
        self._execute([("INSERT OR REPLACE INTO channels VALUES (?,?,?,?,?,?)", [row])])

    def forget(self, channel: Secret) -> None:
        """It is gone, or let go."""
        self._execute([("DELETE FROM channels WHERE id = ?", [(channel.reveal(),)])])

    def refuse(self, slot: Slot, rejected: Iterable[RejectedTopic], at_us: int) -> None:
        """From now on these topics of the slot and no others are refused."""
        told = {each.topic: each for each in rejected}
        rows = [
            (*slot, each.topic, each.reason, _json(each.missing_permissions), at_us)
            for each in told.values()
        ]
        self._execute([(_PERMITTED, [(*slot, _json(tuple(told)))]), (_KEPT_SINCE, rows)])


def _json(names: tuple[str, ...]) -> str:
    return orjson.dumps(names).decode()


# -- for readers ---------------------------------------------------------------------------------


def read_report(path: Path) -> ChannelReport:
    """As it stands now. Raises LocalError or ConfigurationError if there is none, TemporaryError if
    it cannot be read at this moment."""
    with reading_file(path, KIND) as connection, damage_named(path, KIND):
        return ChannelReport(_counted(connection), tuple(_refused(connection)))


def _counted(connection: apsw.Connection) -> dict[Slot, int]:
    rows = connection.execute(
        "SELECT client, slot, count(*) FROM channels GROUP BY client, slot ORDER BY client, slot"
    )
    return {Slot(client, slot): count for client, slot, count in rows}


def _refused(connection: apsw.Connection) -> list[RefusedTopic]:
    rows = connection.execute(
        "SELECT client, slot, topic, reason, permissions, since_us FROM refused"
        " ORDER BY client, slot, topic"
    )
    return [
        RefusedTopic(Slot(client, slot), topic, reason, tuple(orjson.loads(missing)), since_us)
        for client, slot, topic, reason, missing, since_us in rows
    ]


def _read(path: Path) -> None:
    with damage_named(path, KIND):
        store = ChannelStore(path, run_of(path, KIND))
    try:
        store.channels()
    finally:
        store.close()
    read_report(path)


CHANNELS_FILE: Final = DataFile(kind=KIND, schema=SCHEMA, read=_read, is_private=True)
prepare: Final = CHANNELS_FILE.prepare

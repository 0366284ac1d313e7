"""Shards to try cases on, one of each dialect, and what a restart makes of them."""

from __future__ import annotations

from pathlib import Path

from actors.shard.native import native_json
from tests.actors.shard import cloud_lending as cloud
from tests.actors.shard.lending import A
from tests.actors.shard.rig import Rig


def cloud_shard(folder: Path) -> Rig:
    """A is on queue and idle, as the snapshot of session 1 said, and confirmed."""
    rig = Rig(folder / "shard-00.db", "cloud")
    cloud.watch(rig, A)
    return rig


def empty_cloud_shard(folder: Path) -> Rig:
    """Nobody was told of yet; session 1 has begun and watches A."""
    rig = Rig(folder / "shard-00.db", "cloud")
    rig.feed(cloud.begins(1), cloud.watches(A))
    return rig


def wsp_shard(folder: Path) -> Rig:
    """A session whose history named nobody; the newest sequence is 1,000."""
    rig = Rig(folder / "shard-00.db")
    rig.begin()
    rig.end_history()
    return rig


def restarted(rig: Rig) -> str:
    """The word ok, or what the next life died of."""
    try:
        rig.restart()
    except Exception as error:
        return repr(error)
    return "ok"


def shown(rig: Rig) -> str:
    """The word ok, or why what is held of A cannot be shown."""
    try:
        native_json(cloud.native(rig))
    except Exception as error:
        return repr(error)
    return "ok"


def is_confirmed(rig: Rig) -> bool:
    return rig.shard.sessions.stale_of(rig.agent(A)) is None


def reasons(rig: Rig) -> list[str]:
    """Why frames stand in the quarantine."""
    rows = rig.journal._connection.execute("SELECT reason FROM quarantine ORDER BY rowid")
    return [str(reason) for (reason,) in rows]

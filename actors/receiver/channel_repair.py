"""Repair of the receivers' files.

What is lost with one is which channels are ours. Nobody listens to the old ones any more, so they
are the first that the gateway gives up for new ones, and end by themselves within a day.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from actors.file_repair import FileRepair
from actors.receiver.channel_store import KIND, ChannelStore, read_report
from actors.sqlite import connect, damage_named


def _read(path: Path) -> None:
    connection = connect(path, KIND)
    try:
        with damage_named(path, KIND):
            run = connection.execute("SELECT run FROM progress").get
    finally:
        connection.close()
    if run is None:
        raise KIND.damaged(path, "its progress is gone")
    store = ChannelStore(path, run)
    try:
        store.channels()
    finally:
        store.close()
    read_report(path)


CHANNEL_REPAIR: Final = FileRepair(kind=KIND, read=_read)

"""Repair of the sender's store: a broken one is set aside, while no runtime runs.

Knows no actor. Nothing is deleted, and nothing is put in its place: the next start makes a fresh
one. What is lost with it are the end states of its unsettled commands, the keys that were bound,
the webhook messages that waited and the audit up to now, which the file set aside still has. A
chain of the audit that was tampered with is no damage: `audit verify` tells of it.
"""

from __future__ import annotations

from actors.sender.store import SENDER_FILE
from actors.storage.data_dir import DataDir, sender_path
from actors.storage.sqlite import FileFinding


def repair(data_dir: DataDir, now_us: int) -> FileFinding | None:
    """Examines the store of a claimed directory; None if no sender has begun with it.

    Raises TemporaryError for a locked one and ConfigurationError for one of a newer version."""
    finding = SENDER_FILE.repair(sender_path(data_dir.path), now_us)
    if finding is not None and finding.problem:
        data_dir.record_store(is_there=False)  # so that the next start does not miss it
    return finding

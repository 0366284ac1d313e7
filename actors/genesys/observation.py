"""Owns what an answer that lists users shows of one user's state, as a frame for the shards. Pure.

It knows no call and no plan. What is shown is judged by its own times (`actors.shard.cloud_merge`,
`reconciliation`); a user of whom neither part bears a time shows nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from actors.genesys.cloud import snapshot_frame

OBSERVED_PARTS: Final = ("presence", "routingStatus")
"""What the roster read asks for, at no extra call."""
_TIMES: Final = {"presence": "modifiedDate", "routingStatus": "startTime"}


class Observation(NamedTuple):
    """What is shown of one user; `is_whole`: all parts, each with its time."""

    frame: bytes
    is_whole: bool


def observed(entity: Mapping[str, Any]) -> Observation | None:
    """The parts that bear a time; None: there is none. A member of a queue has its user's parts in
    `user`, or its routing status beside it."""
    user = entity.get("user")
    within = user if isinstance(user, dict) else {}
    body: dict[str, Any] = {"id": entity["id"]}
    for part, time in _TIMES.items():
        value = entity.get(part) or within.get(part)
        if isinstance(value, dict) and isinstance(value.get(time), str):
            body[part] = value
    if len(body) == 1:
        return None
    return Observation(snapshot_frame(body), len(body) == 1 + len(OBSERVED_PARTS))

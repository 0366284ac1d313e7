"""Frames and control records of the cloud dialect, for tests of shards."""

from __future__ import annotations

from typing import Any

import orjson

from actors.messages.control import (
    Gap,
    HistoryEnds,
    SessionBegins,
    SessionEnds,
    Unwatches,
    Vacates,
    Watches,
    session_flags,
)
from actors.shard.native import Native
from tests.actors.shard.lending import QUEUE, A, Record, control
from tests.actors.shard.rig import Rig

SCOPE, OTHER_SCOPE = "c0/0", "c0/1"
DEFINITION = "ec3059e0-aafd-5cb6-bc76-2de19e7bd3b5"
DAY = "2026-11-21T22:00:"


def at(second: float) -> str:
    """A time of one minute, as the platform writes it: a full second has no fraction."""
    text = f"{second:06.3f}".removesuffix(".000")
    return f"{DAY}{text}Z"


def at_us(second: float) -> int:
    return 1_795_298_400_000_000 + round(second * 1_000_000)


def frame(kind: str, body: Any, user_id: str = A, session: int = 1) -> Record:
    value = {"topicName": f"v2.users.{user_id}.{kind}", "version": "2", "eventBody": body}
    return Record(orjson.dumps(value), flags=session_flags(session))


def presence(system: str, since: Any, **more: Any) -> dict[str, Any]:
    definition = {"id": DEFINITION, "systemPresence": system}
    stamp = since if isinstance(since, str | None) else at(since)
    return {"presenceDefinition": definition, "modifiedDate": stamp, **more}


def routing(status: str, since: float | None) -> dict[str, Any]:
    return {"status": status, "startTime": None if since is None else at(since)}


def body_of(
    system: str = "ON_QUEUE",
    presence_s: float = 1,
    status: str = "IDLE",
    routing_s: float = 1,
    user_id: str = A,
    **more: Any,
) -> dict[str, Any]:
    """A whole body, of an event or of a snapshot."""
    return {
        "id": user_id,
        "presence": presence(system, presence_s, presenceMessage=""),
        "routingStatus": routing(status, routing_s),
        "outOfOffice": {"active": False, "modifiedDate": at(0.5)},
        "activeQueueIds": [QUEUE],
        "dateActiveQueuesChanged": at(0.25),
        **more,
    }


def activity(
    system: str = "ON_QUEUE",
    presence_s: float = 1,
    status: str = "IDLE",
    routing_s: float = 1,
    *,
    user_id: str = A,
    session: int = 1,
    **more: Any,
) -> Record:
    body = body_of(system, presence_s, status, routing_s, user_id, **more)
    return frame("activity", body, user_id, session)


def snapshot(
    system: str = "ON_QUEUE",
    presence_s: float = 1,
    status: str = "IDLE",
    routing_s: float = 1,
    *,
    user_id: str = A,
    session: int = 1,
) -> Record:
    body = body_of(system, presence_s, status, routing_s, user_id)
    del body["activeQueueIds"], body["dateActiveQueuesChanged"]
    body["presence"]["message"] = body["presence"].pop("presenceMessage")
    return frame("snapshot", body, user_id, session)


def begins(session: int = 1, scope: str = SCOPE, at_s: float = 5) -> Record:
    return control(SessionBegins(session, scope, 1, "", 0, None, at_us(at_s)))


def ends_history(
    session: int = 1, scope: str = SCOPE, *, complete: bool = True, at_s: float = 6
) -> Record:
    return control(HistoryEnds(session, scope, complete, at_us(at_s)))


def ends(session: int = 1, scope: str = SCOPE, reason: str = "lost", at_s: float = 7) -> Record:
    return control(SessionEnds(session, scope, reason, at_us(at_s)))


def gap(session: int = 2, scope: str = SCOPE, at_s: float = 8) -> Record:
    return control(Gap(session, scope, 1, 0, 0, "socket lost", at_us(at_s)))


def watches(user_id: str = A, scope: str = SCOPE) -> Record:
    return control(Watches(scope, user_id))


def unwatches(user_id: str = A, scope: str = SCOPE, at_s: float = 9) -> Record:
    return control(Unwatches(scope, user_id, "not in the roster", at_us(at_s)))


def vacates(scope: str = SCOPE, at_s: float = 9) -> Record:
    return control(Vacates(scope, at_us(at_s)))


def native(rig: Rig, user_id: str = A) -> Native:
    found = rig.agent(user_id).native
    assert found is not None
    return found


def watch(rig: Rig, *user_ids: str, scope: str = SCOPE, session: int = 1) -> None:
    """A session whose history names every one of these."""
    rig.feed(begins(session, scope), *(watches(each, scope) for each in user_ids))
    rig.feed(*(snapshot(user_id=each, session=session) for each in user_ids))
    rig.feed(ends_history(session, scope))

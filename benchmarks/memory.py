"""Memory: what an agent costs in a shard, windows apart."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping
from functools import partial
from uuid import UUID

import orjson

from actors.messages.control import STATE_EVENT, SessionBegins, Watches
from actors.shard.agent_table import AgentTable
from actors.shard.cloud_merge import CloudMerge
from actors.shard.cloud_sessions import CloudSessions
from actors.shard.merge import Merge
from benchmarks.harness import Answer, Benchmark, Options, Target, take_turns, verify
from runtime.process_use import resident_bytes

AGENTS, AGENTS_OF_THE_CLOUD = 200_000, 50_000
QUEUE_AGENTS = 25
BATCH = 512
SUBJECT, CLOUD, UNIT = "an agent in a shard", "an agent of the cloud", "bytes"


def run(options: Options) -> Answer:
    subjects = {
        SUBJECT: partial(_in_a_fresh_process, _bytes_per_agent),
        CLOUD: partial(_in_a_fresh_process, _bytes_per_agent_of_the_cloud),
    }
    figures = take_turns(subjects, options)
    answer = Answer(figures=figures)
    targets = tuple(
        Target(what=what, reached=answer.median(subject, UNIT), bound=bound, sense="at most")
        for what, subject, bound in (
            ("memory per agent", SUBJECT, 1_024),
            ("memory per agent of the cloud", CLOUD, 2_048),
        )
    )
    return Answer(figures=figures, targets=targets)


def _in_a_fresh_process(measure: Callable[[], float], _seconds: float) -> Mapping[str, float]:
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return {UNIT: pool.apply(measure)}


def _bytes_per_agent_of_the_cloud() -> float:
    """Watched, named by a snapshot, and heard of since."""
    merge = CloudMerge(AgentTable(rows_kept=False))
    sessions = CloudSessions(merge)
    sessions.apply(SessionBegins(1, "c0/0", 1, "", 0, None, 1))
    before = resident_bytes(os.getpid())
    for first in range(0, AGENTS_OF_THE_CLOUD, BATCH):
        users = [str(UUID(int=n)) for n in range(first, min(first + BATCH, AGENTS_OF_THE_CLOUD))]
        for user in users:
            sessions.apply(Watches("c0/0", user))
        count = len(users)
        for kind in ("snapshot", "activity"):
            values = [orjson.loads(_told(user, kind)) for user in users]
            merge.events(values, [0] * count, [1] * count, bytes(count), 0.0)
        merge.agent_table.take()
    verify("agents held", len(merge.agent_table.by_user), AGENTS_OF_THE_CLOUD)
    return (resident_bytes(os.getpid()) - before) / AGENTS_OF_THE_CLOUD


def _told(user: str, kind: str) -> bytes:
    """Each agent's fields change at times of their own."""
    number = UUID(user).int
    second = 1 if kind == "snapshot" else 2
    at = f"2026-11-21T{number % 24:02}:{number % 60:02}:{second:02}.{number % 1000:03}Z"
    queues = {"activeQueueIds": [str(UUID(int=number // QUEUE_AGENTS))]} if second == 2 else {}
    body = {
        "id": user,
        "presence": {
            "presenceDefinition": {"id": str(UUID(int=number % 12)), "systemPresence": "ON_QUEUE"},
            "presenceMessage": "",
            "modifiedDate": at,
        },
        "routingStatus": {"status": "IDLE", "startTime": at},
        "outOfOffice": {"active": False, "modifiedDate": at},
        **queues,
        **({"dateActiveQueuesChanged": at} if queues else {}),
    }
    return orjson.dumps({"topicName": f"v2.users.{user}.{kind}", "version": "2", "eventBody": body})


def _bytes_per_agent() -> float:
    """Agents as a history brings them: every text an object of its own, as orjson makes it."""
    merge = Merge(AgentTable(rows_kept=False))
    before = resident_bytes(os.getpid())
    for first in range(0, AGENTS, BATCH):
        values = [_named(number) for number in range(first, min(first + BATCH, AGENTS))]
        count = len(values)
        merge.events(values, [0] * count, [1] * count, bytes(count), 0.0)
        merge.agent_table.take()
    verify("agents held", len(merge.agent_table.by_user), AGENTS)
    return (resident_bytes(os.getpid()) - before) / AGENTS


def _named(number: int) -> dict[str, object]:
    data = {
        "userId": str(UUID(int=number)),
        "state": "Available",
        "timestamp": "2026-11-21T22:00:00.000Z",
        "queueId": str(UUID(int=number // QUEUE_AGENTS)),
    }
    return {"type": STATE_EVENT, "sequence": number + 1, "data": data, "history": True}


BENCHMARK = Benchmark(question="How much memory does an agent take in a shard?", run=run)

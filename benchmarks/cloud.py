"""Cloud: what a shard spends on an event of the cloud dialect, parse and merge, journal apart.

The plain twin is what one would write first: one parse per frame, every time read of every event,
the newest kept in a dictionary. Both must hold the same in the end.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

import orjson

from actors.genesys.cloud import mapped, normal_name, parse_time_us, snapshot_topic
from actors.genesys.times import iso_ms
from actors.messages.control import SessionBegins, Watches
from actors.shard.agent_table import AgentTable
from actors.shard.cloud_merge import CloudMerge
from actors.shard.cloud_sessions import CloudSessions
from actors.shard.decode import JOINT, parse_frames
from benchmarks.harness import Answer, Benchmark, Options, Target, take_turns, verify

AGENTS = 10_000
BATCH = 512
ROUND_BATCHES = 80
EVENTS_PER_MS = 100
START_US = 1_795_000_000_000_000
OURS, TWIN, UNIT = "shard", "plain twin", "CPU per event, µs"
EVENTS_PER_S = 100_000

_COURSE = (("ON_QUEUE", "IDLE"), ("ON_QUEUE", "INTERACTING"), ("MEAL", "OFF_QUEUE"))
Held = dict[str, tuple[str, int, int]]


class Course:
    """The frames of all agents, one change after the other, and the time of each field."""

    def __init__(self) -> None:
        self._users = [str(UUID(int=number)) for number in range(AGENTS)]
        self._held = [("ON_QUEUE", START_US, "IDLE", START_US)] * AGENTS
        self._step = 0

    @property
    def users(self) -> list[str]:
        return self._users

    def body(self, number: int) -> dict[str, Any]:
        system, presence_us, status, routing_us = self._held[number]
        definition = {"id": str(UUID(int=len(system))), "systemPresence": system}
        return {
            "id": self._users[number],
            "routingStatus": {"status": status, "startTime": iso_ms(routing_us)},
            "presence": {
                "presenceDefinition": definition,
                "presenceMessage": "",
                "modifiedDate": iso_ms(presence_us),
            },
            "outOfOffice": {"active": False, "modifiedDate": iso_ms(START_US - 1_000)},
            "activeQueueIds": [str(UUID(int=number % 50)), str(UUID(int=number % 49))],
            "dateActiveQueuesChanged": iso_ms(START_US - 2_000),
        }

    def batch(self) -> list[bytes]:
        return [self._next() for _ in range(BATCH)]

    def _next(self) -> bytes:
        self._step += 1
        number = self._step * 7_919 % AGENTS
        at_us = START_US + (1 + self._step // EVENTS_PER_MS) * 1_000
        system, presence_us, status, routing_us = self._held[number]
        next_system, next_status = _COURSE[self._step // AGENTS % len(_COURSE)]
        if next_system != system:
            system, presence_us = next_system, at_us
        if next_status != status:
            status, routing_us = next_status, at_us
        self._held[number] = system, presence_us, status, routing_us
        topic = f"v2.users.{self._users[number]}.activity"
        return orjson.dumps(
            {"topicName": topic, "version": "2", "eventBody": self.body(number), "metadata": {}}
        )


class Ours:
    def __init__(self, course: Course) -> None:
        self._merge = CloudMerge(AgentTable(rows_kept=False))
        sessions = CloudSessions(self._merge)
        sessions.apply(SessionBegins(1, "c0/0", 1, "", 0, None, 1))
        for number, user_id in enumerate(course.users):
            sessions.apply(Watches("c0/0", user_id))
            self._take([{"topicName": snapshot_topic(user_id), "eventBody": course.body(number)}])

    def run(self, batches: list[list[bytes]]) -> None:
        for frames in batches:
            joined = b"[" + JOINT.join(frames) + b"]"
            self._take(parse_frames(joined, len(frames), frames.__getitem__))

    def _take(self, values: list[Any]) -> None:
        count = len(values)
        self._merge.events(values, [START_US * 1_000] * count, [1] * count, b"\2" * count, 0.0)

    def held(self) -> Held:
        held: Held = {}
        for agent in self._merge.agent_table.by_id:
            assert agent.state is not None
            assert agent.native is not None
            native = agent.native
            held[agent.user_id] = agent.state, native.presence_us, native.routing_us
        return held


class Twin:
    def __init__(self, course: Course) -> None:
        self._fields: dict[str, list[Any]] = {}
        for number, user_id in enumerate(course.users):
            self._apply(user_id, course.body(number))

    def run(self, batches: list[list[bytes]]) -> None:
        for frames in batches:
            for frame in frames:
                event = orjson.loads(frame)
                self._apply(event["topicName"].split(".")[2], event["eventBody"])

    def _apply(self, user_id: str, body: dict[str, Any]) -> None:
        presence, routing, office = body["presence"], body["routingStatus"], body["outOfOffice"]
        told = (
            (parse_time_us(presence["modifiedDate"]), presence["presenceDefinition"]),
            (parse_time_us(routing["startTime"]), routing["status"]),
            (parse_time_us(body["dateActiveQueuesChanged"]), body["activeQueueIds"]),
            (parse_time_us(office["modifiedDate"]), office["active"]),
        )
        held = self._fields.setdefault(user_id, [(-1, None)] * len(told))
        for place, value in enumerate(told):
            if value[0] > held[place][0]:
                held[place] = value

    def held(self) -> Held:
        held: Held = {}
        for user_id, (presence, routing, _, _) in self._fields.items():
            system = normal_name(presence[1]["systemPresence"])
            held[user_id] = mapped(system, routing[1]).state, presence[0], routing[0]
        return held


def run(options: Options) -> Answer:
    figures = take_turns({OURS: partial(_measure, Ours), TWIN: partial(_measure, Twin)}, options)
    reached = Answer(figures=figures).median(OURS, UNIT)
    bound = 1e6 / EVENTS_PER_S
    target = Target(what="parse and merge, µs", reached=reached, bound=bound, sense="at most")
    return Answer(figures=figures, targets=(target,))


def _measure(kind: type[Ours | Twin], seconds: float) -> Mapping[str, float]:
    """Frames are made between the rounds; only the CPU of the rounds counts."""
    course, shadow = Course(), Course()
    contestant, other = kind(course), Twin(shadow)
    deadline_s, spent_s, events = time.perf_counter() + seconds, 0.0, 0
    while not events or time.perf_counter() < deadline_s:
        batches = [course.batch() for _ in range(ROUND_BATCHES)]
        gc.collect()
        gc.disable()  # as in a shard's process
        began_s = time.process_time()
        contestant.run(batches)
        spent_s += time.process_time() - began_s
        gc.enable()
        events += ROUND_BATCHES * BATCH
        other.run(batches)
    verify("what is held", contestant.held() == other.held(), True)
    return {UNIT: spent_s / events * 1e6}


BENCHMARK = Benchmark(question="What does an event of the cloud dialect cost a shard?", run=run)

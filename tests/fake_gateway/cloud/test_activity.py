"""The activity of an organisation, against a plain twin: byte for byte, and agent for agent."""

from __future__ import annotations

import json
import random
import uuid
from array import array
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.fake_gateway.cloud.activity import Activity
from tools.fake_gateway.cloud.definitions import (
    DEFINITIONS,
    IDLE,
    OFF_QUEUE,
    ON_QUEUE,
    ROUTING_STATUSES,
    WALK,
    WalkStep,
    walk,
)
from tools.fake_gateway.cloud.organisation import iso_time
from tools.fake_gateway.cloud.topics import ACTIVITY, OUT_OF_OFFICE, PRESENCE, ROUTING_STATUS
from tools.fake_gateway.event_times import Stretch
from tools.fake_gateway.script import STRIDES, Script, ScriptSettings, mix64

ORIGIN_MS = 1_790_000_000_000
STEP_NS = 700_000
STANDINGS = walk(random.Random("twin"))
SCRIPT = Script(ScriptSettings(seed=11, agents=12, origin_ms=ORIGIN_MS, quiet_every=4))
PARTS = PRESENCE | ROUTING_STATUS | OUT_OF_OFFICE


@dataclass
class Plain:
    """One agent."""

    presence: int
    presence_ms: int
    routing: int
    routing_ms: int
    away: bool
    away_ms: int
    queues_ms: int
    last_ms: int
    queues: int = 0
    turn: int = 0
    message: str = ""


@dataclass
class Twin:
    """The same fold in plain Python."""

    agents: list[Plain] = field(default_factory=list)
    steps: int = 0
    head: int = 0

    def __post_init__(self) -> None:
        for agent in range(SCRIPT.settings.agents):
            standing = STANDINGS[SCRIPT.offsets[agent]]
            odd = mix64(SCRIPT.settings.seed + agent) % 1000
            presence_ms = SCRIPT.initial_ms(agent) // 1000 * 1000 + (0 if agent % 10 == 0 else odd)
            one = Plain(
                presence=standing.presence,
                presence_ms=presence_ms,
                routing=standing.routing,
                routing_ms=presence_ms + odd,
                away=standing.is_away,
                away_ms=presence_ms - 86_400_000,
                queues_ms=presence_ms - 1000,
                last_ms=presence_ms + odd,
            )
            self.agents.append(one)

    def step(self) -> int:
        round_, place = divmod(self.steps, SCRIPT.active)
        mixed = mix64(SCRIPT.settings.seed + round_)
        stride, shift = STRIDES[mixed & 7] % SCRIPT.active, (mixed >> 8) % SCRIPT.active
        agent = SCRIPT.order[(place * stride + shift) % SCRIPT.active]
        one = self.agents[agent]
        at_ms = (ORIGIN_MS * 1_000_000 + self.steps * STEP_NS) // 1_000_000
        one.last_ms = max(at_ms, one.last_ms + 1)
        one.turn += 1
        to = STANDINGS[(SCRIPT.offsets[agent] + one.turn) % WALK]
        is_presence_new, is_routing_new = one.presence != to.presence, one.routing != to.routing
        if is_presence_new:
            one.presence, one.presence_ms = to.presence, one.last_ms
        if is_routing_new or not is_presence_new:
            one.routing, one.routing_ms = to.routing, one.last_ms
        if one.away != to.is_away:
            one.away, one.away_ms = to.is_away, one.last_ms
        if one.queues != (one.turn >> 3) & 1:
            one.queues, one.queues_ms = (one.turn >> 3) & 1, one.last_ms
        self.steps += 1
        self.head += 1
        return agent

    def activity(self, agent: int) -> dict[str, Any]:
        one, user, queues = self.agents[agent], SCRIPT.users[agent], SCRIPT.queues
        home = SCRIPT.homes[agent] + one.queues
        count = min(2, len(queues))
        return {
            "topicName": f"v2.users.{user}.activity",
            "version": "2",
            "eventBody": {
                "id": user,
                "routingStatus": {
                    "status": ROUTING_STATUSES[one.routing],
                    "startTime": iso_time(one.routing_ms),
                },
                "presence": {
                    "presenceDefinition": self.definition(one.presence),
                    "presenceMessage": one.message,
                    "modifiedDate": iso_time(one.presence_ms),
                },
                "outOfOffice": {"active": one.away, "modifiedDate": iso_time(one.away_ms)},
                "activeQueueIds": [queues[(home + n) % len(queues)] for n in range(count)],
                "dateActiveQueuesChanged": iso_time(one.queues_ms),
            },
            "metadata": {"CorrelationId": self.correlation()},
        }

    def definition(self, presence: int) -> dict[str, str]:
        definition = DEFINITIONS[presence]
        return {"id": definition.id, "systemPresence": definition.event_presence}

    def correlation(self) -> str:
        high = mix64(SCRIPT.settings.seed ^ (2 * self.head + 1))
        return str(uuid.UUID(int=high << 64 | mix64(high), version=4))


def made(**how: int) -> Activity:
    activity = Activity(SCRIPT, STANDINGS, **how)
    activity.add_stretch(Stretch(0, ORIGIN_MS * 1_000_000, STEP_NS))
    return activity


def heard(activity: Activity, mask: int = ACTIVITY) -> None:
    agents = array("i", range(SCRIPT.settings.agents))
    activity.hear([(0, agents, bytes([mask]) * len(agents))])
    activity.open(0)


def texts(frames: bytes) -> list[bytes]:
    found = []
    while frames:
        assert frames[:2] == b"\x81\x7e"
        size = int.from_bytes(frames[2:4], "big")
        found.append(frames[4 : 4 + size])
        frames = frames[4 + size :]
    return found


def taken(activity: Activity) -> list[bytes]:
    return [text for _, frames, _ in activity.take() for text in texts(frames)]


def as_bytes(frame: dict[str, Any]) -> bytes:
    return json.dumps(frame, separators=(",", ":"), ensure_ascii=False).encode()


def test_it_says_what_its_plain_twin_says_byte_for_byte() -> None:
    activity, twin = made(), Twin()
    heard(activity)
    activity.run(500)
    assert taken(activity) == [as_bytes(twin.activity(twin.step())) for _ in range(500)]
    assert (activity.steps, activity.head) == (500, 500)


def test_its_trace_is_what_it_says() -> None:
    twin, traced = Twin(), made().trace(300)
    for n in range(300):
        one = twin.agents[agent := twin.step()]
        assert traced.agents[n] == agent
        assert traced.times_ms[n] == one.last_ms
        assert (traced.presences[n], traced.routings[n]) == (one.presence, one.routing)
        assert traced.queues[n] == one.queues


@settings(max_examples=50, deadline=None)
@given(
    parts=st.lists(
        st.tuples(
            st.integers(0, 40),
            st.integers(0, SCRIPT.settings.agents - 1),
            st.integers(0, len(DEFINITIONS) - 1),
            st.text(max_size=20),
        ),
        max_size=8,
    )
)
def test_changes_from_outside_stand_between_the_steps(
    parts: list[tuple[int, int, int, str]],
) -> None:
    activity, twin, expected = made(), Twin(), []
    heard(activity)
    for steps, agent, presence, message in parts:
        activity.run(steps)
        expected += [as_bytes(twin.activity(twin.step())) for _ in range(steps)]
        now_ms = ORIGIN_MS + twin.steps
        at_ms = activity.change(agent, now_ms, presence=presence, message=message)
        one = twin.agents[agent]
        assert at_ms == max(now_ms, one.last_ms + 1)
        one.last_ms = one.presence_ms = at_ms
        one.presence, one.message = presence, message
        twin.head += 1
        expected.append(as_bytes(twin.activity(agent)))
    found = taken(activity)
    assert [json.loads(text) for text in found] == [json.loads(text) for text in expected]


def test_two_events_of_an_agent_are_apart_and_each_brings_something_new() -> None:
    traced, activity = made().trace(2000), made()
    last = [0] * SCRIPT.settings.agents
    for agent, at_ms in zip(traced.agents, traced.times_ms, strict=True):
        assert at_ms > last[agent]
        last[agent] = at_ms
        activity.run(1)
        held = activity.held(agent)
        assert at_ms in (held.presence_ms, held.routing_ms)


def test_parts_come_for_what_changed_only_and_other_sources_are_not_primary() -> None:
    activity, twin = made(), Twin()
    heard(activity, PARTS)
    kinds, others = set(), 0
    for _ in range(400):
        activity.run(1)
        one = twin.agents[agent := twin.step()]
        told = [json.loads(text) for text in taken(activity)]
        assert told
        for frame in told:
            kind, body = frame["topicName"].rpartition(".")[2], frame["eventBody"]
            kinds.add(kind)
            assert frame["topicName"].split(".")[2] == SCRIPT.users[agent]
            if kind == "presence" and not body["primary"]:
                others += 1
                assert body["source"] != "PURECLOUD"
                continue
            if kind == "outOfOffice":
                assert body["active"] == one.away
                assert body.get("startDate") == (iso_time(one.last_ms) if one.away else None)
                continue
            at = body.get("modifiedDate") or body["routingStatus"]["startTime"]
            assert at == iso_time(one.last_ms)
    assert kinds == {"presence", "routingStatus", "outOfOffice"}
    assert others > 0


def test_nobody_hears_of_it_whose_channel_has_no_socket() -> None:
    activity = made()
    agents = array("i", [0, 1, 2])
    activity.hear([(0, agents, bytes([ACTIVITY]) * 3), (5, agents[:1], bytes([ACTIVITY]))])
    activity.run(100)
    assert activity.take() == []
    activity.open(5)
    activity.run(100)
    (channel, frames, count), *others = activity.take()
    assert (channel, others) == (5, [])
    assert len(texts(frames)) == count > 0
    activity.run(100)
    activity.close(5)
    activity.run(100)
    assert activity.take() == []


def test_copies_come_so_many_steps_later_unless_their_socket_is_gone() -> None:
    activity = made(late_every=10, late_by=25)
    heard(activity)
    activity.run(100)
    found = taken(activity)
    assert activity.copies == 7  # of steps 10, 20, … 70
    assert len(found) == 107
    events = list(dict.fromkeys(found))
    copies = [events.index(text) for n, text in enumerate(found) if text in found[:n]]
    assert copies == [9, 19, 29, 39, 49, 59, 69]
    activity.close(0)
    activity.run(100)
    assert (activity.copies, activity.take()) == (7, [])


def test_a_walk_is_closed_and_no_two_neighbours_are_alike() -> None:
    for seed in range(20):
        standings = walk(random.Random(seed))
        assert len(standings) == WALK
        for now, then in zip(standings, (*standings[1:], standings[0]), strict=True):
            assert now[:2] != then[:2]
            assert not DEFINITIONS[now.presence].deactivated
            assert (now.routing == OFF_QUEUE) is (now.presence != ON_QUEUE)
            if now.routing == OFF_QUEUE:
                assert then.routing in (OFF_QUEUE, IDLE)


def test_full_seconds_have_no_fraction() -> None:
    assert iso_time(1_790_000_000_000) == "2026-09-21T14:13:20Z"
    assert iso_time(1_790_000_000_067) == "2026-09-21T14:13:20.067Z"


def test_a_walk_of_another_length_is_none() -> None:
    with pytest.raises(AssertionError):
        Activity(SCRIPT, [WalkStep(0, 0, False)])

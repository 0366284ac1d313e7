"""The script: seeded, and a change is always a change. Its compiled twin agrees byte for byte."""

from __future__ import annotations

import re
from array import array
from datetime import datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.fake_gateway.frames import FrameWriter
from tools.fake_gateway.numbering import Epoch, Numbering
from tools.fake_gateway.script import (
    LEAN,
    PRESENCES,
    STATES,
    WHOLE_AGENT,
    WITH_CORRELATION,
    WITH_PRESENCE,
    Script,
    ScriptSettings,
    mix64,
    timestamp,
)
from tools.fake_gateway.timeline import Timeline

ORIGIN_MS = 1_795_300_000_000
ALL_SHAPES = st.integers(0, 15)


@st.composite
def script_settings(draw: st.DrawFn) -> ScriptSettings:
    return ScriptSettings(
        seed=draw(st.integers(0, 1 << 63)),
        agents=draw(st.integers(1, 120)),
        origin_ms=draw(st.integers(1 << 27, 4_000_000_000_000)),
        quiet_every=draw(st.sampled_from((0, 2, 3, 50))),
        presence_every=draw(st.sampled_from((0, 1, 2, 16))),
        correlation_every=draw(st.sampled_from((0, 1, 3, 16))),
    )


class Twins:
    """The same organisation twice: written plainly, and compiled."""

    def __init__(self, settings: ScriptSettings, stretches: list[tuple[int, int]]) -> None:
        self.script = Script(settings)
        self.timeline = Timeline(self.script.distance_min)
        self.numbering = Numbering(settings.agents)
        self.writer = FrameWriter(self.script)
        first, now_ns = 0, (settings.origin_ms + 1) * 1_000_000
        for events, step_ns in stretches:
            self.writer.add_stretch(self.timeline.begin(first, now_ns, step_ns))
            epoch = Epoch(f"epoch {first}", first, settings.agents + 1 + first * 1000)
            self.numbering.begin(epoch)
            self.writer.add_epoch(epoch)
            first, now_ns = first + events, now_ns + events * step_ns // 2
        self.head = first

    def frame(self, number: int, shape: int) -> bytes:
        sequence, at_ms = self.numbering.sequence(number), self.timeline.at_ms(number)
        return self.script.frame(self.script.change(number), sequence, at_ms, shape)

    def history(self, shape: int) -> bytes:
        epoch, frames = self.numbering.current, []
        for agent, last in enumerate(self.script.last_changes(self.head)):
            change = self.script.initial(agent) if last < 0 else self.script.change(last)
            at_ms = self.script.initial_ms(agent) if last < 0 else self.timeline.at_ms(last)
            sequence = self.numbering.position(epoch, agent, last)
            frames.append(self.script.frame(change, sequence, at_ms, shape, history=True))
        return b"".join(frames)


STRETCHES = st.lists(
    st.tuples(st.integers(1, 150), st.integers(1, 3_000_000_000)), min_size=1, max_size=4
)


@given(script_settings(), STRETCHES, ALL_SHAPES)
def test_the_compiled_twin_writes_the_same_bytes(
    settings: ScriptSettings, stretches: list[tuple[int, int]], shape: int
) -> None:
    twins = Twins(settings, stretches)
    plain = [twins.frame(number, shape) for number in range(twins.head)]
    assert twins.writer.frames(0, twins.head, shape) == b"".join(plain)
    backwards = array("q", range(twins.head - 1, -1, -1))
    assert twins.writer.frames_of(backwards, shape) == b"".join(reversed(plain))
    last = twins.writer.last_changes(twins.head)
    assert last == twins.script.last_changes(twins.head)
    assert twins.writer.history(last, 0, settings.agents, shape) == twins.history(shape)


@given(script_settings(), STRETCHES)
def test_the_compiled_twin_computes_the_same_facts(
    settings: ScriptSettings, stretches: list[tuple[int, int]]
) -> None:
    twins = Twins(settings, stretches)
    agents, states, queues, times_ms = twins.writer.facts(0, twins.head)
    changes = [twins.script.change(number) for number in range(twins.head)]
    assert list(agents) == [change.agent for change in changes]
    assert list(states) == [change.state for change in changes]
    assert list(queues) == [change.queue for change in changes]
    assert list(times_ms) == [twins.timeline.at_ms(number) for number in range(twins.head)]


@given(script_settings(), STRETCHES)
def test_every_event_changes_its_agent_at_a_later_time(
    settings: ScriptSettings, stretches: list[tuple[int, int]]
) -> None:
    twins = Twins(settings, stretches)
    script = twins.script
    held = {
        agent: (script.initial(agent).state, script.initial_ms(agent))
        for agent in range(settings.agents)
    }
    for number in range(twins.head):
        change, at_ms = script.change(number), twins.timeline.at_ms(number)
        state, since_ms = held[change.agent]
        assert change.state != state
        assert at_ms > since_ms
        held[change.agent] = (change.state, at_ms)


@given(script_settings(), st.integers(0, 50))
def test_in_each_round_every_active_agent_changes_once(
    settings: ScriptSettings, round_: int
) -> None:
    script = Script(settings)
    first = round_ * script.active
    agents = [script.agent_of(number) for number in range(first, first + script.active)]
    active = [agent for agent in range(settings.agents) if not script.is_quiet(agent)]
    assert sorted(agents) == active


@given(script_settings(), st.integers(1, 200))
def test_two_events_of_an_agent_keep_their_distance(settings: ScriptSettings, events: int) -> None:
    script = Script(settings)
    last: dict[int, int] = {}
    for number in range(events):
        agent = script.agent_of(number)
        assert number - last.get(agent, -script.distance_min) >= script.distance_min
        last[agent] = number


def usual() -> Twins:
    settings = ScriptSettings(
        seed=7, agents=5000, origin_ms=ORIGIN_MS, presence_every=2, correlation_every=2
    )
    return Twins(settings, [(20_000, 500_000)])


def test_a_lean_frame_has_exactly_the_usual_shape() -> None:
    frame = usual().frame(1, LEAN)
    assert frame[0] == 0x81
    assert frame[1] == 126
    assert int.from_bytes(frame[2:4], "big") == len(frame) - 4
    assert 205 <= len(frame) <= 225
    uuid = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    assert re.fullmatch(
        r'\{"type":"routing\.agents\.state","sequence":\d+,"data":\{"userId":"'
        + uuid
        + r'","state":"[A-Za-z ]+","timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z","queueId":"'
        + uuid
        + r'"\}\}',
        frame[4:].decode(),
    )


def test_unrequested_properties_are_absent() -> None:
    data = orjson.loads(usual().frame(0, 0)[4:])["data"]
    assert data.keys() == {"userId", "state", "timestamp"}


def test_presence_and_correlation_come_with_the_events_that_have_them() -> None:
    twins = usual()
    shape = LEAN | WITH_PRESENCE | WITH_CORRELATION
    bearing, without = (orjson.loads(twins.frame(n, shape)[4:])["data"] for n in (0, 1))
    assert bearing["presence"] in PRESENCES
    assert len(bearing["correlationId"]) == 36
    assert without.keys() == {"userId", "state", "timestamp", "queueId"}


def test_the_whole_agent_is_over_two_kilobytes() -> None:
    frame = usual().frame(1, WHOLE_AGENT)
    assert 2048 < len(frame) < 4096
    event = orjson.loads(frame[4:])
    assert event["data"]["name"].startswith("Agent 0")
    assert event["data"].keys() > {"userId", "state", "timestamp", "queueId", "presence"}


def test_a_seed_makes_one_organisation_and_another_seed_another() -> None:
    settings = ScriptSettings(seed=7, agents=50, origin_ms=ORIGIN_MS)
    first, again = Script(settings), Script(settings)
    assert first.users == again.users
    assert [first.change(n) for n in range(99)] == [again.change(n) for n in range(99)]
    other = Script(ScriptSettings(seed=8, agents=50, origin_ms=ORIGIN_MS))
    assert not set(first.users) & set(other.users)


def test_all_states_happen_and_there_is_a_queue_for_25_agents() -> None:
    twins = usual()
    states = {twins.script.change(number).state for number in range(1000)}
    assert states == set(range(len(STATES)))
    assert len(twins.script.queues) == 200


@given(st.integers(0, 253_402_300_799_999))
def test_a_timestamp_is_read_back_as_it_was(at_ms: int) -> None:
    moment = datetime.fromisoformat(timestamp(at_ms))
    assert round(moment.timestamp() * 1000) == at_ms


def test_the_hash_is_the_known_one() -> None:
    assert mix64(0) == 0xE220A8397B1DCDAF  # the first number of splitmix64 from seed 0


@pytest.mark.parametrize(
    "change",
    [
        {"agents": 0},
        {"agents": 2_000_000},
        {"quiet_every": 1},
        {"presence_every": -1},
        {"seed": -1},
        {"origin_ms": 0},
    ],
)
def test_impossible_settings_are_refused(change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"agents|quiet_every|seed|origin_ms"):
        ScriptSettings(**{"seed": 7, "agents": 5, "origin_ms": ORIGIN_MS, **change})

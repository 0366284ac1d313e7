"""The script: seeded, and a change is always a change. Its compiled twin agrees byte for byte."""

from __future__ import annotations

import re
import uuid
from array import array
from datetime import datetime
from typing import NamedTuple

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.fake_gateway.event_times import EventTimes
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
from tools.fake_gateway.wsp.event_log import EventLog
from tools.fake_gateway.wsp.frames import FrameWriter
from tools.fake_gateway.wsp.numbering import Epoch, Numbering

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


class Piece(NamedTuple):
    """Of what happens: events at a step, then updates of agents (modulo how many there are)."""

    events: int
    step_ns: int
    updates: list[tuple[int, int]]  # agent, presence


class Twins:
    """The same organisation twice: written plainly, and compiled."""

    def __init__(self, settings: ScriptSettings, pieces: list[Piece]) -> None:
        self.script = Script(settings)
        self.event_log = EventLog(self.script)
        self.event_times = EventTimes(self.script.distance_min)
        self.numbering = Numbering(settings.agents)
        self.writer = FrameWriter(self.script)
        self.head, now_ns = 0, (settings.origin_ms + 1) * 1_000_000
        for events, step_ns, updates in pieces:
            self.writer.add_stretch(self.event_times.begin(self.head, now_ns, step_ns))
            epoch = Epoch(f"epoch {self.head}", self.head, settings.agents + 1 + self.head * 1000)
            self.numbering.begin(epoch)
            self.writer.add_epoch(epoch)
            self.head, now_ns = self.head + events, now_ns + events * step_ns // 2
            for agent, presence in updates:
                self.update(agent % settings.agents, presence, now_ns)

    def update(self, agent: int, presence: int, now_ns: int) -> None:
        head, last = self.head, self.event_log.last_change(agent, self.head)
        held_ms = self.script.initial_ms(agent) if last < 0 else self.event_times.at_ms(last)
        next_in = self.event_log.next_in(agent, head)
        change = self.event_log.caused(head, agent, presence, str(uuid.UUID(int=head)))
        self.event_log.add(change)
        self.writer.add_change(change)
        for stretch in self.event_times.insert(head, now_ns, held_ms=held_ms, next_in=next_in):
            self.writer.add_stretch(stretch)
        self.head += 1

    def frame(self, number: int, shape: int) -> bytes:
        sequence, at_ms = self.numbering.sequence(number), self.event_times.at_ms(number)
        return self.script.frame(self.event_log.change(number), sequence, at_ms, shape)

    def last_changes(self) -> array[int]:
        last = array("q", [-1]) * self.script.settings.agents
        for number in range(self.head):
            last[self.event_log.change(number).agent] = number
        return last

    def history(self, shape: int) -> bytes:
        epoch, frames = self.numbering.current, []
        for agent, last in enumerate(self.last_changes()):
            change = self.script.initial(agent) if last < 0 else self.event_log.change(last)
            at_ms = self.script.initial_ms(agent) if last < 0 else self.event_times.at_ms(last)
            sequence = self.numbering.position(epoch, agent, last)
            frames.append(self.script.frame(change, sequence, at_ms, shape, history=True))
        return b"".join(frames)


UPDATES = st.lists(st.tuples(st.integers(0, 119), st.integers(0, 3)), max_size=4)
PIECES = st.lists(
    st.builds(Piece, st.integers(1, 150), st.integers(1, 3_000_000_000), UPDATES),
    min_size=1,
    max_size=4,
)


@given(script_settings(), PIECES, ALL_SHAPES)
def test_the_compiled_twin_writes_the_same_bytes(
    settings: ScriptSettings, pieces: list[Piece], shape: int
) -> None:
    twins = Twins(settings, pieces)
    plain = [twins.frame(number, shape) for number in range(twins.head)]
    assert twins.writer.frames(0, twins.head, shape) == b"".join(plain)
    backwards = array("q", range(twins.head - 1, -1, -1))
    assert twins.writer.frames_of(backwards, shape) == b"".join(reversed(plain))
    last = twins.writer.last_changes(twins.head)
    assert last == twins.last_changes()
    assert twins.writer.history(last, 0, settings.agents, shape) == twins.history(shape)


@given(script_settings(), PIECES)
def test_the_compiled_twin_computes_the_same_facts(
    settings: ScriptSettings, pieces: list[Piece]
) -> None:
    twins = Twins(settings, pieces)
    agents, states, queues, times_ms = twins.writer.facts(0, twins.head)
    changes = [twins.event_log.change(number) for number in range(twins.head)]
    assert list(agents) == [change.agent for change in changes]
    assert list(states) == [change.state for change in changes]
    assert list(queues) == [change.queue for change in changes]
    assert list(times_ms) == [twins.event_times.at_ms(number) for number in range(twins.head)]


@given(script_settings(), PIECES)
def test_every_event_is_later_than_the_last_of_its_agent_and_each_step_is_a_change(
    settings: ScriptSettings, pieces: list[Piece]
) -> None:
    twins = Twins(settings, pieces)
    script = twins.script
    since_ms = [script.initial_ms(agent) for agent in range(settings.agents)]
    scripted = [script.initial(agent).state for agent in range(settings.agents)]
    for number in range(twins.head):
        change, at_ms = twins.event_log.change(number), twins.event_times.at_ms(number)
        assert at_ms > since_ms[change.agent]
        since_ms[change.agent] = at_ms
        if number not in twins.event_log.numbers:
            assert change.state != scripted[change.agent]
            scripted[change.agent] = change.state


@given(script_settings(), st.integers(0, 50))
def test_in_each_round_every_active_agent_changes_once(
    settings: ScriptSettings, round_: int
) -> None:
    script = Script(settings)
    first = round_ * script.active
    agents = [script.agent_of(number) for number in range(first, first + script.active)]
    active = [agent for agent in range(settings.agents) if not script.is_quiet(agent)]
    assert sorted(agents) == active


@given(script_settings(), st.integers(0, 50), st.integers(0, 119))
def test_the_steps_of_an_agent_are_found_without_looking_at_others(
    settings: ScriptSettings, steps: int, agent: int
) -> None:
    script, agent = Script(settings), agent % settings.agents
    mine = [step for step in range(steps + 3 * script.active) if script.agent_of(step) == agent]
    assert script.last_step(agent, steps) == max((n for n in mine if n < steps), default=-1)
    assert script.next_step(agent, steps) == next((n for n in mine if n >= steps), None)


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
    return Twins(settings, [Piece(20_000, 500_000, [])])


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

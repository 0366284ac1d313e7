"""The event log: updates make events between the script's steps, and no step is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.fake_gateway.kept import settings
from tools.fake_gateway.script import PRESENCES, STATES, Script
from tools.fake_gateway.wsp.event_log import EventLog

CORRELATION = "1b4e28ba-2fa1-41d2-883f-0016d3cca427"
AVAILABLE, BUSY, BREAK, OFFLINE = range(4)


class Lived:
    """An event log as it is lived: some steps, an update, some steps, …"""

    def __init__(self, distances: list[tuple[int, int]]) -> None:
        self.script = Script(settings())
        self.event_log = EventLog(self.script)
        self.head = 0
        self.told: list[int] = []  # per event its step, or -1
        for steps, agent in distances:
            self.steps(steps)
            self.update(agent)

    def steps(self, count: int) -> None:
        first = sum(step >= 0 for step in self.told)
        self.told += range(first, first + count)
        self.head += count

    def update(self, agent: int, presence: int = BREAK) -> None:
        self.event_log.add(self.event_log.caused(self.head, agent, presence, CORRELATION))
        self.told.append(-1)
        self.head += 1


DISTANCES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 19)), max_size=12)


@given(DISTANCES)
def test_the_script_goes_on_behind_an_update_with_the_step_that_would_have_stood_there(
    distances: list[tuple[int, int]],
) -> None:
    lived = Lived(distances)
    lived.steps(30)
    for number, step in enumerate(lived.told):
        change = lived.event_log.change(number)
        assert change.number == number
        if step >= 0:
            assert change == lived.script.change(step)._replace(number=number)
            assert lived.event_log.number_of(step) == number
        else:
            assert change.correlation == CORRELATION
        assert lived.event_log.steps(number) == sum(each >= 0 for each in lived.told[:number])


@given(DISTANCES, st.integers(0, 19))
def test_an_agent_is_what_the_update_said_until_its_own_next_step(
    distances: list[tuple[int, int]], agent: int
) -> None:
    lived = Lived(distances)
    lived.update(agent)
    event_log, head = lived.event_log, lived.head
    assert event_log.last_change(agent, head) == head - 1
    next_in = event_log.next_in(agent, head)
    if lived.script.is_quiet(agent):
        assert next_in is None
        return
    assert next_in is not None
    lived.steps(next_in)
    assert event_log.last_change(agent, lived.head) == head - 1
    lived.steps(1)
    assert event_log.last_change(agent, lived.head) == lived.head - 1
    assert event_log.change(lived.head - 1).correlation is None


@given(DISTANCES)
def test_the_last_change_of_everybody_is_found(distances: list[tuple[int, int]]) -> None:
    lived = Lived(distances)
    last = dict.fromkeys(range(20), -1)
    for number in range(lived.head):
        last[lived.event_log.change(number).agent] = number
    assert {agent: lived.event_log.last_change(agent, lived.head) for agent in last} == last


def test_each_presence_has_its_state_and_the_agent_stays_in_its_queue() -> None:
    lived = Lived([])
    lived.steps(25)
    event_log, agent = lived.event_log, 3
    queue = event_log.change(event_log.last_change(agent, lived.head)).queue
    told = []
    for presence in (AVAILABLE, BUSY, BREAK, OFFLINE):
        change = event_log.caused(lived.head, agent, presence, CORRELATION)
        assert (change.queue, change.has_presence) == (queue, True)
        told.append((PRESENCES[change.presence], STATES[change.state]))
    assert told == [
        ("available", "Available"),
        ("busy", "Not Available"),
        ("break", "Not Available"),
        ("offline", "Not Available"),
    ]

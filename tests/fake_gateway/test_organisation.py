"""The organisation: whatever happens, its ledger is enough to compute every event again."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal, TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from tests.fake_gateway.kept import ORIGIN_MS, Run, settings
from tools.fake_gateway.script import LEAN, WITH_CORRELATION, WITH_PRESENCE
from tools.fake_gateway.wsp.expectation import SENT_OF_UPDATE, Expectation

SHAPE = LEAN | WITH_PRESENCE | WITH_CORRELATION
FIRST_NS = (ORIGIN_MS + 1) * 1_000_000
Happening: TypeAlias = tuple[Literal["events", "update", "stretch", "renumber", "history"], int]

HAPPENINGS = st.lists(
    st.one_of(
        st.tuples(st.just("events"), st.integers(0, 60)),
        st.tuples(st.just("update"), st.integers(0, 79)),
        st.tuples(st.just("stretch"), st.integers(1, 2_000_000)),
        st.tuples(st.just("renumber"), st.integers(21, 5000)),
        st.tuples(st.just("history"), st.just(0)),
    ),
    max_size=25,
)


class Lived:
    """A run in which these things happened; every event was told on its socket."""

    def __init__(self, run: Run, happenings: list[Happening]) -> None:
        self.run, self.now_ns, self.updates = run, FIRST_NS, list[int]()
        self.histories: list[bytes] = []
        run.subscribe(shape=SHAPE)
        for place, (what, amount) in enumerate(happenings):
            self.now_ns += 300_000
            if what == "events":
                run.happen(amount)
            elif what == "update":
                correlation = f"{place:08x}-0000-4000-8000-000000000000"
                change = run.organisation.change(amount % 20, amount % 4, correlation, self.now_ns)
                self.updates.append(change)
            elif what == "stretch":
                run.organisation.begin_stretch(run.organisation.head, self.now_ns, amount)
            elif what == "renumber":
                run.organisation.end_block()
                run.organisation.renumber(amount)
            else:
                run.subscribe(socket=place + 2, shape=SHAPE)
        run.organisation.end_block()
        if run.organisation.head:
            run.send(0, run.organisation.head - 1)


@given(HAPPENINGS, st.sampled_from((0, 3)))
def test_what_the_ledger_tells_is_what_the_sockets_were_told(
    happenings: list[Happening], window: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder), settings(presence_every=3, correlation_every=5), window=window)
        lived = Lived(run, happenings)
        expectation = Expectation(run.close())
    organisation, head = run.organisation, run.organisation.head
    assert expectation.writer.frames(0, head, SHAPE) == organisation.writer.frames(0, head, SHAPE)
    assert expectation.last_changes(head) == organisation.last_changes()
    assert expectation.event_log.numbers == lived.updates
    for number in range(head):
        assert expectation.event_times.at_ms(number) == organisation.event_times.at_ms(number)
        assert expectation.event_log.change(number) == organisation.event_log.change(number)
        is_of_update = expectation.sent[number] == SENT_OF_UPDATE
        assert is_of_update is (number in lived.updates)
    last = organisation.last_changes()
    told = organisation.writer.history(last, 0, 20, SHAPE)
    assert expectation.writer.history(last, 0, 20, SHAPE) == told


@given(HAPPENINGS)
def test_no_event_has_a_time_at_or_before_the_last_of_its_agent(
    happenings: list[Happening],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder))
        Lived(run, happenings)
        run.close()
    organisation = run.organisation
    since_ms = [organisation.script.initial_ms(agent) for agent in range(20)]
    times_ms = [organisation.event_times.at_ms(number) for number in range(organisation.head)]
    assert times_ms == sorted(times_ms)
    for number, at_ms in enumerate(times_ms):
        agent = organisation.event_log.change(number).agent
        assert at_ms > since_ms[agent]
        since_ms[agent] = at_ms

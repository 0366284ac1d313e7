"""The stream under a clock of the test: what an update does to the load that runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake_gateway.kept import ORIGIN_MS, settings
from tools.fake_gateway import traffic as traffic_module
from tools.fake_gateway.ledger import Ledger
from tools.fake_gateway.pacing import Load
from tools.fake_gateway.wsp import stream as stream_module
from tools.fake_gateway.wsp.organisation import OrderSettings, Organisation
from tools.fake_gateway.wsp.stream import Stream

QUIET, CORRELATION = 4, "1b4e28ba-2fa1-41d2-883f-0016d3cca427"
START_MS = ORIGIN_MS + 10_000


class ManualClock:
    """Instead of the module `time`."""

    def __init__(self) -> None:
        self.ms = 0

    def monotonic(self) -> float:
        return self.ms / 1000

    def monotonic_ns(self) -> int:
        return self.ms * 1_000_000

    def time_ns(self) -> int:
        return (START_MS + self.ms) * 1_000_000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    clock = ManualClock()
    for module in (stream_module, traffic_module):
        monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def stream(tmp_path: Path, clock: ManualClock) -> Iterator[Stream]:
    assert clock.ms == 0
    ledger = Ledger(tmp_path)
    organisation = Organisation(settings(agents=500), OrderSettings(), ledger)
    yield Stream(organisation, ledger)
    ledger.close()


def test_an_update_comes_behind_what_is_due_however_late_the_turn(
    stream: Stream, clock: ManualClock
) -> None:
    stream.start_load(Load(1000.0, 0.0))
    stream.turn()
    for turn in range(1, 6):
        clock.ms = 100 * turn
        number = stream.change(QUIET, 1, CORRELATION)
        assert number == 100 * turn + turn
        assert stream.organisation.event_times.at_ms(number) == START_MS + 100 * turn
    clock.ms = 700
    stream.turn()
    head, event_log = stream.organisation.head, stream.organisation.event_log
    assert (head, stream.organisation.steps) == (706, 701)
    for step in range(701):  # each has the time that it would have had without the updates
        assert stream.organisation.event_times.at_ms(event_log.number_of(step)) == START_MS + step


def test_a_load_makes_as_many_events_as_without_updates(stream: Stream, clock: ManualClock) -> None:
    stream.start_load(Load(1000.0, 0.2))
    for ms in range(0, 150, 10):
        clock.ms = ms
        stream.change(QUIET, ms // 10 % 4, CORRELATION)
        stream.turn()
    clock.ms = 300
    stream.turn()
    assert stream.load_state == "done"
    assert (stream.organisation.steps, stream.organisation.head) == (200, 215)


def test_a_profile_that_changes_its_pace_goes_on_behind_updates(
    stream: Stream, clock: ManualClock
) -> None:
    stream.start_load(Load(100.0, 0.0, "shift-change"))
    for ms in range(0, 3000, 50):
        clock.ms = ms
        stream.turn()
        stream.change(QUIET, ms // 50 % 4, CORRELATION)
        now_ms = stream.organisation.event_times.at_ms(stream.organisation.head - 1) - START_MS
        assert now_ms == ms
    assert stream.organisation.head == stream.organisation.steps + 60


def test_a_pace_that_begins_in_events_that_have_happened_moves_none_of_them(
    stream: Stream, clock: ManualClock
) -> None:
    organisation = stream.organisation
    stream.start_load(Load(100.0, 0.0, "shift-change"))
    stream.turn()
    organisation.advance(600)  # a renumbering brings a block to its end, far beyond what is due
    stream.change(QUIET, 1, CORRELATION)
    told = [organisation.event_times.at_ms(number) for number in range(601)]
    clock.ms = 1500  # the next pace has begun, at event 500
    stream.turn()
    assert [organisation.event_times.at_ms(number) for number in range(601)] == told

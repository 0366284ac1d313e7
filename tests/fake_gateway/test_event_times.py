"""The event_times: real times that grow, and never two changes of an agent in a millisecond."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tools.fake_gateway.event_times import NS_PER_MS, EventTimes, Stretch


def test_a_steady_run_has_times_at_its_rate() -> None:
    event_times = EventTimes(distance_min=2000)
    event_times.begin(0, 5_000 * NS_PER_MS, 500_000)
    assert [event_times.at_ms(number) for number in (0, 1, 2, 3, 2000)] == [
        5000, 5000, 5001, 5001, 6000,
    ]  # fmt: skip


def test_a_new_stretch_takes_up_the_wall_clock() -> None:
    event_times = EventTimes(distance_min=2000)
    event_times.begin(0, 0, 500_000)
    assert event_times.begin(10, 90 * NS_PER_MS, 500_000) == Stretch(10, 90 * NS_PER_MS, 500_000)
    assert (event_times.at_ms(9), event_times.at_ms(10)) == (4, 90)


def test_a_stretch_never_goes_back_behind_the_last() -> None:
    event_times = EventTimes(distance_min=2000)
    event_times.begin(0, 0, NS_PER_MS)
    assert event_times.begin(100, 7 * NS_PER_MS, NS_PER_MS).start_ns == 100 * NS_PER_MS


def test_a_stretch_in_which_nothing_happened_is_replaced() -> None:
    event_times = EventTimes(distance_min=2000)
    event_times.begin(0, 0, NS_PER_MS)
    event_times.begin(0, 5 * NS_PER_MS, 500)
    assert event_times.stretches == [Stretch(0, 5 * NS_PER_MS, 500)]


@given(
    st.integers(1, 50),
    st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9_000_000), st.integers(1, 9_000_000))),
)
def test_events_that_far_apart_are_a_millisecond_apart(
    distance_min: int, stretches: list[tuple[int, int, int]]
) -> None:
    event_times = EventTimes(distance_min)
    first = now_ns = 0
    for events, pause_ns, step_ns in stretches:
        event_times.begin(first, now_ns, step_ns)
        first, now_ns = first + events, now_ns + pause_ns
    for number in range(first - distance_min):
        assert event_times.at_ms(number) < event_times.at_ms(number + distance_min)


def steady(step_ns: int) -> EventTimes:
    event_times = EventTimes(distance_min=2000)
    event_times.begin(0, 5_000 * NS_PER_MS, step_ns)
    return event_times


def test_what_follows_an_insertion_goes_on_as_it_would_have() -> None:
    event_times, untouched = steady(3_000_000), steady(3_000_000)
    first, second = event_times.insert(10, 5_028 * NS_PER_MS, held_ms=0, next_in=1)
    assert (first, second) == (
        Stretch(10, 5_028 * NS_PER_MS, 3_000_000),
        Stretch(11, 5_030 * NS_PER_MS, 3_000_000),
    )
    for number in range(40):
        assert event_times.at_ms(number + (number >= 10)) == untouched.at_ms(number)


def test_an_insertion_lies_between_its_neighbours() -> None:
    event_times = steady(3_000_000)
    early, _ = event_times.insert(10, 0, held_ms=0, next_in=None)
    assert early.start_ns == 5_027 * NS_PER_MS  # with the one before it
    late, then = event_times.insert(21, 5_900 * NS_PER_MS, held_ms=0, next_in=None)
    assert (late.start_ns, then.start_ns) == (5_900 * NS_PER_MS, 5_900 * NS_PER_MS)


def test_an_insertion_has_another_millisecond_than_its_agents_neighbours() -> None:
    event_times = steady(1_000)
    inserted, _ = event_times.insert(100, 0, held_ms=5_000, next_in=7)
    assert inserted.start_ns == 5_001 * NS_PER_MS
    assert event_times.at_ms(100) == 5_001
    assert event_times.at_ms(107) == 5_001
    assert event_times.at_ms(108) == 5_002  # the agent's own next one


def test_no_stretch_begins_in_the_millisecond_of_an_insertion() -> None:
    event_times = steady(1_000_000)
    event_times.insert(10, 5_009_500_000, held_ms=0, next_in=40)
    stretch = event_times.begin(20, 0, 1_000)
    assert stretch.start_ns == 5_019 * NS_PER_MS
    event_times.insert(30, stretch.start_ns, held_ms=0, next_in=1_500)
    assert event_times.begin(31, 0, 1_000).start_ns == 5_020 * NS_PER_MS


def test_without_a_load_an_insertion_happens_now() -> None:
    event_times = EventTimes(distance_min=2000)
    now_ns = 5_000 * NS_PER_MS
    first, second = event_times.insert(0, now_ns, held_ms=0, next_in=5)
    assert (first.start_ns, second.start_ns) == (now_ns, now_ns)
    event_times = steady(1_000)
    later, _ = event_times.insert(10, 9_000 * NS_PER_MS, held_ms=0, next_in=None)
    assert later.start_ns == 9_000 * NS_PER_MS

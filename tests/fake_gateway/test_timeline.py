"""The timeline: real times that grow, and never two changes of an agent in a millisecond."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tools.fake_gateway.timeline import NS_PER_MS, Stretch, Timeline


def test_a_steady_run_has_times_at_its_rate() -> None:
    timeline = Timeline(distance_min=2000)
    timeline.begin(0, 5_000 * NS_PER_MS, 500_000)
    assert [timeline.at_ms(number) for number in (0, 1, 2, 3, 2000)] == [
        5000, 5000, 5001, 5001, 6000,
    ]  # fmt: skip


def test_a_new_stretch_takes_up_the_wall_clock() -> None:
    timeline = Timeline(distance_min=2000)
    timeline.begin(0, 0, 500_000)
    assert timeline.begin(10, 90 * NS_PER_MS, 500_000) == Stretch(10, 90 * NS_PER_MS, 500_000)
    assert (timeline.at_ms(9), timeline.at_ms(10)) == (4, 90)


def test_a_stretch_never_goes_back_behind_the_last() -> None:
    timeline = Timeline(distance_min=2000)
    timeline.begin(0, 0, NS_PER_MS)
    assert timeline.begin(100, 7 * NS_PER_MS, NS_PER_MS).start_ns == 100 * NS_PER_MS


def test_a_stretch_in_which_nothing_happened_is_replaced() -> None:
    timeline = Timeline(distance_min=2000)
    timeline.begin(0, 0, NS_PER_MS)
    timeline.begin(0, 5 * NS_PER_MS, 500)
    assert timeline.stretches == [Stretch(0, 5 * NS_PER_MS, 500)]


@given(
    st.integers(1, 50),
    st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9_000_000), st.integers(1, 9_000_000))),
)
def test_events_that_far_apart_are_a_millisecond_apart(
    distance_min: int, stretches: list[tuple[int, int, int]]
) -> None:
    timeline = Timeline(distance_min)
    first = now_ns = 0
    for events, pause_ns, step_ns in stretches:
        timeline.begin(first, now_ns, step_ns)
        first, now_ns = first + events, now_ns + pause_ns
    for number in range(first - distance_min):
        assert timeline.at_ms(number) < timeline.at_ms(number + distance_min)

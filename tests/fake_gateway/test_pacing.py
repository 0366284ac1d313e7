"""A load: an open loop by the clock, whatever anybody keeps up with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.fake_gateway.pacing import NS_PER_S, PROFILES, Load, Pace


def test_a_steady_load_has_its_rate_from_the_first_moment() -> None:
    load = Load(2000, 0)
    due = load.due(0)
    assert (due.events, due.is_over) == (1, False)
    assert due.paces == (Pace(0, 0, 500_000, 3600 * NS_PER_S),)
    assert load.due(500_000).events == 2
    assert load.due(10 * NS_PER_S - 1).events == 20_000


def test_a_load_ends_with_all_its_events_however_late_it_is_asked() -> None:
    due = Load(2000, 30).due(45 * NS_PER_S)
    assert (due.events, due.is_over) == (60_000, True)


def test_full_speed_knows_only_its_end() -> None:
    load = Load(None, 5)
    assert load.due(NS_PER_S) == (0, (), 0, False)
    assert load.due(5 * NS_PER_S).is_over


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_has_the_rate_on_average(profile: str) -> None:
    turn_s = PROFILES[profile].turn_s
    events = Load(1000, 0, profile).due(round(10 * turn_s * NS_PER_S) - 1).events
    assert events == pytest.approx(10 * turn_s * 1000, rel=0.001)


def test_a_shift_change_begins_with_a_burst() -> None:
    load = Load(1000, 0, "shift-change")
    burst = load.due(NS_PER_S - 1).events
    rest = load.due(10 * NS_PER_S - 1).events - burst
    assert (burst, rest) == (5000, 5000)


def test_a_storm_cuts_the_sockets_three_times_a_turn() -> None:
    load = Load(1000, 0, "reconnect-storm")
    assert [load.due(round(at_s * NS_PER_S)).drops for at_s in (0.4, 0.6, 3, 19, 60)] == [
        0, 1, 1, 1, 6,
    ]  # fmt: skip


@given(st.sampled_from(sorted(PROFILES)), st.lists(st.integers(0, 10**11), min_size=1))
def test_events_never_go_back_and_are_independent_of_the_questions(
    profile: str, times: list[int]
) -> None:
    load = Load(333, 0, profile)
    events = [load.due(at_ns).events for at_ns in sorted(times)]
    assert events == sorted(events)
    assert events[-1] == Load(333, 0, profile).due(max(times)).events


@pytest.mark.parametrize(
    ("rate", "seconds", "profile"), [(0, 1, "steady"), (-1, 1, "steady"), (10**9, 1, "steady"),
                                     (1, -1, "steady"), (1, 1, "lunch")]
)  # fmt: skip
def test_impossible_loads_are_refused(rate: float, seconds: float, profile: str) -> None:
    with pytest.raises(ValueError, match=r"rate|seconds|profile"):
        Load(rate, seconds, profile)

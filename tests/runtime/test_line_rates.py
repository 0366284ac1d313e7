"""LineRates: what is over the bound is counted, and told once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runtime.line_rates import MINUTE_S, NAMES_MAX, OTHERS, LeftOut, LineRates

NAMES = st.sampled_from(["a", "b", "c"])
STEPS = st.lists(st.tuples(NAMES, st.floats(0, 40)), max_size=200)


def test_a_minute_shows_so_many_lines_of_a_name_and_counts_the_others() -> None:
    rates = LineRates(2)
    assert [rates.admits("a", 0.0) for _ in range(5)] == [True, True, False, False, False]
    assert rates.admits("b", 0.0)
    assert rates.due_in_s(10.0) == 50.0
    assert rates.due(59.9) == []
    assert rates.due(61.0) == [LeftOut("a", 3, 61.0)]
    assert rates.due_in_s(61.0) is None
    assert rates.admits("a", 61.0)


def test_names_without_end_share_one_bound() -> None:
    rates = LineRates(1)
    shown = sum(rates.admits(f"name-{number}", 0.0) for number in range(10 * NAMES_MAX))
    assert shown == NAMES_MAX + 1
    assert rates.all_left_out(1.0) == [LeftOut(OTHERS, 9 * NAMES_MAX - 1, 1.0)]


def test_without_a_bound_everything_is_shown() -> None:
    rates = LineRates(0)
    assert all(rates.admits("a", 0.0) for _ in range(10_000))
    assert rates.all_left_out(0.0) == []


@given(STEPS, st.integers(1, 5))
def test_every_line_is_shown_or_counted_and_no_minute_has_too_many(
    steps: list[tuple[str, float]], per_minute: int
) -> None:
    rates, now_s, counted = LineRates(per_minute), 0.0, 0
    shown: list[tuple[str, float]] = []
    for name, wait_s in steps:
        now_s += wait_s
        counted += sum(each.lines for each in rates.due(now_s))
        if rates.admits(name, now_s):
            shown.append((name, now_s))
    counted += sum(each.lines for each in rates.all_left_out(now_s))
    assert len(shown) + counted == len(steps)
    for name, at_s in shown:
        # Two windows that begin when they are wanted may touch: twice the bound, never more.
        near = [each for each in shown if each[0] == name and at_s <= each[1] < at_s + MINUTE_S]
        assert len(near) <= 2 * per_minute

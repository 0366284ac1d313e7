from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.sender.deadlines import NEVER_S, Deadlines

_KEYS = st.sampled_from("abcde")
_TIMES = st.integers(0, 20).map(float)
_WAYS = st.one_of(
    st.tuples(st.just("set"), _KEYS, _TIMES),
    st.tuples(st.just("drop"), _KEYS, st.just(0.0)),
    st.tuples(st.just("take"), st.just(""), _TIMES),
)


@given(st.lists(_WAYS, max_size=60))
def test_they_are_a_table_of_times_of_which_the_earliest_is_taken_first(
    ways: list[tuple[str, str, float]],
) -> None:
    deadlines: Deadlines[str] = Deadlines()
    table: dict[str, float] = {}
    for way, key, at_s in ways:
        if way == "set":
            deadlines.set(key, at_s)
            table.pop(key, None)
            table[key] = at_s
        elif way == "drop":
            deadlines.drop(key)
            table.pop(key, None)
        else:
            expected = min(table, key=lambda each: table[each], default=None)
            if expected is not None and table[expected] > at_s:
                expected = None
            assert deadlines.take(at_s) == expected
            table.pop(expected or "", None)
        assert len(deadlines) == len(table)
        assert deadlines.due_s == min(table.values(), default=NEVER_S)


def test_a_time_that_is_moved_a_thousand_times_leaves_no_thousand_behind() -> None:
    deadlines: Deadlines[str] = Deadlines()
    for number in range(1_000):
        deadlines.set("a", float(number))
    assert len(deadlines._heap) < 100
    assert deadlines.take(998.0) is None
    assert deadlines.take(999.0) == "a"

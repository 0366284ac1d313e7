"""How long a sink waits before it tries again."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from actors.sinks.sink import UndeliveredError
from actors.sinks.sink_retry import BACKOFF_FIRST_S, SinkRetry

FAILED = UndeliveredError("no answer")
REFUSED = UndeliveredError("answered with 410", is_refused=True)


def retry(seed: int = 1) -> SinkRetry:
    return SinkRetry(backoff_most_s=60.0, pause_s=300.0, rng=random.Random(seed))


@given(st.integers(0, 100), st.integers(1, 200))
def test_full_jitter_stays_under_a_bound_that_doubles_up_to_the_setting(
    seed: int, failures: int
) -> None:
    waits = retry(seed)
    for number in range(failures):
        assert 0 <= waits.after(FAILED) <= min(60.0, BACKOFF_FIRST_S * 2.0**number)


@given(st.integers(0, 100))
def test_what_was_refused_waits_for_at_least_half_of_the_pause(seed: int) -> None:
    assert 150.0 <= retry(seed).after(REFUSED) <= 300.0


def test_nobody_asks_earlier_than_the_other_side_said() -> None:
    asked = UndeliveredError("answered with 429", retry_after_s=90.0)
    assert retry().after(asked) == 90.0


def test_success_forgives_all_failures_before_it() -> None:
    waits = retry()
    for _ in range(20):
        waits.after(FAILED)
    waits.succeeded()
    assert waits.after(FAILED) <= BACKOFF_FIRST_S

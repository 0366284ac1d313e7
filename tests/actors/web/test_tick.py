"""When the page's view of agents is renewed."""

from __future__ import annotations

import pytest

from actors.web.tick import QUIET_S, pause_after_s


@pytest.mark.parametrize(
    ("tick_s", "took_s", "is_awaited", "pause_s"),
    [
        (0.1, 0.03, True, 0.07),
        (0.1, 0.3, True, 0.0),  # a tick that took longer than one: at once
        (0.1, 0.05, False, QUIET_S - 0.05),
        (2.0, 0.5, False, 1.5),  # whoever wants it rarely is not served more often
    ],
)
def test_a_tick_that_nobody_awaits_comes_later(
    tick_s: float, took_s: float, *, is_awaited: bool, pause_s: float
) -> None:
    assert pause_after_s(tick_s, took_s, is_awaited=is_awaited) == pytest.approx(pause_s)

"""A wall clock that was set is not believed for a while, whichever way it went."""

from __future__ import annotations

import pytest

from runtime.clock import ManualClock
from runtime.settled_wall import ABSENT_US, JUMP_US, SETTLE_S, SettledWall

YEAR_US = 31_536_000_000_000


def settled(wall: SettledWall, clock: ManualClock) -> bool:
    return wall.is_settled(clock.now_s(), clock.wall_us())


@pytest.mark.parametrize("by_us", [10 * YEAR_US, -10 * YEAR_US, JUMP_US + 1, -JUMP_US - 1])
def test_a_clock_that_jumps_is_believed_again_after_it_has_stood_for_an_hour(by_us: int) -> None:
    clock = ManualClock(5.0)
    wall = SettledWall(clock.now_s(), clock.wall_us(), clock.wall_us())
    clock.advance(86_400.0)
    assert settled(wall, clock)
    clock.set_wall(clock.wall_us() + by_us)
    assert not settled(wall, clock)
    assert wall.moved_s == pytest.approx(by_us / 1e6)
    clock.advance(SETTLE_S - 1)
    assert not settled(wall, clock)
    clock.set_wall(clock.wall_us() - by_us)  # set right: that is a jump, too
    assert not settled(wall, clock)
    clock.advance(SETTLE_S)
    assert settled(wall, clock)


def test_a_clock_that_is_slewed_is_believed() -> None:
    clock = ManualClock()
    wall = SettledWall(clock.now_s(), clock.wall_us())
    for _ in range(100):
        clock.advance(60.0)
        clock.set_wall(clock.wall_us() + 30_000)
        assert settled(wall, clock)


@pytest.mark.parametrize(
    ("since_us", "is_believed"),
    [(0, True), (ABSENT_US, True), (ABSENT_US + 1, False), (-JUMP_US, True), (-YEAR_US, False)],
)
def test_a_start_compares_with_what_was_written_before(since_us: int, is_believed: bool) -> None:
    clock = ManualClock()
    wall = SettledWall(clock.now_s(), clock.wall_us(), clock.wall_us() - since_us)
    assert settled(wall, clock) == is_believed
    clock.advance(SETTLE_S)
    assert settled(wall, clock)


def test_a_first_start_has_nothing_to_compare_with() -> None:
    clock = ManualClock()
    assert settled(SettledWall(clock.now_s(), clock.wall_us()), clock)

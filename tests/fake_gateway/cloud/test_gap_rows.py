"""What a gap row accounts for, and what it does not."""

from __future__ import annotations

import pytest

from tools.fake_gateway.cloud.gap_rows import FLIGHT_US, RESTART, GapRow, GapRows

SINCE_US, UNTIL_US = 100_000_000, 130_000_000


@pytest.mark.parametrize(
    ("at_us", "is_covered"),
    [
        (SINCE_US - FLIGHT_US, True),
        (SINCE_US - FLIGHT_US - 1, False),
        (UNTIL_US, True),
        (UNTIL_US + 1, False),
    ],
)
def test_a_restart_accounts_for_what_was_under_way_to_its_own_journal_and_no_more(
    at_us: int, is_covered: bool
) -> None:
    rows = GapRows([GapRow("c0/0", SINCE_US, UNTIL_US, RESTART)])
    assert rows.cover_restart(at_us, "c0/0") is is_covered
    assert not rows.cover_restart(at_us, "c0/1")


def test_a_socket_that_was_lost_accounts_for_nothing_that_came_before_its_last_event() -> None:
    rows = GapRows([GapRow("c0/0", SINCE_US, UNTIL_US, "closed with 1006")])
    assert not rows.cover_restart(SINCE_US + 1, "c0/0")
    assert rows.cover(SINCE_US + 1, "c0/0")

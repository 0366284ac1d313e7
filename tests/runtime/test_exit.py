from __future__ import annotations

import pytest

from runtime.exit import Exit


@pytest.mark.parametrize(
    ("code", "says", "is_own"),
    [
        (0, "exited with 0", False),
        (1, "exited with 1", True),
        (3, "exited with 3", True),
        (75, "exited with 75 (temporary)", False),
        (78, "exited with 78 (configuration)", False),
        (-9, "was killed by SIGKILL", False),
        (-15, "was killed by SIGTERM", False),
        (-11, "was killed by SIGSEGV", True),
        (-6, "was killed by SIGABRT", True),
        (-7, "was killed by SIGBUS", True),
        (-40, "was killed by signal 40", False),
    ],
)
def test_an_exit_says_what_it_means_and_whose_doing_it_was(
    code: int, says: str, is_own: bool
) -> None:
    assert str(Exit(0.0, code)) == says
    assert Exit(0.0, code).is_own == is_own


def test_to_hang_is_ones_own_doing_although_a_sigkill_ended_it() -> None:
    assert Exit(0.0, -9, hung=True).is_own
    assert str(Exit(0.0, -9, hung=True)) == "hung"


@pytest.mark.parametrize(
    ("code", "place"),
    [
        (78, "child.failed"),
        (75, "child.failed"),
        (1, "child.failed or child.crashed"),
        (-11, "stderr: a stack"),
        (-9, "who sent it; of SIGKILL, the kernel's log"),
    ],
)
def test_an_end_says_where_its_cause_stands(code: int, place: str) -> None:
    assert Exit(0.0, code).told_in == place
    assert Exit(0.0, -9, hung=True).told_in == "child.hung"

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from runtime import crash_point
from runtime.errors import ConfigurationError


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    crash_point.arm("nobody", 1, None)


@pytest.fixture
def deaths(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    numbers: list[int] = []
    monkeypatch.setattr("os.kill", lambda _pid, number: numbers.append(number))
    return numbers


def pass_by(*points: str) -> None:
    for point in points:
        crash_point.crash_point(point)


def test_an_armed_point_kills_and_any_other_does_not(deaths: list[int]) -> None:
    crash_point.arm("shard-0", 1, "shard-0:after-commit")
    pass_by("before-commit", "after-publish")
    assert deaths == []
    pass_by("after-commit")
    assert deaths == [signal.SIGKILL]


def test_a_passage_may_be_named(deaths: list[int]) -> None:
    crash_point.arm("shard-0", 1, "shard-0:after-commit:3")
    pass_by("after-commit", "elsewhere", "after-commit")
    assert deaths == []
    pass_by("after-commit")
    assert deaths == [signal.SIGKILL]


@pytest.mark.parametrize(
    ("child", "generation", "wanted"),
    [
        ("shard-0", 1, None),
        ("shard-0", 1, ""),
        ("shard-0", 2, "shard-0:after-commit"),
        ("shard-1", 1, "shard-0:after-commit"),
        ("shard-0", 1, "shard-00:after-commit"),
    ],
)
def test_nobody_else_is_killed(
    deaths: list[int], child: str, generation: int, wanted: str | None
) -> None:
    crash_point.arm(child, generation, wanted)
    pass_by("after-commit", "after-commit")
    assert deaths == []


@pytest.mark.parametrize("wanted", ["shard-0", ":p", "shard-0:", "shard-0:p:0", "shard-0:p:x"])
def test_a_wish_that_could_crash_nothing_is_refused(wanted: str) -> None:
    with pytest.raises(ConfigurationError, match="PRESENCE_CRASH_AT"):
        crash_point.arm("shard-0", 1, wanted)


def test_the_death_is_a_real_one() -> None:
    code = (
        "from runtime import crash_point as c; c.arm('a', 1, 'a:b'); c.crash_point('b'); print('?')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"")

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
    crash_point.arm("nobody", 1, {})


def arm(child: str, generation: int, wanted: str) -> None:
    crash_point.arm(child, generation, {crash_point.VARIABLE: wanted})


@pytest.fixture
def deaths(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    numbers: list[int] = []
    monkeypatch.setattr("os.kill", lambda _pid, number: numbers.append(number))
    return numbers


def pass_by(*points: str) -> None:
    for point in points:
        crash_point.crash_point(point)


def test_an_armed_point_kills_and_any_other_does_not(deaths: list[int]) -> None:
    arm("shard-0", 1, "shard-0:after-commit")
    pass_by("before-commit", "after-publish")
    assert deaths == []
    pass_by("after-commit")
    assert deaths == [signal.SIGKILL]


def test_a_passage_may_be_named(deaths: list[int]) -> None:
    arm("shard-0", 1, "shard-0:after-commit:3")
    pass_by("after-commit", "elsewhere", "after-commit")
    assert deaths == []
    pass_by("after-commit")
    assert deaths == [signal.SIGKILL]


@pytest.mark.parametrize(
    ("child", "generation", "wanted"),
    [
        ("shard-0", 1, ""),
        ("shard-0", 2, "shard-0:after-commit"),
        ("shard-1", 1, "shard-0:after-commit"),
        ("shard-0", 1, "shard-00:after-commit"),
    ],
)
def test_nobody_else_is_killed(deaths: list[int], child: str, generation: int, wanted: str) -> None:
    arm(child, generation, wanted)
    pass_by("after-commit", "after-commit")
    assert deaths == []


@pytest.mark.parametrize("wanted", ["shard-0", ":p", "shard-0:", "shard-0:p:0", "shard-0:p:x"])
def test_a_wish_that_could_crash_nothing_is_refused(wanted: str) -> None:
    with pytest.raises(ConfigurationError, match="PRESENCE_CRASH_AT"):
        arm("shard-0", 1, wanted)


def test_the_death_is_a_real_one() -> None:
    code = (
        "from runtime import crash_point as c; c.arm('a', 1, {c.VARIABLE: 'a:b'});"
        "c.crash_point('b'); print('?')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"")
    assert done.stderr == b"crash point: a is killed at b\n"


def test_each_life_has_its_own_wish_until_none_is_left(deaths: list[int]) -> None:
    wanted = "shard-0:first,receiver-0:other,shard-0:second:2"
    arm("shard-0", 2, wanted)
    pass_by("first", "other", "second")
    assert deaths == []
    pass_by("second")
    assert deaths == [signal.SIGKILL]
    arm("shard-0", 3, wanted)
    pass_by("first", "second", "second")
    assert deaths == [signal.SIGKILL]


def test_poison_kills_in_every_life_whoever_handles_it() -> None:
    for child, generation in (("shard-0", 1), ("shard-1", 7)):
        crash_point.arm(child, generation, {crash_point.POISON_VARIABLE: "shard:raise:a:b"})
        crash_point.poison_point(lambda: b"{a}{b}")
        with pytest.raises(crash_point.PoisonError):
            crash_point.poison_point(lambda: b"{xa:by}")
    crash_point.arm("receiver-0", 1, {crash_point.POISON_VARIABLE: "shard:raise:a:b"})
    crash_point.poison_point(lambda: b"a:b")


def test_poison_may_be_a_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    aborted: list[bool] = []
    monkeypatch.setattr("os.abort", lambda: aborted.append(True))
    crash_point.arm("shard-0", 1, {crash_point.POISON_VARIABLE: "shard-0:abort:x"})
    with pytest.raises(crash_point.PoisonError):
        crash_point.poison_point(lambda: b"x")
    assert aborted == [True]


@pytest.mark.parametrize("value", ["shard-0", "shard-0:raise:", ":raise:x", "shard-0:faint:x"])
def test_poison_that_could_kill_nobody_is_refused(value: str) -> None:
    with pytest.raises(ConfigurationError, match="PRESENCE_POISON"):
        crash_point.arm("shard-0", 1, {crash_point.POISON_VARIABLE: value})

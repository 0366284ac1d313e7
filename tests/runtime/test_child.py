from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from runtime.child import Child
from runtime.counters import LOADED, STARTING, Counters


@pytest.fixture
def counters() -> Iterator[Counters]:
    yield (page := Counters.create("shard-0"))
    page.view.release()
    del page


def test_a_child_has_no_effect_beyond_its_page(counters: Counters) -> None:
    before = counters.snapshot()
    child = Child("shard-0", 3, counters)
    assert (child.name, child.generation, child.stopping) == ("shard-0", 3, False)
    assert counters.snapshot() == before


def test_a_beat_is_monotonic_time_and_cpu_since_the_first_life(counters: Counters) -> None:
    counters.set("cpu_ns", 5_000_000_000)  # of earlier generations
    child = Child("shard-0", 2, counters)
    before_ns, before_cpu_ns = time.monotonic_ns(), time.process_time_ns()
    child.beat()
    after_ns, after_cpu_ns = time.monotonic_ns(), time.process_time_ns()
    assert before_ns <= counters.get("beat_ns") <= after_ns
    assert before_cpu_ns <= counters.get("cpu_ns") - 5_000_000_000 <= after_cpu_ns


def test_a_beat_does_not_add_what_it_has_already_added(counters: Counters) -> None:
    child = Child("shard-0", 1, counters)
    for _ in range(1_000):
        child.beat()
    assert counters.get("cpu_ns") <= time.process_time_ns()


def test_a_change_of_phase_is_a_sign_of_life(counters: Counters) -> None:
    child = Child("shard-0", 1, counters)
    assert (counters.get("phase"), counters.get("beat_ns")) == (STARTING, 0)
    child.set_phase(LOADED)
    assert counters.get("phase") == LOADED
    assert counters.get("beat_ns") > 0


def test_the_wish_to_stop_reaches_each_callback_once(counters: Counters) -> None:
    child = Child("shard-0", 1, counters)
    heard: list[str] = []
    child.on_stop(lambda: heard.append("first"))
    child.on_stop(lambda: heard.append("second"))
    assert heard == []
    child.stop()
    child.stop()
    assert child.stopping
    assert heard == ["first", "second"]


def test_files_are_read_again_as_often_as_is_wished_until_the_end_comes(
    counters: Counters,
) -> None:
    child = Child("shard-0", 1, counters)
    read: list[str] = []
    child.reload()
    child.on_reload(lambda: read.append("secret"))
    child.reload()
    child.reload()
    child.stop()
    child.reload()
    assert read == ["secret", "secret"]


def test_a_callback_that_comes_after_the_wish_is_called_at_once(counters: Counters) -> None:
    child = Child("shard-0", 1, counters)
    child.stop()
    heard: list[str] = []
    child.on_stop(lambda: heard.append("late"))
    assert heard == ["late"]


def test_a_wish_that_interrupts_a_callback_runs_no_callback_twice(counters: Counters) -> None:
    child = Child("shard-0", 1, counters)
    heard: list[str] = []

    def interrupted() -> None:
        heard.append("first")
        child.stop()  # as a second SIGTERM between two bytecodes

    child.on_stop(interrupted)
    child.on_stop(lambda: heard.append("second"))
    child.stop()
    assert heard == ["first", "second"]


_IMPORT_ALL = """
import sys
from runtime.child import draw_nothing
draw_nothing()
import actors.shard.actor, actors.receiver.loop
print([name for name in sys.modules if name.startswith("rich.")])
"""


def test_a_child_imports_nothing_to_draw_with() -> None:
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            _IMPORT_ALL,
        ],
        capture_output=True,
        check=True,
        text=True,
    )
    assert told.stdout == "[]\n"

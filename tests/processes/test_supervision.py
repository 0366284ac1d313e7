"""A supervisor inside this process, with real children: death, silence, failure, drain."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runtime.child_spec import ChildSpec
from runtime.counters import LOADED
from runtime.errors import EXIT_CLEAN, EXIT_CONFIGURATION, EXIT_FAILURE, EXIT_TEMPORARY
from runtime.spawn import spawn
from runtime.supervisor import Supervisor
from tests.processes.facts import diary_lines, drive, drive_to_end, is_gone, pid_of, plays
from tests.processes.toys import Toy, toy_spec

Supervise = Callable[..., Supervisor]


# --- death and silence --------------------------------------------------------------------------


def test_a_killed_child_is_reaped_and_started_in_its_next_generation(
    supervise: Supervise, diary: Path
) -> None:
    specs = [toy_spec("shard-0", Toy(diary=diary)), toy_spec("shard-1", Toy(diary=diary))]
    supervisor = supervise(specs)
    drive(supervisor, lambda: all(plays(spec)() for spec in specs))
    victim, neighbour = pid_of(supervisor, "shard-0"), pid_of(supervisor, "shard-1")

    os.kill(victim, signal.SIGKILL)
    drive(supervisor, plays(specs[0], generation=2))

    assert is_gone(victim)
    assert specs[0].counters.get("pid") == pid_of(supervisor, "shard-0") != victim
    assert pid_of(supervisor, "shard-1") == neighbour
    assert supervisor.restarts == {"shard-0": 1, "shard-1": 0}


def test_a_child_that_stands_still_is_killed_reaped_and_replaced(
    supervise: Supervise, diary: Path
) -> None:
    spec = toy_spec("shard-0", Toy(diary=diary), beat_timeout_s=1.0)
    supervisor = supervise([spec])
    drive(supervisor, plays(spec))
    victim = pid_of(supervisor, "shard-0")

    os.kill(victim, signal.SIGSTOP)
    drive(supervisor, plays(spec, generation=2))

    assert is_gone(victim)
    assert supervisor.restarts == {"shard-0": 1}


def test_a_child_that_runs_but_does_not_beat_is_replaced(supervise: Supervise, diary: Path) -> None:
    spec = toy_spec("shard-0", Toy(diary=diary, ends={1: "silence"}), beat_timeout_s=1.0)
    supervisor = supervise([spec])
    drive(supervisor, plays(spec, generation=2))
    assert diary_lines(diary) == [
        "shard-0 set up",
        "shard-0 plays 1 after None",
        "shard-0 set up",
        "shard-0 plays 2 after hung",
    ]


def test_a_successor_learns_how_the_life_before_it_ended(supervise: Supervise, diary: Path) -> None:
    spec = toy_spec("shard-0", Toy(diary=diary, ends={1: "raise"}))
    supervisor = supervise([spec])
    drive(supervisor, plays(spec, generation=2))
    os.kill(pid_of(supervisor, "shard-0"), signal.SIGKILL)
    drive(supervisor, plays(spec, generation=3))
    lives = [line.partition(" after ")[2] for line in diary_lines(diary) if " plays " in line]
    assert lives == ["None", "exited with 1", "was killed by SIGKILL"]


def test_loading_may_take_longer_than_the_start_timeout_while_it_beats(
    supervise: Supervise, diary: Path
) -> None:
    spec = toy_spec(
        "shard-0", Toy(diary=diary), entry="load_slowly", start_timeout_s=0.9, beat_timeout_s=0.9
    )
    supervisor = supervise([spec])
    drive(supervisor, plays(spec))
    assert supervisor.restarts == {"shard-0": 0}


def test_a_child_waits_for_those_that_it_needs(supervise: Supervise, diary: Path) -> None:
    shard = toy_spec("shard-0", Toy(diary=diary), entry="load_slowly")
    receiver = toy_spec("receiver-0", Toy(diary=diary), needs=("shard-0",))
    supervisor = supervise([shard, receiver])
    drive(supervisor, lambda: shard.counters.get("generation") == 1)
    assert supervisor.pids["receiver-0"] is None
    drive(supervisor, plays(receiver))
    assert shard.counters.get("phase") >= LOADED


# --- how an entry ends is how the process ends ----------------------------------------------------


@pytest.mark.parametrize("how", ["fault", "raise", "return"])
def test_too_many_ends_stop_everything_with_a_reason_that_names_the_child(
    supervise: Supervise, diary: Path, how: str
) -> None:
    broken = toy_spec("shard-0", Toy(diary=diary, ends={0: how}), intensity=2)
    healthy = toy_spec("shard-1", Toy(diary=diary))
    supervisor = supervise([broken, healthy])
    assert drive_to_end(supervisor) == EXIT_FAILURE
    assert supervisor.reason == "shard-0 ended 3 times within 60 s; the last time it exited with 1"
    assert supervisor.restarts == {"shard-0": 2, "shard-1": 0}
    assert supervisor.pids == {"shard-0": None, "shard-1": None}


def test_an_entry_that_returns_uninvited_is_started_again(
    supervise: Supervise, diary: Path
) -> None:
    supervisor = supervise([toy_spec("web", Toy(diary=diary), entry="leave_at_once", intensity=1)])
    assert drive_to_end(supervisor) == EXIT_FAILURE
    assert "the last time it exited with 0" in supervisor.reason
    assert [line for line in diary_lines(diary) if "leaves" in line] == [
        "web leaves 1",
        "web leaves 2",
    ]


def test_wrong_configuration_is_never_restarted_and_ends_all_with_its_code(
    supervise: Supervise, diary: Path
) -> None:
    healthy = toy_spec("shard-0", Toy(diary=diary))
    broken = toy_spec("receiver-0", Toy(diary=diary, ends={0: "configuration"}), needs=("shard-0",))
    supervisor = supervise([healthy, broken])
    assert drive_to_end(supervisor) == EXIT_CONFIGURATION
    assert supervisor.reason == "receiver-0 exited with 78 (configuration)"
    assert supervisor.restarts == {"shard-0": 0, "receiver-0": 0}
    assert diary_lines(diary)[-1].startswith("shard-0 drained")


def test_a_temporary_failure_is_retried_after_its_delay_and_never_too_often(
    supervise: Supervise, diary: Path
) -> None:
    ends = dict.fromkeys((1, 2, 3, 4), "temporary")
    spec = toy_spec("receiver-0", Toy(diary=diary, ends=ends), intensity=0, temporary_delay_s=0.2)
    supervisor = supervise([spec])
    drive(supervisor, plays(spec, generation=5))


def test_a_failed_entry_ends_its_process_whatever_its_threads_do(
    supervise: Supervise, diary: Path
) -> None:
    spec = toy_spec("shard-0", Toy(diary=diary, ends={1: "raise"}), entry="fail_beside_a_thread")
    supervisor = supervise([spec])
    drive(supervisor, plays(spec, generation=2))
    supervisor.request_stop("enough")
    assert drive_to_end(supervisor) == EXIT_CLEAN


def test_what_cannot_even_be_spawned_counts_as_an_end(
    supervise: Supervise, diary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    supervisor = supervise([toy_spec("shard-0", Toy(diary=diary), intensity=3)])
    assert drive_to_end(supervisor) == EXIT_FAILURE
    assert supervisor.reason.startswith("shard-0 ended 4 times")


def test_a_module_that_cannot_be_imported_is_a_crash_like_any_other(
    supervise: Supervise, diary: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    spec = toy_spec("shard-0", Toy(diary=diary), entry="no_such_game", intensity=0)
    supervisor = supervise([spec])
    assert drive_to_end(supervisor) == EXIT_FAILURE
    assert "no_such_game" in capfd.readouterr().out


# --- stopping -----------------------------------------------------------------------------------


def tree(diary: Path, **fields: Any) -> list[ChildSpec]:
    return [
        toy_spec("web", Toy(diary=diary)),
        toy_spec("shard-0", Toy(diary=diary, drain_s=0.05)),
        toy_spec("shard-1", Toy(diary=diary, drain_s=0.05)),
        toy_spec(
            "receiver-0", Toy(diary=diary, drain_s=0.1), needs=("shard-0", "shard-1"), **fields
        ),
    ]


def told_and_drained(diary: Path) -> list[str]:
    lines = [line.split()[:2] for line in diary_lines(diary)]
    return [" ".join(words) for words in lines if words[1] in ("told", "drained")]


def test_a_stop_drains_role_by_role_upstream_first(supervise: Supervise, diary: Path) -> None:
    specs = tree(diary)
    supervisor = supervise(specs)
    drive(supervisor, lambda: all(plays(spec)() for spec in specs))
    supervisor.request_stop("test")
    assert drive_to_end(supervisor) == EXIT_CLEAN
    assert supervisor.reason == "test"
    order = told_and_drained(diary)
    assert order[:2] == ["receiver-0 told", "receiver-0 drained"]
    assert sorted(order[2:6]) == [
        "shard-0 drained",
        "shard-0 told",
        "shard-1 drained",
        "shard-1 told",
    ]
    assert order[6:] == ["web told", "web drained"]


def test_a_reader_killed_in_a_drain_comes_back_to_drain_as_well(
    supervise: Supervise, diary: Path
) -> None:
    shard = toy_spec("shard-0", Toy(diary=diary))
    receiver = toy_spec("receiver-0", Toy(diary=diary, drain_s=0.5))
    supervisor = supervise([shard, receiver])
    drive(supervisor, lambda: plays(shard)() and plays(receiver)())
    supervisor.request_stop("test")
    drive(supervisor, lambda: "receiver-0 told" in diary_lines(diary))
    os.kill(pid_of(supervisor, "shard-0"), signal.SIGKILL)
    assert drive_to_end(supervisor) == EXIT_CLEAN
    assert supervisor.restarts == {"shard-0": 1, "receiver-0": 0}
    assert told_and_drained(diary)[-1] == "shard-0 drained"


def test_a_child_told_in_its_first_milliseconds_drains_like_any_other(
    supervise: Supervise, diary: Path
) -> None:
    supervisor = supervise([toy_spec("shard-0", Toy(diary=diary))])
    supervisor.request_stop("at once")
    assert drive_to_end(supervisor) == EXIT_CLEAN
    assert told_and_drained(diary) == ["shard-0 told", "shard-0 drained"]


def test_a_child_that_will_not_drain_is_killed_at_the_deadline(
    supervise: Supervise, diary: Path
) -> None:
    shard = toy_spec("shard-0", Toy(diary=diary))
    stubborn = toy_spec("receiver-0", Toy(diary=diary), entry="be_stubborn")
    supervisor = supervise([shard, stubborn], drain_s=0.5)
    drive(supervisor, lambda: plays(shard)() and plays(stubborn)())
    pids = [pid_of(supervisor, name) for name in ("shard-0", "receiver-0")]
    supervisor.request_stop("test")
    assert drive_to_end(supervisor) == EXIT_FAILURE
    assert "receiver-0 was killed by SIGKILL" in supervisor.reason
    assert diary_lines(diary).count("receiver-0 told") == 1
    assert all(is_gone(pid) for pid in pids)


def test_a_receiver_that_stands_still_in_a_drain_does_not_cost_the_shards_theirs(
    supervise: Supervise, diary: Path
) -> None:
    shard = toy_spec("shard-0", Toy(diary=diary))
    receiver = toy_spec("receiver-0", Toy(diary=diary))
    supervisor = supervise([shard, receiver], drain_s=6.0)
    drive(supervisor, lambda: plays(shard)() and plays(receiver)())
    os.kill(pid_of(supervisor, "receiver-0"), signal.SIGSTOP)
    supervisor.request_stop("test")
    assert drive_to_end(supervisor) == EXIT_FAILURE
    assert supervisor.reason == "test, but not drained: receiver-0 was killed by SIGKILL"
    assert told_and_drained(diary) == ["shard-0 told", "shard-0 drained"]


def test_an_embedder_that_fails_leaves_no_child_behind(diary: Path) -> None:
    spec = toy_spec("shard-0", Toy(diary=diary), entry="be_stubborn")
    supervisor = Supervisor([spec])
    pids = []

    def embed() -> None:
        with supervisor:
            supervisor.start()
            drive(supervisor, plays(spec))
            pids.append(pid_of(supervisor, "shard-0"))
            raise KeyError("the embedder")

    with pytest.raises(KeyError, match="the embedder"):
        embed()
    assert is_gone(pids[0])
    assert supervisor.finished
    assert supervisor.exit_code == EXIT_FAILURE
    supervisor.request_stop("too late")  # harmless
    supervisor.step(0.0)


def test_a_stop_may_be_asked_for_in_any_thread_and_wakes_the_supervisor(
    supervise: Supervise, diary: Path
) -> None:
    spec = toy_spec("shard-0", Toy(diary=diary))
    supervisor = supervise([spec])
    drive(supervisor, plays(spec))
    thread = threading.Thread(target=supervisor.request_stop, args=("elsewhere",))
    thread.start()
    assert drive_to_end(supervisor) == EXIT_CLEAN
    thread.join()
    assert supervisor.reason == "elsewhere"


def test_a_stop_may_be_asked_for_with_another_exit_code(supervise: Supervise, diary: Path) -> None:
    spec = toy_spec("shard-0", Toy(diary=diary))
    supervisor = supervise([spec])
    drive(supervisor, plays(spec))
    supervisor.request_stop("a file is gone", EXIT_TEMPORARY)
    assert drive_to_end(supervisor) == EXIT_TEMPORARY
    assert supervisor.reason == "a file is gone"
    assert told_and_drained(diary) == ["shard-0 told", "shard-0 drained"]


def test_spawning_from_another_thread_is_our_mistake(diary: Path) -> None:
    # The child would die with that thread.
    failures: list[BaseException] = []

    def attempt() -> None:
        try:
            spawn(toy_spec("shard-0", Toy(diary=diary)), 1)
        except AssertionError as error:
            failures.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    assert [str(failure) for failure in failures] == ["spawn must be called from the main thread"]

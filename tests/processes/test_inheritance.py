"""What a child is born with: its descriptors and its belongings, and nothing else."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.block import Block
from runtime.supervisor import Supervisor
from tests.processes.facts import (
    diary_lines,
    drive,
    drive_to_end,
    open_fds,
    pid_of,
    plays,
    title,
)
from tests.processes.toys import Toy, toy_spec

Supervise = Callable[..., Supervisor]

SECRET = "s3cr3t-that-nobody-shall-read"


def test_processes_are_titled_for_people(supervise: Supervise, diary: Path) -> None:
    spec = toy_spec("shard-3", Toy(diary=diary), title="presence-runtime: shard-3 [blue]")
    supervisor = supervise([spec])
    drive(supervisor, plays(spec))
    assert title(pid_of(supervisor, "shard-3")) == "presence-runtime: shard-3 [blue]"


def test_a_secret_reaches_the_child_but_neither_its_argv_nor_its_environment(
    supervise: Supervise, diary: Path
) -> None:
    toy = Toy(diary=diary, secret=SECRET)
    spec = toy_spec("receiver-0", toy, setup_arguments=diary)
    supervisor = supervise([spec])
    # From its very first moment, when the title is not yet set.
    process = Path(f"/proc/{pid_of(supervisor, 'receiver-0')}")
    seen = b""
    while not plays(spec)():
        seen += process.joinpath("cmdline").read_bytes() + process.joinpath("environ").read_bytes()
        supervisor.step(0.001)
    seen += process.joinpath("cmdline").read_bytes() + process.joinpath("environ").read_bytes()
    assert b"runtime.child" in seen
    assert SECRET.encode() not in seen
    supervisor.request_stop("test")
    drive_to_end(supervisor)
    assert f"secret={len(SECRET)}" in diary_lines(diary)[-1]


def test_children_may_be_given_another_environment_than_ours(
    supervise: Supervise, diary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENESYS_SECRET", SECRET)
    spec = toy_spec("receiver-0", Toy(diary=diary))
    environment = {name: value for name, value in os.environ.items() if name != "GENESYS_SECRET"}
    supervisor = supervise([spec], environment=environment)
    environ = Path(f"/proc/{pid_of(supervisor, 'receiver-0')}/environ")
    assert SECRET.encode() not in environ.read_bytes()
    drive(supervisor, plays(spec))


def test_a_child_inherits_its_own_descriptors_and_no_others(
    supervise: Supervise, diary: Path
) -> None:
    own, foreign = Block.create("own", 4096), Block.create("foreign", 4096)
    spec = toy_spec("shard-0", Toy(diary=diary, blocks=(own,)), entry="look_around")
    other = toy_spec("shard-1", Toy(diary=diary, blocks=(foreign,)))
    supervisor = supervise([other, spec])
    drive(supervisor, lambda: plays(spec)() and plays(other)())
    (line,) = (line for line in diary_lines(diary) if line.startswith("fds"))
    fds: dict[str, str] = json.loads(line.removeprefix("fds "))
    assert fds[str(own.fds[0])] == "/memfd:own (deleted)"
    assert fds[str(spec.counters.fds[0])] == "/memfd:shard-0 (deleted)"
    # mmap holds a duplicate of each; but nothing foreign, and no envelope, is among them.
    beyond_stdio = {name for number, name in fds.items() if int(number) > 2}
    assert beyond_stdio == {"/memfd:own (deleted)", "/memfd:shard-0 (deleted)"}
    assert fds["0"] == "/dev/null"
    foreign.close()
    own.close()


def test_a_child_is_its_own_session_deaf_to_ctrl_c_and_blocks_no_signal(
    supervise: Supervise, diary: Path
) -> None:
    spec = toy_spec("shard-0", Toy(diary=diary), entry="look_around")
    drive(supervise([spec]), plays(spec))
    lines = diary_lines(diary)
    assert {"session True", "sigint ignored True", "blocked []"} <= set(lines)


def test_many_restarts_leak_no_descriptor(supervise: Supervise, diary: Path) -> None:
    spec = toy_spec("shard-0", Toy(diary=diary))
    before = open_fds()
    supervisor = supervise([spec])
    drive(supervisor, plays(spec))
    running = open_fds()
    for generation in range(2, 14):
        os.kill(pid_of(supervisor, "shard-0"), signal.SIGKILL)
        drive(supervisor, plays(spec, generation))
        assert open_fds() == running
    supervisor.request_stop("test")
    drive_to_end(supervisor)
    supervisor.close()
    assert open_fds() == before


def test_large_belongings_do_not_block(supervise: Supervise, diary: Path) -> None:
    spec = toy_spec("shard-0", Toy(diary=diary, ballast=bytes(32 << 20)))
    supervisor = supervise([spec])
    drive(supervisor, plays(spec))
    supervisor.request_stop("test")
    drive_to_end(supervisor)
    assert f"ballast={32 << 20}" in diary_lines(diary)[-1]


def test_a_child_finds_the_packages_that_we_have_found_wherever_we_stand(
    supervise: Supervise, diary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoy = tmp_path / "runtime"
    decoy.mkdir()
    decoy.joinpath("__init__.py").write_text("raise SystemExit('the wrong runtime')")
    monkeypatch.chdir(tmp_path)
    spec = toy_spec("shard-0", Toy(diary=diary))
    drive(supervise([spec]), plays(spec))


def test_a_relative_path_of_ours_means_the_same_to_a_child(
    supervise: Supervise, diary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As with `python -c` or a prompt, where the first entry is the empty string.
    monkeypatch.chdir(Path(__file__).parents[2])
    elsewhere = [entry for entry in sys.path if Path(entry).absolute() != Path.cwd()]
    monkeypatch.setattr(sys, "path", ["", *elsewhere])
    spec = toy_spec("shard-0", Toy(diary=diary))
    drive(supervise([spec]), plays(spec))


def test_its_log_is_set_up_before_anything_of_its_own_is_imported(
    supervise: Supervise, diary: Path
) -> None:
    spec = toy_spec("shard-0", Toy(diary=diary), entry="no_such_game", intensity=0)
    drive_to_end(supervise([spec]))
    assert diary_lines(diary) == ["shard-0 set up"]


@pytest.mark.parametrize(
    "expected",
    [
        ("fault", "child.failed", '"error": "the toy box is full"'),
        ("raise", "child.crashed", "ValueError: this toy is broken"),
    ],
)
def test_an_expected_failure_is_one_line_and_any_other_a_traceback_without_locals(
    supervise: Supervise,
    diary: Path,
    capfd: pytest.CaptureFixture[str],
    expected: tuple[str, str, str],
) -> None:
    how, event, words = expected
    toy = Toy(diary=diary, ends={1: how}, secret=SECRET)
    drive_to_end(supervise([toy_spec("shard-0", toy, intensity=0)]))
    out = capfd.readouterr().out
    (line,) = (line for line in out.splitlines() if f'"event": "{event}"' in line)
    assert words in line
    assert '"child": "shard-0"' in line
    assert ("Traceback" in line) == (how == "raise")
    assert SECRET not in out


def test_cpu_adds_up_over_all_lives(supervise: Supervise, diary: Path) -> None:
    spec = toy_spec("shard-0", Toy(diary=diary, burn_s=0.1))
    supervisor = supervise([spec])
    drive(supervisor, plays(spec))
    first_ns = spec.counters.get("cpu_ns")
    assert first_ns >= 100_000_000
    os.kill(pid_of(supervisor, "shard-0"), signal.SIGKILL)
    drive(supervisor, plays(spec, generation=2))
    assert spec.counters.get("cpu_ns") >= first_ns + 100_000_000


def test_a_crash_point_kills_the_first_generation_only(supervise: Supervise, diary: Path) -> None:
    spec = toy_spec("shard-0", Toy(diary=diary))
    other = toy_spec("shard-1", Toy(diary=diary))
    environment = {**os.environ, "PRESENCE_CRASH_AT": "shard-0:after-beat:3"}
    supervisor = supervise([spec, other], environment=environment)
    drive(supervisor, lambda: plays(spec, generation=2)() and plays(other)())
    beats = spec.counters.get("beat_ns")
    drive(supervisor, lambda: spec.counters.get("beat_ns") > beats + 200_000_000)
    assert supervisor.restarts == {"shard-0": 1, "shard-1": 0}

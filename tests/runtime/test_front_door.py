from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from runtime import errors
from runtime.__main__ import EXIT_CONFIGURATION, complaint, main, missing


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("version", [(3, 11, 0), (3, 12, 1), (3, 14, 10)])
def test_a_fitting_machine_gives_no_complaint(version: tuple[int, ...], machine: str) -> None:
    assert complaint(version, "Linux", machine) is None


@pytest.mark.parametrize(
    ("version", "system", "machine", "names"),
    [
        ((3, 10, 14), "Linux", "x86_64", ["3.11", "3.10.14"]),
        ((2, 7, 18), "Linux", "x86_64", ["3.11", "2.7.18"]),
        ((3, 15, 0), "Linux", "x86_64", ["3.14", "3.15.0"]),
        ((4, 0, 0), "Linux", "x86_64", ["3.14", "4.0.0"]),
        ((3, 11, 7), "Darwin", "arm64", ["Linux", "Darwin", "arm64"]),
        ((3, 11, 7), "Windows", "AMD64", ["Linux", "Windows", "AMD64"]),
        ((3, 11, 7), "Linux", "armv7l", ["x86_64", "aarch64", "armv7l"]),
    ],
)
def test_a_machine_that_does_not_fit_is_told_why_in_one_line(
    version: tuple[int, ...], system: str, machine: str, names: list[str]
) -> None:
    line = complaint(version, system, machine)
    assert line is not None
    assert "\n" not in line
    assert all(name in line for name in names)


def test_a_free_threaded_build_is_refused_with_a_word() -> None:
    line = complaint((3, 14, 0), "Linux", "x86_64", free_threaded=True)
    assert line is not None
    assert "\n" not in line
    assert "free-threaded" in line


def test_a_compiled_module_that_is_missing_is_named_with_how_to_build_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "actors.main", None)  # what an import then says is the same
    assert main() == EXIT_CONFIGURATION == errors.EXIT_CONFIGURATION
    assert capsys.readouterr().err.count("\n") == 1
    line = missing(ModuleNotFoundError("No module named 'runtime.ring'", name="runtime.ring"))
    assert "runtime.ring" in line
    assert "make build" in line


def test_a_foreign_package_that_is_missing_is_named_as_such() -> None:
    assert "'pykka' is not installed" in missing(ModuleNotFoundError("no", name="pykka"))


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
def test_a_closed_standard_stream_is_no_file_of_ours(closed: str, tmp_path: Path) -> None:
    # What is opened first must not get the number of a stream: a line would go into a journal.
    said = tmp_path / "said"
    program = (
        "from runtime.__main__ import settle_in; settle_in(); import os, sys;"
        "first = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT, 0o666);"
        "print('out'); print('err', file=sys.stderr); sys.stdin.read();"
        "sys.exit(0 if first > 2 and not sys.stdout.isatty() else 1)"
    )
    shell = f'exec "$0" -c "$1" "$2" {closed}'
    done = subprocess.run(
        ["/bin/sh", "-c", shell, sys.executable, program, said],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert said.read_bytes() == b""
    assert said.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_command_with_closed_streams_does_its_work(closed: str) -> None:
    shell = f'exec "$0" -m runtime --version {closed}'
    done = subprocess.run(["/bin/sh", "-c", shell, sys.executable], capture_output=True, check=True)
    assert done.stderr == b""


def test_what_the_command_line_returns_is_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    class CommandLine:
        answer: int | None = None

        @classmethod
        def main(cls) -> int | None:
            return cls.answer

    monkeypatch.setitem(sys.modules, "actors.main", CommandLine)
    for CommandLine.answer, exit_code in ((None, 0), (0, 0), (75, 75)):
        assert main() == exit_code

from __future__ import annotations

import sys

import pytest

from runtime import errors
from runtime.__main__ import EXIT_CONFIGURATION, complaint, main, missing


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("version", [(3, 11, 0), (3, 12, 1), (4, 0, 0)])
def test_a_fitting_machine_gives_no_complaint(version: tuple[int, ...], machine: str) -> None:
    assert complaint(version, "Linux", machine) is None


@pytest.mark.parametrize(
    ("version", "system", "machine", "names"),
    [
        ((3, 10, 14), "Linux", "x86_64", ["3.11", "3.10.14"]),
        ((2, 7, 18), "Linux", "x86_64", ["3.11", "2.7.18"]),
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


def test_a_compiled_module_that_is_missing_is_named_with_how_to_build_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "actors.cli", None)  # what an import then says is the same
    assert main() == EXIT_CONFIGURATION == errors.EXIT_CONFIGURATION
    assert capsys.readouterr().err.count("\n") == 1
    line = missing(ModuleNotFoundError("No module named 'runtime.ring'", name="runtime.ring"))
    assert "runtime.ring" in line
    assert "make build" in line


def test_a_foreign_package_that_is_missing_is_named_as_such() -> None:
    assert "'pykka' is not installed" in missing(ModuleNotFoundError("no", name="pykka"))


def test_what_the_command_line_returns_is_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    class CommandLine:
        answer: int | None = None

        @classmethod
        def main(cls) -> int | None:
            return cls.answer

    monkeypatch.setitem(sys.modules, "actors.cli", CommandLine)
    for CommandLine.answer, exit_code in ((None, 0), (0, 0), (75, 75)):
        assert main() == exit_code

"""Folders that come before what is installed: told apart, in real interpreters."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.errors import EXIT_CONFIGURATION

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(sys.executable).with_name("presence-runtime")
OUTSIDE = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


def run(
    *command: str | Path, cwd: Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(each) for each in command],
        cwd=cwd,
        env=OUTSIDE if environment is None else environment,
        capture_output=True,
        text=True,
        check=False,
    )


def front_door(
    cwd: Path, *options: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    module = [sys.executable, *options, "-m", "runtime", "--version"]
    return run(*module, cwd=cwd, environment=environment)


@pytest.fixture(params=["built", "not built"])
def clone(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Another clone than the installed one, with its extensions or without."""
    folder = tmp_path / "clone"
    without = ("__pycache__",) if request.param == "built" else ("__pycache__", "*.so")
    for name in ("runtime", "actors", "tools"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns(*without))
    return folder


@pytest.fixture(params=["package", "folder"])
def foreign(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Somebody else's project, which happens to have our names."""
    folder = tmp_path / "foreign"
    for name in ("actors", "tools"):
        (folder / name).mkdir(parents=True)
        if request.param == "package":
            (folder / name / "__init__.py").write_text("raise SystemExit('the wrong one')\n")
    return folder


def is_built(clone: Path) -> bool:
    return any(clone.glob("runtime/*.so"))


def test_a_clone_before_what_is_installed_is_named_with_what_to_type(clone: Path) -> None:
    done = front_door(clone)
    assert done.stderr.count("\n") == 1
    assert f"{clone / 'runtime'} shadows the installed {ROOT / 'runtime'}" in done.stderr
    assert "presence-runtime` instead of `python -m runtime`" in done.stderr
    # One that has its extensions would run: that is said, and done.
    assert done.returncode == (0 if is_built(clone) else EXIT_CONFIGURATION)
    assert ("warning" in done.stderr) is is_built(clone)


def test_the_console_script_runs_what_is_installed(clone: Path, foreign: Path) -> None:
    for folder in (clone, foreign):
        done = run(SCRIPT, "--version", cwd=folder)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_safe_path_runs_what_is_installed(clone: Path) -> None:
    assert front_door(clone, "-P").stderr == ""


def test_a_folder_with_one_of_our_names_is_told_from_ours(foreign: Path) -> None:
    done = front_door(foreign)
    assert done.returncode == EXIT_CONFIGURATION
    assert done.stderr.count("\n") == 1
    assert f"{foreign / 'actors'} shadows {ROOT / 'actors'}" in done.stderr


def test_a_clone_in_pythonpath_is_told_to_be_taken_out(clone: Path) -> None:
    environment = OUTSIDE | {"PYTHONPATH": str(clone)}
    done = front_door(Path("/"), environment=environment)
    assert f"remove {clone} from PYTHONPATH" in done.stderr
    if not is_built(clone):
        done = run(SCRIPT, "--version", cwd=Path("/"), environment=environment)
        assert f"remove {clone} from PYTHONPATH" in done.stderr


def test_the_installed_one_in_its_own_folder_says_nothing() -> None:
    assert front_door(ROOT).stderr == ""

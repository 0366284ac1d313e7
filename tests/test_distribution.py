"""The distribution: what is built out of a clone, what is in it, and that it runs wherever it is
installed and whatever folder one is in.
"""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

from runtime.__main__ import PYTHON_BELOW, PYTHON_MIN
from runtime.errors import EXIT_CONFIGURATION
from tests.actors.demo.test_main import verified

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PYTHONS = [f"3.{minor}" for minor in range(PYTHON_MIN[1], PYTHON_BELOW[1])]
BUILD_S = 900
"""Twice the extensions of a machine that others use."""


def run(*command: str | Path, cwd: Path, ok: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    done = subprocess.run(
        [str(each) for each in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not ok or done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done


def clone_to(folder: Path) -> Path:
    """As it is before anything is built: no extension, and nothing that Cython has made."""
    ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.c")
    for name in ("runtime", "actors", "tools", "deploy", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for path in ROOT.iterdir():
        if path.is_file() and path.suffix in {".toml", ".py", ".md", ".in", ""}:
            shutil.copy2(path, folder / path.name)
    return folder


def environment_with(wheel: Path, home: Path) -> Path:
    """The folder of its programs. It has the wheel and nothing else of the clone: dependencies come
    from our environment, whose editable installation of the project is left behind."""
    venv.create(home, with_pip=False, symlinks=True)
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--python",
        home / "bin/python",
    ]
    run(*pip, "install", "--no-deps", "--no-index", wheel, cwd=home)
    (packages,) = home.glob("lib/python3*/site-packages")
    ours = next(path for path in sys.path if path.endswith("site-packages"))
    (packages / "dependencies.pth").write_text(f"{ours}\n")
    return home / "bin"


def foreign_project(folder: Path) -> Path:
    for name in ("runtime", "actors", "tools"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("raise SystemExit('the wrong one')\n")
    return folder


def names_in(archive: Path) -> set[str]:
    if archive.suffix == ".whl":
        return set(zipfile.ZipFile(archive).namelist())
    with tarfile.open(archive) as opened:
        return {name.partition("/")[2] for name in opened.getnames()}


def ends(names: set[str], *suffixes: str) -> list[str]:
    return sorted(name for name in names if name.endswith(suffixes))


@pytest.mark.timeout(BUILD_S)
def test_the_wheel_of_the_source_distribution_runs_in_any_folder(tmp_path: Path) -> None:
    clone = clone_to(tmp_path / "clone")
    # The wheel is built out of the source distribution, as an index would have it.
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path, cwd=clone)
    (source,), (wheel,) = tmp_path.glob("*.tar.gz"), tmp_path.glob("*.whl")
    check_source(names_in(source), clone)
    check_wheel(wheel)

    programs = environment_with(wheel, tmp_path / "venv")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for folder in (elsewhere, foreign_project(tmp_path / "foreign"), clone):
        version = run(programs / "presence-runtime", "--version", cwd=folder)
        assert version.stdout.strip() == PYPROJECT["project"]["version"]
        told = folder / "out.json"
        load = ("--agents", "200", "--rate", "500", "--seconds", "3", "--json", told)
        verified(run(programs / "presence-runtime", "demo", *load, cwd=folder), told)

    shadowed = run(programs / "python", "-m", "runtime", "demo", cwd=clone, ok=False)
    assert shadowed.returncode == EXIT_CONFIGURATION
    assert f"{clone / 'runtime'} shadows the installed {tmp_path / 'venv'}" in shadowed.stderr


def check_source(names: set[str], clone: Path) -> None:
    wanted = {
        path.relative_to(clone).as_posix()
        for folder in ("runtime", "actors", "tools", "deploy", "docs")
        for path in (clone / folder).rglob("*")
        if path.is_file() and path.suffix != ".sh" and path.name != "screenshot.py"
    }
    wanted |= {"pyproject.toml", "setup.py", "README.md", "LICENSE", "CHANGELOG.md"}
    assert sorted(wanted - names) == []
    assert ends(names, ".c", ".so", ".pyc") == []


def check_wheel(wheel: Path) -> None:
    names = names_in(wheel)
    extensions = runpy.run_path(str(ROOT / "setup.py"))["extensions"](ROOT)
    built = {each.name.replace(".", "/") for each in extensions}
    assert {name.partition(".")[0] for name in ends(names, ".so")} == built
    assert ends(names, ".pyx", ".pxd", ".c", ".sh") == []
    static = {f"actors/web/static/{path.name}" for path in ROOT.glob("actors/web/static/*")}
    assert static <= names
    # Debugger's tables would be two thirds of it.
    sizes = {each.filename: each.file_size for each in zipfile.ZipFile(wheel).infolist()}
    assert sum(size for name, size in sizes.items() if name.endswith(".so")) < 8_000_000
    assert ".debug_info" not in zipfile.ZipFile(wheel).read(ends(names, ".so")[0]).decode("latin-1")


def test_the_same_pythons_are_named_everywhere() -> None:
    project = PYPROJECT["project"]
    least, below = (".".join(map(str, version)) for version in (PYTHON_MIN, PYTHON_BELOW))
    assert project["requires-python"] == f">={least},<{below}"
    classifiers = [each.rpartition(" :: ")[2] for each in project["classifiers"] if ":: 3." in each]
    assert classifiers == PYTHONS
    machine = (ROOT / "tools" / "machine.sh").read_text()
    assert re.findall(r'^wanted="(.*)"$', machine, re.MULTILINE) == [" ".join(PYTHONS)]
    checked = (ROOT / ".ci" / "run").read_text()
    assert re.findall(r'^readonly VERSIONS="(.*)"$', checked, re.MULTILINE) == [" ".join(PYTHONS)]
    said = f"Python {PYTHONS[0]} to {PYTHONS[-1]}"
    assert said in (ROOT / "README.md").read_text()
    assert said in (ROOT / "Makefile").read_text()
    wheels = PYPROJECT["tool"]["cibuildwheel"]["build"]
    assert {each.partition("-")[0] for each in wheels} == {
        f"cp{each.replace('.', '')}" for each in PYTHONS
    }
    assert PYPROJECT["tool"]["mypy"]["python_version"] == least
    assert PYPROJECT["tool"]["ruff"]["target-version"] == f"py{least.replace('.', '')}"


def test_the_machine_that_is_looked_at_names_a_python_that_fits() -> None:
    found = run("sh", ROOT / "tools" / "machine.sh", cwd=ROOT).stdout.strip()
    said = run(found, "-c", "import sys; print('%d.%d' % sys.version_info[:2])", cwd=ROOT).stdout
    assert said.strip() in PYTHONS


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("3.10", "is 3.10"),
        ("3.15", "is 3.15"),
        ("3.14 free-threaded", "is 3.14 free-threaded"),
        ("", "is no Python that runs"),
    ],
)
def test_a_python_that_is_named_and_does_not_fit_is_refused(
    answer: str, told: str, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n[ -n '{answer}' ] && echo '{answer}'\n")
    python.chmod(0o755)
    done = run("env", f"PYTHON={python}", "sh", ROOT / "tools/machine.sh", cwd=ROOT, ok=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert told in done.stderr


def bare_machine(folder: Path, manager: str) -> Path:
    """Programs of a machine that has a Python without venv and headers, no compiler, no root."""
    folder.mkdir()
    for name in ("sh", "uname", "sed", "grep"):
        (folder / name).symlink_to(str(shutil.which(name)))
    python = "*version_info*) echo 3.13 ;; *ensurepip*) exit 1 ;; *) echo / ;;"
    answers = {manager: "exit 1", "id": "echo 1000", "python": f'case "$2" in {python} esac'}
    for name, text in answers.items():
        (folder / name).write_text(f"#!{shutil.which('sh')}\n{text}\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("manager", "command", "packages"),
    [
        ("apt-get", "sudo apt-get install", {"python3-venv", "python3-dev", "gcc"}),
        ("dnf", "sudo dnf install", {"python3-devel", "gcc"}),
    ],
)
def test_all_that_a_machine_lacks_is_one_command(
    manager: str, command: str, packages: set[str], tmp_path: Path
) -> None:
    programs = bare_machine(tmp_path / "bin", manager)
    variables = (f"PATH={programs}", f"PYTHON={programs / 'python'}")
    done = run("env", *variables, "sh", ROOT / "tools/machine.sh", cwd=ROOT, ok=False)
    assert (done.returncode, done.stdout) == (1, "")
    explained, pasted = done.stderr.splitlines()
    assert "3.11 3.12 3.13 3.14" in explained
    assert command in pasted
    # Named with its version, unless it is the one of the distribution.
    assert packages <= set(pasted.replace("python3.13", "python3").split())

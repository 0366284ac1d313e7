"""The steps of docs/operations.md from an empty machine to the service, as they are written.

What only root on such a machine can do (packages, systemd) and what takes a minute (compiling) is
left out; everything else runs, with its paths below a scratch root.
"""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from actors.web import tokens
from actors.web.identity import AccessScope
from tests.deploy.operations_page import PAGE
from tests.deploy.test_unit import UNIT, values

ROOT = PAGE.parents[1]
ELSEWHERE = ("apt-get ", "systemctl ", "journalctl ")
CONNECTS = "--online"
INSTALLS = "/opt/presence/venv/bin/pip install --require-hashes "
COMPILES = "/opt/presence/venv/bin/pip install --no-deps --no-build-isolation ."
ABSOLUTE = re.compile(r"(?<![^ =])/(?=opt/|etc/|var/)")


def steps(name: str) -> list[str]:
    """The commands of one block of the page."""
    found = re.search(
        rf"<!-- steps: {name} -->\n```sh\n(.*?)```\n<!-- steps: end", page(), re.DOTALL
    )
    assert found, f"no steps: {name}"
    return found[1].splitlines()


def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def run(lines: list[str], root: Path) -> str:
    """The lines in one shell, from the clone, as a user whose files nobody else may read."""
    left_out = (*ELSEWHERE, INSTALLS)
    here = [line for line in lines if not line.startswith(left_out) and CONNECTS not in line]
    script = "\n".join(["umask 077", *(under(root, line) for line in here)])
    done = subprocess.run(
        ["sh", "-eu", "-c", script],
        cwd=ROOT,
        env={"PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def under(root: Path, line: str) -> str:
    if line.startswith(COMPILES):
        program = Path(sys.executable).with_name("presence-runtime")
        return f"ln -s {program} {root}/opt/presence/venv/bin/"
    if line.startswith("python3 -m venv "):
        line = line.replace("venv ", "venv --without-pip ", 1)  # three seconds less
    return ABSOLUTE.sub(f"{root}/", line)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("opt", "etc/systemd/system", "var/lib"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def test_the_steps_leave_what_the_unit_needs(root: Path) -> None:
    run(steps("install"), root)
    etc = root / "etc/presence-runtime"
    assert mode(root / "opt/presence/venv") == 0o755  # the unit's user reads it
    assert mode(root / "opt/presence/venv/pyvenv.cfg") == 0o644
    assert (mode(etc), mode(etc / "east.toml")) == (0o755, 0o644)
    assert (mode(etc / "east.secret"), mode(etc / "east.tokens")) == (0o600, 0o600)
    ((scope, name, secret),) = (
        line.split() for line in (etc / "east.tokens").read_text().splitlines()
    )
    (known,) = tokens.parse((etc / "east.tokens").read_text())
    assert (scope, known.name, known.scope) == ("write", name, AccessScope.WRITE)
    assert len(secret) >= tokens.SECRET_CHARS_MIN

    (etc / "east.secret").write_text("what-a-person-writes-there\n")
    shown = run(steps("start"), root)
    assert "what-a-person-writes-there" not in shown
    assert str(etc / "east.toml") in shown
    assert (root / "etc/systemd/system" / UNIT.name).read_text() == UNIT.read_text()
    assert list((root / "var/lib").iterdir()) == []  # systemd makes it, for the unit's own user


def test_every_file_of_the_unit_is_made_by_a_step() -> None:
    written = "\n".join(steps("install"))
    named = [value.partition(":")[2] for value in values("LoadCredential")]
    named += re.findall(r"/etc/\S+|/opt/\S+", values("ExecStart")[0])
    assert len(named) == 4
    for path in named:
        made = path.replace("%i", "east").removesuffix("/bin/presence-runtime")
        assert made in written


def test_the_steps_check_with_the_environment_of_the_unit() -> None:
    exported = {
        name for line in steps("start") for name in re.findall(r"^export (PRESENCE_\w+)=", line)
    }
    unit = {each.partition("=")[0] for each in values("Environment")}
    assert exported == {name for name in unit if name.endswith(("_FILE", "_DIR"))}


def test_what_is_left_out_is_only_what_cannot_run_here() -> None:
    lines = [*steps("install"), *steps("start")]
    left_out = [line for line in lines if line.startswith(ELSEWHERE) or CONNECTS in line]
    assert any(line.startswith(COMPILES) for line in lines)
    assert any("systemctl enable --now presence-runtime@east" in line for line in lines)
    assert len(lines) - len(left_out) >= 12

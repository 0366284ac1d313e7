"""The systemd unit and the container file: what they name is there, and they allow little."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from actors.settings.model import ENVIRONMENT_PREFIX, Settings
from runtime.errors import EXIT_CONFIGURATION
from runtime.restart_plan import DRAIN_S
from tests.deploy.promtool import DEPLOY

ROOT = DEPLOY.parent
UNIT = DEPLOY / "presence-runtime@.service"
CONTAINER = DEPLOY / "Containerfile"
EXPOSURE_MAX = 25
"""Of 100, by `systemd-analyze security`."""

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="there is no systemd-analyze: `make test` installs it as root; else "
    "sudo apt-get install --no-install-recommends systemd",
)


def values(key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", UNIT.read_text(), re.MULTILINE)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """As installed, with a program that this machine has."""
    path = tmp_path / UNIT.name
    program = "/opt/presence/venv/bin/presence-runtime"
    path.write_text(UNIT.read_text().replace(program, "/bin/true"))
    return path


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, check=False
    )


@needs_systemd
def test_systemd_finds_no_mistake_in_the_unit(unit: Path) -> None:
    done = analyze("verify", "--man=no", str(unit.with_name("presence-runtime@east.service")))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@needs_systemd
def test_the_unit_is_hardened(unit: Path) -> None:
    done = analyze("security", "--offline=yes", f"--threshold={EXPOSURE_MAX}", str(unit))
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


def test_the_unit_sets_only_settings_that_there_are() -> None:
    keys = [each.partition("=")[0] for each in values("Environment")]
    ours = [key for key in keys if key.startswith(ENVIRONMENT_PREFIX)]
    assert len(ours) == 4
    assert [key for key in ours if not is_setting(key)] == []


def is_setting(variable: str) -> bool:
    first, _, second = variable.removeprefix(ENVIRONMENT_PREFIX).lower().partition("__")
    field = Settings.model_fields.get(first)
    if field is None or not second:
        return field is not None
    return second in getattr(field.annotation, "model_fields", {})


def test_the_unit_gives_time_to_drain_and_starts_no_mistake_again() -> None:
    (stop_s,) = values("TimeoutStopSec")
    assert float(stop_s) >= DRAIN_S + 5
    assert values("RestartPreventExitStatus") == [str(EXIT_CONFIGURATION)]
    assert values("KillMode") == ["mixed"]  # children are told by their supervisor, in order
    assert values("Type") == ["notify"]
    assert values("OOMPolicy") == ["continue"]  # a child that is killed is started again


def test_nobody_else_writes_where_the_unit_runs() -> None:
    # A file of another user in the working directory must not become a part of the runtime.
    assert values("WorkingDirectory") == ["/"]
    assert "PYTHONSAFEPATH=1" in values("Environment")
    assert values("StateDirectoryMode") == ["0700"]
    assert values("UMask") == ["0077"]


class TestTheContainer:
    text = CONTAINER.read_text()

    def test_copies_what_there_is_and_all_that_is_built(self) -> None:
        copied = [
            source
            for line in re.findall(r"^COPY (?!--from)(.*)$", self.text, re.MULTILINE)
            for source in line.split()[:-1]
        ]
        assert [source for source in copied if not (ROOT / source).exists()] == []
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())
        packages = {each.split(".")[0] for each in project["tool"]["setuptools"]["packages"]}
        needed = {"pyproject.toml", "setup.py", project["project"]["readme"], *packages}
        needed |= set(project["project"]["license-files"])
        assert needed <= set(copied)

    def test_runs_as_somebody_without_rights_and_hears_signals_itself(self) -> None:
        assert re.search(r"^USER [1-9][0-9]+$", self.text, re.MULTILINE)
        assert re.search(r'^ENTRYPOINT \["', self.text, re.MULTILINE)  # no shell in front of it
        assert "STOPSIGNAL SIGTERM" in self.text

    def test_sets_only_settings_that_there_are(self) -> None:
        ours = set(re.findall(rf"\b{ENVIRONMENT_PREFIX}[A-Z_]+(?==)", self.text))
        assert len(ours) >= 4
        assert [key for key in ours if not is_setting(key)] == []

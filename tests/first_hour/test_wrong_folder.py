"""A folder that holds packages of our names: what is installed runs, or it is said what does."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from actors.demo.gateway import BundledGateway
from runtime.errors import EXIT_CLEAN, EXIT_CONFIGURATION
from tests.first_hour.newcomer import CLIENT, TIMEOUT_S, Newcomer, given_to

OURS = Path(__file__).resolve().parents[2]
NAMES = ("runtime", "actors", "tools")


@pytest.fixture(params=["packages", "folders"])
def foreign(request: pytest.FixtureRequest, newcomer: Newcomer) -> Newcomer:
    """Who stands in somebody else's project."""
    for name in NAMES:
        (newcomer.folder / name).mkdir()
        if request.param == "packages":
            newcomer.writes(f"{name}/__init__.py", "raise SystemExit('the wrong one')\n")
    return newcomer


def types_module(newcomer: Newcomer) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "runtime", "--version"],
        cwd=newcomer.folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def test_the_command_is_the_installed_one_in_any_folder(foreign: Newcomer) -> None:
    said = foreign.types("check", **CLIENT)
    assert said.exit_code == EXIT_CLEAN, said
    assert "the wrong one" not in said.out + said.err


def test_the_service_and_its_children_are_the_installed_ones(
    foreign: Newcomer, gateway: BundledGateway
) -> None:
    given = given_to(gateway, PRESENCE_WEB__LISTEN="127.0.0.1:0")
    with foreign.running("--log-format", "json", **given):
        deadline_s = time.monotonic() + TIMEOUT_S
        while (said := foreign.types("status")).exit_code != EXIT_CLEAN:
            assert time.monotonic() < deadline_s, said


def test_the_module_says_which_folder_shadows_which(foreign: Newcomer) -> None:
    if (foreign.folder / "runtime" / "__init__.py").exists():
        (foreign.folder / "runtime" / "__init__.py").unlink()  # Python would run that one
    done = types_module(foreign)
    assert done.returncode == EXIT_CONFIGURATION
    assert f"{foreign.folder / 'actors'} shadows {OURS / 'actors'}: run `" in done.stderr
    assert "presence-runtime` instead of `python -m runtime`" in done.stderr
    assert done.stderr.count("\n") == 1

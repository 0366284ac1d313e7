"""Requirements: every file that an installation loads has its hash, in unit, container, Makefile
and CI; and the pins are those of the project."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from actors.web.network import NetworkProtocol
from tests.deploy.operations_page import PAGE
from tests.deploy.promtool import DEPLOY

ROOT = DEPLOY.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FILES = sorted((ROOT / "requirements").glob("*.txt"))
_PIN = re.compile(
    r"^([\w.-]+)==(\S+)(?: ;[^\\]*)? ((?:\\\n    --hash=sha256:[0-9a-f]{64} ?)+)$", re.MULTILINE
)
# Installs without a file: what was made here, or what is not installed but looked at.
_OURS = re.compile(r"--no-deps\b")


def pins(name: str) -> dict[str, str]:
    """Version by name; every line that is not a comment must be part of a pin with hashes."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    text = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    rest = _PIN.sub("", text).strip()
    assert rest == "", rest[:200]
    return {canonicalize_name(found[1]): found[2] for found in _PIN.finditer(text)}


def meant(name: str) -> list[Requirement]:
    groups = PROJECT["dependency-groups"]
    runtime = PROJECT["project"]["dependencies"]
    build = PROJECT["build-system"]["requires"]
    dev = [each for group in groups.values() for each in group if isinstance(each, str)]
    texts = {"runtime": runtime, "build": build, "dev": [*runtime, *dev], "fuzz": []}[name]
    return [Requirement(each) for each in texts]


@pytest.mark.parametrize("name", [each.stem for each in FILES])
def test_every_requirement_of_the_project_is_pinned_to_a_version_that_it_allows(name: str) -> None:
    pinned = pins(name)
    assert pinned
    for each in meant(name):
        version = pinned.get(canonicalize_name(each.name))
        assert version is not None, f"{each.name} is in no line: make requirements"
        assert each.specifier.contains(version), f"{each} is pinned to {version}: make requirements"


def test_what_is_tested_is_what_is_installed() -> None:
    runtime, build, dev = pins("runtime"), pins("build"), pins("dev")
    assert {name: dev.get(name) for name in runtime} == runtime
    assert {name: dev[name] for name in build if name in dev} == {
        name: version for name, version in build.items() if name in dev
    }


def installing_lines() -> list[tuple[str, str]]:
    """(where, command) of each `pip install` that the project has somebody carry out."""
    blocks = re.findall(r"<!-- steps: \w+ -->\n```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    steps = "\n".join(blocks)
    texts = {
        "docs/operations.md": steps,
        **{
            name: (ROOT / name).read_text()
            for name in ("Makefile", ".ci/run", "deploy/Containerfile", "tools/machine.sh")
        },
    }
    return [
        (where, command)
        for where, text in texts.items()
        for line in re.sub(r"\\\n\s*", "", text).splitlines()
        if not line.lstrip().startswith("#")
        for command in re.split(r"&& |; ", line)
        if re.search(r"(?:pip\b.*|\$\(PIP\)) (?:install|wheel) ", command)
    ]


def test_nothing_is_installed_that_has_no_hash() -> None:
    found = installing_lines()
    assert {where for where, _ in found} == {
        "docs/operations.md", "Makefile", ".ci/run", "deploy/Containerfile",
    }  # fmt: skip
    loose = [
        (where, command)
        for where, command in found
        if "--require-hashes" not in command and not _OURS.search(command)
    ]
    # The resolver that makes these very files, and what README.md says first.
    assert {command.strip() for _, command in loose} == {
        "@$(PIP) install uv==$(UV)", "venv/bin/pip install --quiet .",
    }  # fmt: skip


def test_files_that_are_installed_from_exist() -> None:
    named = set(chain(*(re.findall(r"-r (\S+)", command) for _, command in installing_lines())))
    assert {Path(each).name for each in named} == {each.name for each in FILES}
    assert [each for each in named if not (ROOT / each).exists()] == []


def test_uvicorn_is_bounded_above_because_a_private_class_of_it_is_extended() -> None:
    (uvicorn,) = (each for each in meant("runtime") if each.name == "uvicorn")
    assert issubclass(NetworkProtocol, HttpToolsProtocol)
    assert any(each.operator in ("<", "<=", "==", "~=") for each in uvicorn.specifier)


def test_how_to_report_is_said_where_it_is_looked_for() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings == ["Reporting", "What is promised", "Threat model"]
    assert len(text.split()) < 1_000  # one page and a half

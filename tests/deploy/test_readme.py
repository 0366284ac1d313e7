"""README, docs and deploy/ name only commands, options, files and targets that there are."""

from __future__ import annotations

import contextlib
import re
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main

from actors import main as cli
from benchmarks.__main__ import NAMES
from tests.deploy.pages import INSTALLED, PAGES, PROGRAM, ROOT, Command, code, commands, paths
from tests.deploy.test_operations_page import anchors

README = PAGES[0]
MADE_WHILE_RUNNING = ("benchmarks/results/",)
CALLS = [call for page in (*PAGES, *INSTALLED) for call in commands(page, PROGRAM)]
Refused: type[Exception] = typer.BadParameter.__bases__[0]  # typer's own or click's UsageError
READING = {"state", "history", "topics", "backup", "export", "status", "top", "sinks"}


def page_id(page: Path) -> str:
    return page.name


def parse(words: tuple[str, ...]) -> None:
    """As the program would, up to the point where it would do something."""
    left = list(words)
    if left[:1] == ["--version"]:
        left = ["run", *left[1:]]
    if not left or (left[0].startswith("-") and left[0] not in {"-h", "--help"}):
        left.insert(0, "run")
    command: Any = typer.main.get_command(cli.app)
    while left and hasattr(command, "commands"):
        name = left.pop(0)
        if name not in command.commands:
            raise typer.BadParameter(f"no such command: {name}")
        command = command.commands[name]
    if left:  # a command that is named without its arguments is only spoken of
        with contextlib.suppress(typer.Exit):  # --help
            command.make_context(PROGRAM, left)


@pytest.mark.parametrize("call", sorted(set(CALLS)), ids=str)
def test_every_call_is_one_that_the_command_line_takes(call: Command) -> None:
    try:
        parse(call.words)
    except Refused as error:
        pytest.fail(f"{call}: {error}")


def test_a_call_that_the_command_line_refuses_is_found() -> None:
    for wrong in (("stat",), ("state", "--nosuch"), ("demo", "--agents", "many"), ("--nosuch",)):
        with pytest.raises(Refused):
            parse(wrong)


def test_readme_shows_every_command() -> None:
    group: Any = typer.main.get_command(cli.app)
    shown = {call.words[0] for call in commands(README, PROGRAM) if call.words}
    assert set(group.commands) - shown <= {"run"}  # which is what runs without a command
    assert shown >= READING


def test_no_page_starts_a_program_that_a_folder_can_shadow() -> None:
    shadowed = re.compile(r"python3? -m (runtime|actors)(?![.\w])")
    told = [(page.name, line) for page in PAGES for line in code(page) if shadowed.search(line)]
    assert told == [("operations.md", "python -m runtime")]  # a warning


@pytest.mark.parametrize("page", [*PAGES, *INSTALLED], ids=page_id)
def test_every_path_is_there(page: Path) -> None:
    lost = [
        path
        for path in paths(page)
        if not path.startswith(MADE_WHILE_RUNNING) and not (ROOT / path).exists()
    ]
    assert lost == []


def test_where_to_begin_is_twelve_files_and_none_twice() -> None:
    text = README.read_text(encoding="utf-8")
    begin = text.partition("## Where to begin\n")[2]
    files = re.findall(r"^\d+\. `([\w/.]+)`: \S", begin, re.MULTILINE)
    assert len(files) == len(set(files)) == 12
    assert all((ROOT / path).is_file() for path in files)


@pytest.mark.parametrize(
    ("title", "files_max"), [("socket to page", 28), ("command to webhook", 40)]
)
def test_the_ways_through_the_code_are_short_and_name_files(title: str, files_max: int) -> None:
    text = (ROOT / "docs/design.md").read_text(encoding="utf-8")
    listed = text.partition(f"### From {title}\n")[2].partition("\n#")[0]
    files = re.findall(r"^\d+\. `([\w/.]+)`: \S", listed, re.MULTILINE)
    assert len(files) == len(re.findall(r"^\d+\. ", listed, re.MULTILINE))
    assert 20 <= len(files) == len(set(files)) <= files_max
    assert [path for path in files if not (ROOT / path).is_file()] == []


def test_the_pythons_that_the_pages_name_are_those_that_are_accepted() -> None:
    accepted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    for page in PAGES[:2]:
        ranges = re.findall(r"Python 3\.(\d+) to 3\.(\d+)", page.read_text(encoding="utf-8"))
        assert ranges
        for first, last in ranges:
            assert accepted == f">=3.{first},<3.{int(last) + 1}"


def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_target_of_make_is_there(page: Path) -> None:
    named = {found for line in code(page) for found in re.findall(r"^make ([a-z]+)", line)}
    assert named - targets() == set()
    if page == README:
        assert named >= {"demo", "test"}


def test_the_options_of_a_demo_by_make_are_options_of_the_demo() -> None:
    given = re.findall(r'make demo DEMO="([^"]+)"', README.read_text(encoding="utf-8"))
    assert given
    for options in given:
        parse(("demo", *options.split()))


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_module_that_is_started_is_there(page: Path) -> None:
    for line in code(page):
        for module, argument in re.findall(r"\bpython3? -m ([\w.]+)(?: ([a-z]+)\b)?", line):
            if module not in {"build", "pip", "venv"}:
                assert find_spec(module) is not None, line
            if module == "benchmarks" and argument:
                assert argument in {*NAMES, "all", "report"}, line


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


GLOSSARY = (
    "shard journal ring doorbell watermark quarantine spill roster sink mark slot stale scope "
    "session epoch late shed native dialect gap transition event record frame batch partition "
    "child Unknown"
)


def test_the_glossary_defines_each_word_once() -> None:
    text = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    defined = re.findall(r"^\| (\w+) \| \S", text, re.MULTILINE)
    words = [word for word in defined if word != "word"]
    assert len(words) == len(set(words))
    assert set(GLOSSARY.split()) - set(words) == set()

"""Pages: what README and docs name of commands, files and targets, as text. Knows none of them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
FOLDERS: Final = ("runtime", "actors", "tools", "benchmarks", "tests", "deploy", "docs")
PAGES: Final = (
    ROOT / "README.md",
    ROOT / "docs/operations.md",
    ROOT / "docs/design.md",
    ROOT / "docs/glossary.md",
    ROOT / "CONTRIBUTING.md",
)
INSTALLED: Final = (
    ROOT / "deploy/presence-runtime.toml",
    ROOT / "deploy/presence-runtime@.service",
)
PROGRAM: Final = "presence-runtime"
_FENCE: Final = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_SPAN: Final = re.compile(r"`([^`\n]+)`")
_PATH: Final = re.compile(rf"(?<![\w/.-])(?:{'|'.join(FOLDERS)})/[\w./@-]*")
_ENDS_A_COMMAND: Final = frozenset({"|", ">", ">>", "&&", ";", "#"})


class Command(NamedTuple):
    """One call as it is written: what stands before the program's name is left out."""

    page: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)}"


def code(page: Path) -> Iterator[str]:
    """Each line of its code blocks, then each piece of code in its sentences."""
    text = page.read_text(encoding="utf-8")
    for _, block in _FENCE.findall(text):
        yield from block.splitlines()
    yield from _SPAN.findall(_FENCE.sub("", text))


def commands(page: Path, program: str) -> Iterator[Command]:
    """Every call of the program: up to a comment, a pipe or the end."""
    lines = code(page) if page.suffix == ".md" else commented(page)
    for line in lines:
        for call in re.finditer(rf"(?:^|[\s/`]){re.escape(program)}(?=\s|$)(.*)", line):
            yield Command(page.name, tuple(words_of(call[1])))


def commented(page: Path) -> Iterator[str]:
    """Calls stand between backquotes there, or alone and indented."""
    for line in page.read_text(encoding="utf-8").splitlines():
        comment = line.partition("#")[2] if line.startswith("#") else ""
        yield from _SPAN.findall(comment)
        if comment.startswith("   ") and PROGRAM in comment:
            yield comment.strip().partition("   ")[0]


def words_of(text: str) -> Iterator[str]:
    for word in shlex.split(text, comments=True):
        if word in _ENDS_A_COMMAND or word.startswith((">", "<")):
            return
        yield word


def paths(page: Path) -> set[str]:
    """Every path of ours that it names: in code, in links, in sentences."""
    text = page.read_text(encoding="utf-8")
    return {each.rstrip(".") for each in _PATH.findall(text)}

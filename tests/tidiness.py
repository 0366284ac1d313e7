"""Tidiness: what holds for every file of the project, read as text and as syntax, never run.

Each rule returns what breaks it as `path:line: what is wrong; the cure`. `test_tidy` applies them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.floors import FLOORS, FRONT_DOOR, IMPURE, PURE_FOLDERS

ROOT = Path(__file__).parent.parent
FOLDERS = ("runtime", "actors", "tools", "benchmarks", "tests")
CODE = (".py", ".pyx", ".pxd", ".pyi")
TEXT = (*CODE, ".md", ".toml", ".sh", ".css", ".js", ".html")

FILE_LINES_MAX = 420  # about 400
FUNCTION_LINES_MAX = 60
COLUMNS_MAX = 100
NOUN_LENGTH_MIN = 25  # a first line shorter than this says nothing

NAMELESS = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}

# Longer than the rule, and why.
LONG_FILES: dict[str, str] = {
    "actors/receiver/cloud_loop.py": "one loop; only its imports are longer than others'",
    "actors/receiver/channel.py": "one machine: its table of states and signals",
    "actors/receiver/session.py": "one machine: its table of states and signals",
}
LONG_FUNCTIONS: dict[str, str] = {
    "actors/shard/cloud_merge.py:_run_activity": "once per event: a call costs more than it names",
    "actors/shard/event_run.py:judge_run": "once per event: a call costs more than it names",
}


class Source(NamedTuple):
    """One file, its path relative to the root."""

    path: str
    text: str

    @property
    def module(self) -> str:
        return self.path.rsplit(".", 1)[0].replace("/", ".").removesuffix(".__init__")

    @property
    def in_tests(self) -> bool:
        return self.path.startswith("tests/")

    @property
    def in_product(self) -> bool:
        return self.path.startswith(("runtime/", "actors/"))


Rule = Callable[[Source], Iterator[str]]


@cache
def sources(suffixes: tuple[str, ...] = CODE) -> tuple[Source, ...]:
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    paths += [*(ROOT / "docs").rglob("*"), *ROOT.glob("*")]
    return tuple(
        Source(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
        for path in sorted(paths)
        if path.suffix in suffixes and path.is_file()
    )


# -- imports -----------------------------------------------------------------------------------

_CIMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+c?import|c?import\s+([\w.]+))", re.MULTILINE)


def imports(source: Source) -> Iterator[tuple[int, str]]:
    """(line, module) of each import, `from a import b` as a.b: b may be a module."""
    if not source.path.endswith(".py"):
        for found in _CIMPORT.finditer(source.text):
            yield source.text.count("\n", 0, found.start()) + 1, found[1] or found[2]
        return
    for node in ast.walk(ast.parse(source.text)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source.path}:{node.lineno}: imports are written out"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def place(module: str) -> tuple[int, str] | None:
    """The floor and the room of a module."""
    return next(
        (
            (floor, room)
            for floor, rooms in enumerate(FLOORS)
            for room in rooms
            if f"{module}.".startswith(f"{room}.")
        ),
        None,
    )


def imports_go_down_only(source: Source) -> Iterator[str]:
    below = {"tools": ("runtime", "actors", "benchmarks", "tests")}
    banned = below.get(source.path.split("/")[0], ())
    own = place(source.module) if source.in_product else None
    if source.in_product and own is None and source.module != "actors":
        yield f"{source.path}:1: is in no room; move it into a package that floors.py names"
    for line, name in imports(source):
        top = name.split(".")[0]
        if top in banned or (source.in_product and top in {"tools", "benchmarks", "tests"}):
            yield f"{source.path}:{line}: imports {name}; {source.path.split('/')[0]} must not"
        other = place(name)
        if own is None or other is None or own[1] == other[1] or other[0] < own[0]:
            continue
        if source.module == FRONT_DOOR[0] and name.startswith(FRONT_DOOR[1]):
            continue
        yield f"{source.path}:{line}: imports {name}, which is no floor below; pass it as a value"


def arrows(files: Iterable[Source]) -> frozenset[tuple[str, str]]:
    """(a room of the product, another one that it imports)."""
    found = set()
    for source in files:
        own = place(source.module) if source.in_product else None
        for _, name in imports(source) if own else ():
            other = place(name)
            if own and other and own != other and (source.module, other[1]) != FRONT_DOOR:
                found.add((own[1], other[1]))
    return frozenset(found)


def circles(files: Iterable[Source]) -> list[str]:
    """The modules of the product that import themselves by way of others."""
    sources_ = [source for source in files if source.in_product]
    known = {source.module for source in sources_}
    left: dict[str, set[str]] = {}
    for source in sources_:
        for _, name in imports(source):
            module = next((each for each in _prefixes(name) if each in known), source.module)
            if module != source.module:
                left.setdefault(source.module, set()).add(module)
    while ends := [module for module, others in left.items() if not others & left.keys()]:
        for module in ends:
            del left[module]
    # What is left leads into a circle or is on one: what nothing leads to is on none.
    while heads := [module for module in left if not any(module in each for each in left.values())]:
        for module in heads:
            del left[module]
    return sorted(left)


def _prefixes(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition(".")[0]


_SAYS_PURE = re.compile(r"\bPure[.:;]")


def is_pure(source: Source) -> bool:
    """Whether it says so itself, or is in a folder of such files."""
    if not source.path.endswith(".py"):
        return False
    said = ast.get_docstring(ast.parse(source.text)) or ""
    return source.path.startswith(PURE_FOLDERS) or _SAYS_PURE.search(said) is not None


def pure_files_touch_nothing(source: Source) -> Iterator[str]:
    if source.in_tests or not is_pure(source):
        return
    for line, name in imports(source):
        if name.split(".")[0] in IMPURE:
            yield f"{source.path}:{line}: imports {name}; take what it gives as an argument"


# -- banned calls ------------------------------------------------------------------------------


class Ban(NamedTuple):
    """Names that may not be used, where, and what to do instead. A name that ends with a dot bans
    everything below it; a path in `except_in` that ends with a slash is a folder."""

    names: tuple[str, ...]
    cure: str
    applies: Callable[[Source], bool]
    except_in: tuple[str, ...] = ()

    def hits(self, name: str) -> bool:
        below = tuple(each for each in self.names if each.endswith("."))
        return name.rstrip(".") in self.names or name.startswith(below)


def _product(source: Source) -> bool:
    return source.in_product


def _everywhere(_source: Source) -> bool:
    return True


BANS = (
    Ban(("print",), "log it, or print in the command line", _product,
        ("runtime/__main__.py", "actors/main.py", "actors/cli/", "actors/demo/")),
    Ban(("os.fork", "os.forkpty", "pty.fork"), "spawn: fork copies locks", _everywhere),
    Ban(("multiprocessing.",), "ChildSpec and a ring: no tracker, nothing to unlink",
        lambda source: source.in_product or source.in_tests),
    Ban(("struct.pack_into",), "it clears before it writes and is seen torn: use a cast view",
        _product),
    Ban(("time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns",
         "datetime.datetime.now", "datetime.datetime.utcnow"),
        "take a runtime.clock.Clock as an argument", _product,
        ("runtime/clock.py", "runtime/child.py")),  # a beat is written by whoever makes progress
    Ban(("sqlite3.",), "apsw: the system's SQLite has the WAL-reset bug", _everywhere),
    Ban(("random.random", "random.randint", "random.choice", "random.uniform", "random.shuffle",
         "random.seed"), "take a random.Random(seed) as an argument", _everywhere),
    Ban(("os.system", "os.popen"), "subprocess.run with a list", _everywhere),
    Ban(("logging.getLogger",), "structlog.get_logger()", _product, ("runtime/log.py",)),
    Ban(("aiohttp.", "websockets."), "picows and httpx; aiohttp is the gateway's", _product),
    Ban(("time.sleep",), "wait for a fact, or say in the line why time itself is it",
        lambda source: source.in_tests, ("tests/processes/toys.py",)),
)  # fmt: skip
# A wait for a fact looks, sleeps a moment, and looks again: there a sleep is honest.
WAITS = re.compile(r"^_?(wait|eventually|until|poll)")


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def uses(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """(line, full dotted name, enclosing function) of every name used, imports resolved."""
    full: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            full |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
        elif isinstance(node, ast.Import):
            full |= {a.asname: a.name for a in node.names if a.asname}

    def visit(node: ast.AST, function: str) -> Iterator[tuple[int, str, str]]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function = node.name
        if isinstance(node, ast.While) and any(isinstance(each, ast.Assert) for each in node.body):
            function = "wait"  # it looks, and gives up at a deadline
        if isinstance(node, ast.Attribute | ast.Name) and (name := dotted(node)):
            head, _, rest = name.partition(".")
            yield node.lineno, full.get(head, head) + ("." + rest if rest else ""), function
        elif isinstance(node, ast.Import | ast.ImportFrom):
            module = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            yield from ((node.lineno, f"{module}{a.name}.", function) for a in node.names)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, function)

    yield from visit(tree, "")


def banned_calls_have_a_cure(source: Source) -> Iterator[str]:
    if not source.path.endswith(".py"):
        return
    bans = [
        ban for ban in BANS if ban.applies(source) and not source.path.startswith(ban.except_in)
    ]
    lines = source.text.split("\n")
    seen = set()
    for line, name, function in uses(ast.parse(source.text)):
        for ban in bans:
            if name.endswith(".sleep") and (WAITS.match(function) or "  # " in lines[line - 1]):
                continue
            if ban.hits(name) and (line, ban) not in seen:
                seen.add((line, ban))
                yield f"{source.path}:{line}: {name.rstrip('.')}; {ban.cure}"


# -- form --------------------------------------------------------------------------------------


def files_have_a_name_of_their_own(source: Source) -> Iterator[str]:
    stem = source.path.rsplit("/", 1)[-1].split(".")[0].removeprefix("test_")
    if stem in NAMELESS:
        yield f"{source.path}:1: {stem} names nothing; what has no name has no file"


def files_say_what_they_own(source: Source) -> Iterator[str]:
    first = source.text.split("\n", 1)[0]
    if source.path.endswith((".pxd", ".pyi")) or not source.text.strip():
        return  # twins of a .pyx, and the marks of a package
    if source.in_tests and not first.startswith('"""'):
        return  # a test file is named after what it tests
    if not re.match(r'r?"""\S', first) or len(first) < NOUN_LENGTH_MIN:
        is_compiled = source.path.endswith(".pyx") or first.startswith("# cython: ")
        if is_compiled and re.match(r'(#.*\n|\s*\n)*r?"""\S', source.text):
            return  # the compiler's directives stand first
        yield f'{source.path}:1: begins with no """sentence that says which noun it owns'


def lines_are_clean(source: Source) -> Iterator[str]:
    wanted = "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", r"issue #?\d"))
    for number, line in enumerate(source.text.split("\n"), 1):
        where = f"{source.path}:{number}"
        if "\t" in line:
            yield f"{where}: a tab"
        if line != line.rstrip():
            yield f"{where}: space at the end"
        # ruff looks at .py files itself, and knows when a long line is a pragma's fault.
        if len(line) > COLUMNS_MAX and source.path.endswith(CODE[1:]):
            yield f"{where}: {len(line)} columns, at most {COLUMNS_MAX}"
        if found := re.search(rf"\b({wanted})\b", line):
            yield f"{where}: {found[0]}; do it now, or say why not in words"
    if source.text and not source.text.endswith("\n"):
        yield f"{source.path}: no newline at the end"


def functions(source: Source) -> Iterator[tuple[str, int, int]]:
    """(name, first line, number of lines), the docstring apart."""
    if source.path.endswith(".py"):
        for node in ast.walk(ast.parse(source.text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                first = node.body[0]
                if ast.get_docstring(node) is not None:
                    lines -= (first.end_lineno or first.lineno) - first.lineno + 1
                yield node.name, node.lineno, lines
        return
    lines_ = source.text.split("\n")
    for number, line in enumerate(lines_):
        begins = re.match(r"(\s*)(?:c?p?def)\b(?! class)[^=]*?(\w+)\(.*", line)
        if begins is None:
            continue
        end = number + 1
        for following in range(number + 1, len(lines_)):
            text = lines_[following]
            if (
                text.strip()
                and len(text) - len(text.lstrip()) <= len(begins[1])
                and (not text.lstrip().startswith(("#", ")")))
            ):
                break
            end = following + 1 if text.strip() else end
        yield begins[2], number + 1, end - number


def files_and_functions_are_short(source: Source) -> Iterator[str]:
    lines = source.text.count("\n")
    if lines > FILE_LINES_MAX and source.path not in LONG_FILES:
        yield f"{source.path}: {lines} lines, at most {FILE_LINES_MAX}; split it by noun"
    for name, line, length in functions(source):
        if length > FUNCTION_LINES_MAX and f"{source.path}:{name}" not in LONG_FUNCTIONS:
            yield f"{source.path}:{line}: {name} has {length} lines, at most {FUNCTION_LINES_MAX}"

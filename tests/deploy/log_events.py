"""LogEvents: every event that the code can log, with its levels, as its source text says.

An event is the constant first argument of a log method. It may come by a detour, which is followed
within its file: a function or a record that passes its own `event` on is a log method itself.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
SHIPPED: Final = ("runtime", "actors")
LEVELS: Final = frozenset({"debug", "info", "warning", "error", "critical", "exception"})
ANY_LEVEL: Final = frozenset({"info", "warning", "error"})
"""Of what is computed when it is logged."""
RECORD: Final = "Tell"
"""A pure machine's action that its loop logs: `Tell(event, fields, level)`."""
LINES: Final = {"audit_line": "AUDIT|…"}
"""Functions that make a whole line, by the name that it is documented under."""
_LOGGERS: Final = ("log", "logger", "logging")

Function = ast.FunctionDef | ast.AsyncFunctionDef
Levels = frozenset[str]


class Unreadable(Exception):  # noqa: N818 - a finding of a test
    """An event whose name is not seen in the source text."""


class Sink(NamedTuple):
    """What logs its argument: a log method, or a function that calls one."""

    position: int  # of the event among the arguments
    level: Levels | None  # None: an argument of its own says it
    default: Levels = frozenset({"info"})


class Found(NamedTuple):
    event: str
    levels: Levels


@cache
def log_events() -> dict[str, set[str]]:
    """Event → levels. Raises Unreadable."""
    events: dict[str, set[str]] = {}
    for folder in SHIPPED:
        for path in sorted((ROOT / folder).rglob("*.py")):
            try:
                for event, levels in events_of(path.read_text()):
                    events.setdefault(event, set()).update(levels)
            except Unreadable as error:
                raise Unreadable(f"{path.relative_to(ROOT)}:{error}") from None
    return events


def events_of(text: str) -> list[Found]:
    """All that this source text logs."""
    tree = ast.parse(text)
    sinks: dict[str, Sink] = {}
    while True:
        found, more = _pass(tree, sinks)
        if more.keys() <= sinks.keys():
            return found
        sinks |= more


def _pass(tree: ast.Module, sinks: dict[str, Sink]) -> tuple[list[Found], dict[str, Sink]]:
    """One look at the file: what is logged, and which functions turn out to log for others."""
    found: list[Found] = []
    more: dict[str, Sink] = {}
    for function, call in _calls(tree):
        sink = _sink(call, sinks)
        if sink is None or len(call.args) <= sink.position:
            continue
        event = call.args[sink.position]
        levels = _levels(call, sink)
        parameters = _parameters(function)
        names = list(_constants(event, function))
        if isinstance(event, ast.Name) and event.id in parameters:
            assert function is not None
            skipped = parameters[0] in ("self", "cls")
            own = frozenset({"info"}) if "level" in parameters else levels
            if "level" in parameters and (default := _default(function, "level")) is not None:
                own = frozenset({default})
            more[function.name] = Sink(
                parameters.index(event.id) - skipped,
                None if "level" in parameters else levels,
                own,
            )
        elif names:
            found += [Found(name, levels) for name in names]
        elif not (isinstance(event, ast.Name) and event.id in _captured(function, event.id)):
            raise Unreadable(f"{call.lineno}: {ast.unparse(event)}")
    return found, more


def _calls(tree: ast.Module) -> Iterator[tuple[Function | None, ast.Call]]:
    """Every call with the function that it stands in."""
    waiting: list[tuple[ast.AST, Function | None]] = [(tree, None)]
    while waiting:
        node, function = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function = node
        if isinstance(node, ast.Call):
            yield function, node
        waiting += [(child, function) for child in ast.iter_child_nodes(node)]


def _sink(call: ast.Call, sinks: dict[str, Sink]) -> Sink | None:
    called = call.func
    if isinstance(called, ast.IfExp):  # (self._log.info if … else self._log.warning)(…)
        methods = [_method(called.body), _method(called.orelse)]
        return Sink(0, frozenset(filter(None, methods))) if all(methods) else None
    if (method := _method(called)) is not None:
        return Sink(0, frozenset({"error" if method == "exception" else method}))
    if isinstance(called, ast.Call) and ast.unparse(called.func) == "getattr":
        is_log = bool(called.args) and _is_logger(called.args[0])
        return Sink(0, None, ANY_LEVEL) if is_log else None
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    if name == RECORD:
        return Sink(0, None)
    return sinks.get(name)


def _method(called: ast.AST) -> str | None:
    """`warning` of `self._log.warning`; None for what is no method of a log."""
    if isinstance(called, ast.Attribute) and called.attr in LEVELS and _is_logger(called.value):
        return called.attr
    return None


def _is_logger(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return ast.unparse(node.func).rpartition(".")[2] in ("get_logger", "getLogger", "bind")
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name.lower().endswith(_LOGGERS)


def _levels(call: ast.Call, sink: Sink) -> Levels:
    if sink.level is not None:
        return sink.level
    said = next((each.value for each in call.keywords if each.arg == "level"), None)
    if said is None and len(call.args) > sink.position + 2:
        said = call.args[sink.position + 2]
    if said is None:
        return sink.default
    return frozenset({str(said.value)}) if isinstance(said, ast.Constant) else ANY_LEVEL


def _constants(event: ast.AST, function: Function | None) -> Iterator[str]:
    """The texts that this expression may be: itself, either of two, or what is assigned to it."""
    match event:
        case ast.Constant(value=str(text)):
            yield text
        case ast.Call(func=ast.Name(id=name)) if name in LINES:
            yield LINES[name]
        case ast.IfExp(body=body, orelse=orelse):
            yield from _constants(body, function)
            yield from _constants(orelse, function)
        case ast.Name(id=name) if function is not None:
            for node in ast.walk(function):
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
                    yield from _constants(node.value, None)


def _parameters(function: Function | None) -> list[str]:
    if function is None:
        return []
    return [each.arg for each in (*function.args.args, *function.args.kwonlyargs)]


def _default(function: Function, name: str) -> str | None:
    pairs = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    found = next((default for each, default in pairs if each.arg == name), None)
    return str(found.value) if isinstance(found, ast.Constant) else None


def _captured(function: Function | None, name: str) -> set[str]:
    """Names that a `case Tell(event=event)` binds: who made the record is found elsewhere."""
    nodes = ast.walk(function) if function is not None else iter(())
    records = (each for each in nodes if isinstance(each, ast.MatchClass))
    made = (each for each in records if ast.unparse(each.cls).rpartition(".")[2] == RECORD)
    return {
        bound.name
        for each in made
        for bound in each.kwd_patterns
        if isinstance(bound, ast.MatchAs) and bound.name == name
    }

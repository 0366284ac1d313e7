"""RetiredWords: which names and phrases do not come back, and one public class name, one module.

Rules as in `tidiness.py`, which knows no word.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from tests.tidiness import Source

# What a class, an alias or a module is not called any more, and what it is called instead.
RETIRED: dict[str, str] = {
    "Order": "CommandRequest", "Taken": "Accepted", "NotTaken": "Rejected", "Told": "…Record",
    "Shown": "TransitionSeen", "Standing": "…Status", "Ward": "ManagedChild", "Pump": "…Worker",
    "Owed": "PendingWrites", "Holding": "AgentTable", "Patience": "RetryPolicy",
    "Place": "…Position", "Desk": "SnapshotScheduler", "Outlet": "RingWriter",
    "Letter": "WebhookMessage", "Book": "Active…, …Reader", "Register": "CommandIndex",
    "Reach": "Route", "Life": "TaskGroup", "Line": "…Connection", "Chance": "rng",
    "Havoc": "FaultInjector", "Excuses": "AllowedLosses", "Dealings": "exchanges",
    "Hearers": "subscribers", "Door": "…Middleware", "Way": "Route", "Front": "Access…",
    "Guarding": "AccessSetup", "Placing": "CommandSubmission", "Naming": "NameReader",
    "Vitals": "ChildHealth", "Course": "timeline", "Judge": "verifier",
}  # fmt: skip
# The machine of one line is called so in receiver and sender: `line` numbers it everywhere.
MODULES_THAT_MAY = {"line"}
# What a parameter is not called any more. (Not here: what is no noun, such as `shown` and `taken`.)
RETIRED_PARAMETERS: dict[str, str] = {
    "way": "route", "reach": "route", "letter": "message", "letters": "messages", "book": "active",
    "chance": "rng", "havoc": "fault_injector", "excuses": "allowed_losses", "desk": "scheduler",
    "dealings": "exchanges", "hearers": "subscribers", "ward": "child", "owed": "pending",
    "holding": "agent_table", "patience": "policy", "pump": "worker", "outlet": "ring_writer",
    "placing": "submission", "register": "index", "front": "checks", "vitals": "health",
}  # fmt: skip
# Of state machines: each has its own signals and actions, called by the field's words.
VOCABULARY = re.compile(r"[._]signals$")
# Classes that may be called as another of their program, and why.
NAMESAKES: dict[str, str] = {}

PHRASES = re.compile(r"\b(nobody is|anew|is none)\b| told ", re.IGNORECASE)
# Where no text for people has such a phrase. This list grows.
CLEAN_TEXTS: tuple[str, ...] = ("runtime/", "actors/demo/", "actors/storage/")


def names_are_not_retired(source: Source) -> Iterator[str]:
    """Of modules, classes, aliases and parameters of the product."""
    if not source.in_product or not source.path.endswith(".py"):
        return
    stem = source.module.rsplit(".", 1)[-1]
    tree = ast.parse(source.text)
    names = [(1, stem.capitalize())] if stem not in MODULES_THAT_MAY else []
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            names.append((node.lineno, node.name))
        targets = [*getattr(node, "targets", ()), getattr(node, "target", None)]
        names += [(each.lineno, each.id) for each in targets if isinstance(each, ast.Name)]
    for line, name in names:
        if better := RETIRED.get(name):
            yield f"{source.path}:{line}: {name} is a retired name; say {better}"
    for each in ast.walk(tree):
        if isinstance(each, ast.arg) and (better := RETIRED_PARAMETERS.get(each.arg)):
            yield f"{source.path}:{each.lineno}: an argument {each.arg}; say {better}"


def texts_are_plain(source: Source) -> Iterator[str]:
    """Every string but docstrings: help, errors, lines of the log."""
    if not source.path.startswith(CLEAN_TEXTS) or not source.path.endswith(".py"):
        return
    tree = ast.parse(source.text)
    unread = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or id(node) in unread:
            continue
        if isinstance(node.value, str) and (found := PHRASES.search(node.value)):
            yield f"{source.path}:{node.lineno}: {found[0]!r}; say it as a manual would"


def namesakes(files: Iterable[Source]) -> Iterator[str]:
    """Public classes that are called as one in another module of their program. The simulated
    gateway is a program of its own: it imports nothing of the product, and has its own words."""
    first: dict[tuple[str, str], str] = {}
    for source in files:
        program = "product" if source.in_product else source.path.split("/")[0]
        is_shipped = program in {"product", "tools"} and source.path.endswith(".py")
        if not is_shipped or VOCABULARY.search(source.module):
            continue
        for node in ast.parse(source.text).body:
            if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
                continue
            other = first.setdefault((program, node.name), source.path)
            if other != source.path and node.name not in NAMESAKES:
                yield f"{source.path}:{node.lineno}: {node.name} is also a class of {other}"

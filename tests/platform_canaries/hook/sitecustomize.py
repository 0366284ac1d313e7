"""Owns how one thing of the product is broken in every process that a demo starts.

On PYTHONPATH of a canary's demo, and nowhere else: the product knows nothing of it. CANARY_BREAKS
is `module:attribute=broken`, several with commas between: when `module` is imported, its attribute
(dotted, as far as needed) becomes what the function `broken` of the file CANARY_FILE makes of it.
The name must not begin as settings do, which children do not inherit.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import runpy
import sys
from types import ModuleType


def _breaks() -> dict[str, list[tuple[str, str]]]:
    """By module: what of it, and by which function."""
    found: dict[str, list[tuple[str, str]]] = {}
    for each in filter(None, os.environ.get("CANARY_BREAKS", "").split(",")):
        module, _, rest = each.partition(":")
        attribute, _, broken = rest.partition("=")
        found.setdefault(module, []).append((attribute, broken))
    return found


class Breaking(importlib.abc.MetaPathFinder):
    """Finds the modules as the others do, and breaks each once it is loaded."""

    def __init__(self, breaks: dict[str, list[tuple[str, str]]]) -> None:
        self._breaks = breaks

    def find_spec(
        self, name: str, path: object, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        breaks = self._breaks.pop(name, None)
        if breaks is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)  # type: ignore[arg-type]
        assert spec is not None, name
        assert spec.loader is not None, name
        load = spec.loader.exec_module

        def load_broken(module: ModuleType) -> None:
            load(module)
            for attribute, broken in breaks:
                _break(module, attribute, broken)

        spec.loader.exec_module = load_broken  # type: ignore[method-assign]
        return spec


def _break(module: ModuleType, attribute: str, broken: str) -> None:
    *way, last = attribute.split(".")
    owner: object = module
    for name in way:
        owner = getattr(owner, name)
    make = runpy.run_path(os.environ["CANARY_FILE"])[broken]
    setattr(owner, last, make(getattr(owner, last)))


if breaks := _breaks():
    sys.meta_path.insert(0, Breaking(breaks))

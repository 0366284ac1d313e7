"""Each switch breaks what it names, and each row has one or a test. The demos: `make canaries`."""

from __future__ import annotations

import importlib
import runpy

import pytest

from tests.platform_canaries.canaries import ALL_ROWS, CANARIES, ELSEWHERE, Canary
from tests.platform_canaries.demos import HERE


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.name)
def test_each_switch_names_what_there_is_and_changes_it(canary: Canary) -> None:
    broken = runpy.run_path(str(HERE / "broken.py"))
    for each in canary.breaks.split(","):
        module, _, rest = each.partition(":")
        way, _, name = rest.partition("=")
        held: object = importlib.import_module(module)
        for part in way.split("."):
            held = getattr(held, part)
        assert broken[name](held) != held, each


def test_each_row_has_a_canary_or_a_test_that_is_named() -> None:
    assert {canary.row for canary in CANARIES} | ELSEWHERE.keys() == ALL_ROWS
    for place in ELSEWHERE.values():
        path, _, test = place.partition("::")
        assert f"def {test}(" in (HERE.parent.parent / path).read_text(), place

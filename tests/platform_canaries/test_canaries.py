"""The quickest canaries, the demo with every cure on, and that each switch breaks what it names.

All canaries: `make canaries`.
"""

from __future__ import annotations

import importlib
import os
import re
import runpy

import pytest

from tests.platform_canaries.canaries import ALL_ROWS, CANARIES, ELSEWHERE, QUICK, Canary
from tests.platform_canaries.demos import HERE, demo, demo_without

pytestmark = pytest.mark.timeout(300)


def test_with_every_cure_on_the_demo_is_verified() -> None:
    verdict = demo(dict(os.environ), 15.0)
    assert verdict.is_verified, verdict.said


@pytest.mark.parametrize("canary", QUICK, ids=lambda canary: canary.name)
def test_without_a_cure_the_demo_is_not_verified(canary: Canary) -> None:
    verdict = demo_without(canary)
    assert not verdict.is_verified, f"{canary.row} {canary.name}: nobody noticed"
    assert re.search(canary.says, verdict.said), verdict.said


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

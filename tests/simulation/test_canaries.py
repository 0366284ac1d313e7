"""Every canary dies: each mistake of `canaries.py` is found within a few hundred schedules."""

from __future__ import annotations

import pytest

from tests.simulation.canaries import CANARIES, Canary
from tests.simulation.run import run_many

SEEDS_MOST = 500


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.name)
def test_a_broken_product_is_found(canary: Canary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary.owner, canary.attribute, canary.broken)
    assert any(outcome.findings for outcome in run_many(range(SEEDS_MOST))), (
        f"{canary.name}: nobody noticed in {SEEDS_MOST} schedules"
    )

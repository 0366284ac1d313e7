"""Ten thousand hostile frames among genuine events: nothing breaks, nothing is lost or forged."""

from __future__ import annotations

import pytest

from actors.shard import agent_table, decode, quarantine
from tests.hostile.campaign import Campaign, small_bounds


@pytest.fixture(autouse=True)
def bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (
        (agent_table, "AGENTS_MAX"),
        (decode, "QUEUES_MAX"),
        (quarantine, "ROWS_MAX"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name))  # undone after the test
    small_bounds()


@pytest.mark.parametrize("seed", range(4))
def test_hostile_frames_have_one_outcome_each_and_touch_no_genuine_event(seed: int) -> None:
    campaign = Campaign(seed)
    campaign.run(10_000)
    counts = [shard.merge.counts for shard in campaign.pipeline.shards]
    for outcome in ("applied", "unchanged", "duplicates", "late", "shed", "quarantined"):
        assert sum(each[outcome] for each in counts) > 0, outcome
    assert len(campaign.reasons) >= 10, campaign.reasons
    assert campaign.kinds["genuine"] > 1_000
    assert campaign.odd_times > 10
    assert any("1970" in reason for reason in campaign.reasons)

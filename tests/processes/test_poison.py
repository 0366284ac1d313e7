"""A record that no shard survives, in real processes: it is set aside, and nothing else is."""

from __future__ import annotations

import signal

import pytest

from actors.demo.gateway import verify
from runtime.crash_point import POISON_VARIABLE
from tests.processes.service import Service, ended, eventually

RATE = 3_000


@pytest.mark.parametrize("how", ["raise", "abort"])
def test_a_record_that_kills_its_shard_twice_is_quarantined_and_nothing_else_is_lost(
    service: Service, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    deadly = service.gateway.status()["newest_sequence"] + RATE // 2
    monkeypatch.setenv(POISON_VARIABLE, f'shard:{how}:"sequence":{deadly},')
    process = service.start()
    eventually(service.has_caught_up, "the history")
    service.gateway.start_load(RATE, 2.0)
    eventually(lambda: service.gateway.status()["load"] == "done", "the end of the load")
    eventually(service.has_caught_up, "the marks")
    process.send_signal(signal.SIGTERM)
    assert ended(process) == 0

    told = service.ask("state", "--json", "--limit", "0")
    assert sum(shard["counts"]["quarantined"] for shard in told["shards"]) == 1
    for shard in told["shards"]:
        counts = shard["counts"]
        assert counts["received"] == sum(counts.values()) - counts["received"]
    lines = service.lines()
    assert [line["sequence"] for line in lines if line["event"] == "record.quarantined"] == [deadly]
    assert len([line for line in lines if line["event"] == "batch.suspected"]) == 1
    exits = [line["child"] for line in lines if line["event"] == "child.exited"]
    assert len(exits) == len(service.children()) + 2  # each once, and twice for the deadly record

    service.gateway.stop()
    findings, _ = verify(service.ledger, service.data_dir, "full", service.log.with_name("found"))
    assert [each["sequence"] for each in findings["examples"]["lost"]] == [deadly]
    assert (findings["lost"], findings["phantom"], findings["duplicate_effects"]) == (1, 0, 0)

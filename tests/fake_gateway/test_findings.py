"""Findings and latencies."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tools.fake_gateway.findings import EXAMPLES_MAX, STEP_US, Findings, Latencies


def test_findings_are_all_counted_and_few_are_shown() -> None:
    findings = Findings()
    assert findings.is_clean
    for number in range(50):
        findings.add("lost", "event", sequence=number)
    assert not findings.is_clean
    assert findings.counts["lost"] == 50
    assert len(findings.examples["lost"]) == EXAMPLES_MAX


def test_without_latencies_there_are_no_quantiles() -> None:
    assert set(Latencies().quantiles_ms().values()) == {None, 0}


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(-10, 30_000_000), min_size=1))
def test_quantiles_are_those_of_the_sorted_times(times_us: list[int]) -> None:
    latencies = Latencies()
    for time_us in times_us:
        latencies.add(time_us)
    told = latencies.quantiles_ms()
    ordered = sorted(times_us)
    for name, thousandths in (("p50", 500), ("p99", 990), ("max", 1000)):
        exact_us = max(0, ordered[-(-len(ordered) * thousandths // 1000) - 1])
        found = told[name]
        assert found is not None
        assert exact_us - 1e-6 <= found * 1000 <= exact_us + STEP_US + 1e-6

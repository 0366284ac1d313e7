"""The gate: ordered refusals in their order, and the limit on how often a client may come."""

from __future__ import annotations

from tools.fake_gateway.gates import Gate, Refusal
from tools.fake_gateway.wsp.faults import WspFault


def test_refusals_are_used_up_in_their_order() -> None:
    gate = Gate()
    gate.order(WspFault(kind="refuse", status=429, count=2, retry_after_s=3))
    gate.order(WspFault(kind="refuse", status=0))
    assert [gate.refusal(0.0) for _ in range(4)] == [
        Refusal(429, 3), Refusal(429, 3), Refusal(0), None,
    ]  # fmt: skip
    assert gate.refused == 3
    assert not gate.is_ordered


def test_who_comes_too_often_waits_until_the_window_is_over() -> None:
    gate = Gate(passes_max=2, window_s=60)
    assert gate.refusal(0.0) is gate.refusal(10.0) is None
    assert gate.refusal(20.0) == Refusal(429, 40)
    assert gate.refusal(60.0) is None
    assert gate.refusal(61.0) == Refusal(429, 9)

from __future__ import annotations

from typing import Any

import pytest

from tools.fake_gateway.cloud.faults import (
    FRAME_FAULTS,
    PROFILES,
    CloudFault,
    broken_frame,
)
from tools.fake_gateway.cloud.gap_rows import SLACK_US, GapRow, GapRows
from tools.fake_gateway.cloud.rate_window import RateWindow
from tools.fake_gateway.cloud.subscribers import LEFT_OUT, NOBODY, SEVERAL, Subscribers
from tools.fake_gateway.fault_plan import FaultPlan, parse_schedule
from tools.fake_gateway.faults import BREAKING
from tools.fake_gateway.wire import server_frame


def test_a_window_is_fixed_and_begins_with_its_first_call() -> None:
    window = RateWindow(3)
    taken = [window.take(now_s) for now_s in (10.0, 10.0, 69.0, 69.5, 70.0, 129.9, 130.0)]
    assert [one.calls for one in taken] == [1, 2, 3, 4, 1, 2, 1]
    assert [one.is_over for one in taken] == [False, False, False, True, False, False, False]
    assert taken[3].headers["Retry-After"] == "1"
    assert "Retry-After" not in taken[0].headers
    assert taken[0].headers["inin-ratelimit-reset"] == "60"
    assert (window.fullest, window.refused) == (4, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "earthquake"},
        {"kind": "close", "code": 999},
        {"kind": "refuse-rest", "status": 200},
        {"kind": "drop", "some": 0},
        {"kind": "drop", "some": True},
        {"kind": "drop", "count": 0},
        {"kind": "stall", "seconds": -1},
        {"kind": "drop", "where": 1},
        {"seconds": 1},
        [],
    ],
)
def test_a_wrong_fault_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        CloudFault.parse(wrong)


def test_a_timeline_is_put_in_order_and_a_wrong_one_refused() -> None:
    asked = [{"at_s": 2, "kind": "drop"}, {"at_s": 1.5, "kind": "close", "code": 1001}]
    assert parse_schedule(CloudFault, asked) == [
        (1.5, CloudFault(kind="close", code=1001)),
        (2.0, CloudFault(kind="drop")),
    ]
    wrongs: tuple[Any, ...] = (
        {},
        [{"kind": "drop"}],
        [{"at_s": -1, "kind": "drop"}],
        [{"at_s": 1}],
    )
    for wrong in wrongs:
        with pytest.raises(ValueError, match="timeline"):
            parse_schedule(CloudFault, wrong)


def test_every_frame_fault_has_a_frame_that_is_not_the_event() -> None:
    whole = server_frame(
        b'{"topicName":"v2.users.x.activity","eventBody":{"id":"x",'
        b'"routingStatus":{"status":"IDLE"},"pad":"' + b"x" * 100 + b'"}}'
    )
    for kind in FRAME_FAULTS:
        assert broken_frame(kind, whole) != whole, kind


def test_a_plan_is_the_same_for_a_seed_and_every_fault_has_its_turn() -> None:
    plans = [FaultPlan(PROFILES, "hostile", f"cloud faults {seed}") for seed in (1, 1, 2)]
    first, again, other = ([plan.due(t / 10) for t in range(4000)] for plan in plans)
    assert first == again != other
    told = {fault.kind for faults in first for fault in faults}
    assert told == set(plans[0].kinds)
    assert FaultPlan(PROFILES, "none", "1").due(1e9) == []
    with pytest.raises(ValueError, match="Unknown fault profile"):
        FaultPlan(PROFILES, "awful", "1")


def test_a_hostile_gateway_does_all_that_a_flaky_one_does() -> None:
    assert set(PROFILES["flaky"].faults) < set(PROFILES["hostile"].faults)
    assert set(BREAKING) < {fault.kind for fault in PROFILES["hostile"].faults}


def test_a_gap_row_covers_its_time_and_scope() -> None:
    rows = GapRows([GapRow("c0/1", 100 * SLACK_US, 102 * SLACK_US, "")])
    covered = {99: True, 101: True, 103: True, 98: False, 104: False}
    assert {at: rows.cover(at * SLACK_US, "c0/1") for at in covered} == covered
    assert not rows.cover(101 * SLACK_US, "c0/2")
    assert rows.cover(101 * SLACK_US, None)
    assert rows.longest_s == 2 * SLACK_US / 1e6
    assert GapRows([GapRow("c0/1", 0, SLACK_US, "")]).longest_s == 0


def test_subscribers_follow_sockets_and_subscriptions() -> None:
    subscribers = Subscribers(3)

    def line(kind: str, channel: int, **more: Any) -> list[int]:
        usual = {"kind": kind, "channel": channel, "head": 5, "at_us": 0, "reason": "lost"}
        subscribers.add(usual | more)
        return subscribers.told.tolist()

    def topics(channel: int, *agents: int) -> list[int]:
        return line("topics", channel, agents=list(agents), masks=[1] * len(agents))

    assert topics(1, 0, 1) == [NOBODY, NOBODY, LEFT_OUT]
    assert line("opened", 1, socket=7) == [7, 7, LEFT_OUT]
    assert topics(2, 1) == [7, 7, LEFT_OUT]
    assert line("opened", 2, socket=8) == [7, SEVERAL, LEFT_OUT]
    assert line("opened", 1, socket=9) == [9, SEVERAL, LEFT_OUT]
    assert line("closed", 1, socket=7) == [9, SEVERAL, LEFT_OUT]  # another has its place
    assert line("gone", 1) == [NOBODY, 8, LEFT_OUT]
    assert line("closed", 1, socket=9) == [NOBODY, 8, LEFT_OUT]
    assert topics(2) == [NOBODY, LEFT_OUT, LEFT_OUT]
    assert subscribers.begun.tolist() == [5, 5, -1]
    assert subscribers.left.tolist() == [-1, 5, -1]
    assert topics(3, 1) == [NOBODY, NOBODY, LEFT_OUT]
    assert subscribers.left[1] == -1

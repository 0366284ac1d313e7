"""A gateway whose wall clock is wrong for one event, or for a while; its order is right.

The last change sent is the one that is held: a stamp ahead of its time makes nothing late.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.actors.shard.cloud_lending import body_of, frame, native
from tests.actors.shard.lending import RECEIVED_NS, A, event
from tests.cases.shards import cloud_shard, wsp_shard

NOW = datetime.fromtimestamp(RECEIVED_NS // 1_000_000_000, UTC)
"""When the events are received."""
HOUR_S = 3600


def stamp(after_s: float, years: int = 0) -> str:
    moment = NOW.replace(year=NOW.year + years) + timedelta(seconds=after_s)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


STEPS = [
    pytest.param(
        [
            ("Available", stamp(0)),
            ("Talking", stamp(HOUR_S)),
            ("Wrapped Up", stamp(60)),
            ("Available", stamp(120)),
            ("Not Available", stamp(3540)),
        ],
        id="one event an hour ahead",
    ),
    pytest.param(
        [
            ("Available", stamp(0)),
            ("Talking", stamp(0, years=1)),
            ("Wrapped Up", stamp(60)),
            ("Available", stamp(HOUR_S)),
        ],
        id="one event a year ahead",
    ),
    pytest.param(
        [
            ("Available", stamp(0)),
            ("Talking", stamp(1)),
            ("Wrapped Up", stamp(2 - HOUR_S)),
            ("Available", stamp(1200 - HOUR_S)),
        ],
        id="local time falls back by an hour",
    ),
]


@pytest.mark.parametrize("steps", STEPS)
def test_wsp_the_last_change_sent_is_held_and_none_is_late(
    tmp_path: Path, steps: list[tuple[str, str]]
) -> None:
    rig = wsp_shard(tmp_path)
    for sequence, (state, at) in enumerate(steps, 1001):
        rig.feed(event(sequence, A, state, at))
        assert rig.state(A) == state
    assert "late" not in rig.causes()
    assert "late" not in rig.counts


def test_cloud_the_last_change_sent_is_held(tmp_path: Path) -> None:
    rig = cloud_shard(tmp_path)
    days_s = 5 * 86_400
    for status, after_s in (("IDLE", 0), ("INTERACTING", HOUR_S), ("IDLE", 60)):
        body = body_of("ON_QUEUE", 1, status, 1)
        body["presence"]["modifiedDate"] = stamp(0)
        body["routingStatus"]["startTime"] = stamp(days_s + after_s)
        rig.feed(frame("activity", body))
        assert native(rig).routing_status == status
    assert rig.state(A) == "Available"

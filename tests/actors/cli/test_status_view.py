"""What is said of a runtime in words, by value."""

from __future__ import annotations

from typing import Any

import pytest

from actors.cli import status_view
from actors.web.rates import CounterSample

PROCESS = {
    "name": "shard-0",
    "pid": 7,
    "phase": "running",
    "generation": 1,
    "beat_age_s": 0.2,
    "cpu_s": 1.0,
    "cpu_percent": 12.5,
    "rss_bytes": 50 << 20,
}
RECEIVER = {"connected": 1, "exhausted": 0}
SENDER = {"connected": 1, "webhooks_dead": 0}


def body(**fields: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "name": "",
        "dialect": "wsp",
        "since": None,
        "live": True,
        "reasons": [],
        "processes": [PROCESS],
        "rings": [],
        "rates": {},
        "lag_ms": None,
        "counters": {"receiver-0": RECEIVER, "sender": SENDER},
    }
    return given | fields


def test_nothing_is_wrong_with_what_is_well() -> None:
    assert status_view.wrong(body()) == []
    assert status_view.headline(body(name="east"), []) == "presence-runtime east (wsp) is live"
    assert status_view.headline(body(), ["x"]) == "presence-runtime (wsp) is not live"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"live": False}, "the states shown on the page are not confirmed"),
        ({"live": False, "reasons": ["no session since 12:00"]}, "no session since 12:00"),
        ({"processes": [PROCESS | {"phase": "starting"}]}, "shard-0 is starting"),
        ({"processes": [PROCESS | {"rss_bytes": None}]}, "shard-0 has ended"),
        ({"processes": [PROCESS | {"beat_age_s": 15.6}]}, "shard-0 sent no heartbeat for 16 s"),
        (
            {"rings": [{"from": "a", "to": "b", "used_bytes": 85, "capacity_bytes": 100}]},
            "the ring from a to b is 85% full",
        ),
        ({"counters": {"receiver-0": {"connected": 0}}}, "receiver-0 is not connected"),
        (
            {"counters": {"receiver-0": {"connected": 0, "exhausted": 1}}},
            "receiver-0 has used up its attempts to connect (attempts_max)",
        ),
        (
            {"counters": {"receiver-1": RECEIVER | {"topics_refused": 3}}},
            "3 topics are refused; see: presence-runtime topics",
        ),
        (
            {"counters": {"planner": {"agents_unmonitored": 9, "clients_needed": 2}}},
            "9 agents are not monitored: 2 OAuth clients are needed; see: presence-runtime topics",
        ),
        (
            {"counters": {"sender": SENDER | {"connected": 0}}},
            "the sender is not connected; presences cannot be changed",
        ),
        (
            {"counters": {"sender": SENDER | {"webhooks_dead": 4}}},
            "4 webhook messages are dead-lettered; see: presence-runtime webhooks",
        ),
    ],
)
def test_what_is_wrong_is_told_in_words(fields: dict[str, Any], words: str) -> None:
    assert status_view.wrong(body(**fields)) == [words]


def test_what_two_say_is_told_once() -> None:
    told = status_view.wrong(body(live=False, reasons=["a", "b"]), ["b", "c"])
    assert told == ["a", "b", "c"]


def test_facts_are_counted_over_the_shards() -> None:
    shards = {"shard-0": {"agents": 1_500}, "shard-1": {"agents": 2}}
    told = body(
        since="2026-11-22T06:00:00.000Z",
        counters=shards,
        rates={"events": 1999.6, "commands": 2.04},
        lag_ms=3.14,
        processes=[PROCESS | {"generation": 3}],
    )
    assert list(status_view.facts(told)) == [
        "since 2026-11-22T06:00:00.000Z",
        "1,502 agents",
        "2,000 events per second, durable after 3.1 ms",
        "2.0 commands per second",
        "2 restarts",
    ]


def test_a_process_is_a_row() -> None:
    never = PROCESS | {"pid": None, "beat_age_s": None, "cpu_percent": None, "rss_bytes": None}
    assert list(status_view.process_rows(body(processes=[PROCESS, never]))) == [
        ("shard-0", "7", "running", 1, "0.2 s", "12.5 %", "50.0 MiB"),
        ("shard-0", "", "running", 1, "", "", ""),
    ]


def test_the_fullest_ring_comes_first() -> None:
    rings = [
        {"from": "a", "to": "b", "used_bytes": 1, "capacity_bytes": 4096},
        {"from": "c", "to": "d", "used_bytes": 2048, "capacity_bytes": 4096},
    ]
    rows = list(status_view.ring_rows(body(rings=rings)))
    assert rows == [("c", "d", "2.0 KiB", "4.0 KiB"), ("a", "b", "1 B", "4.0 KiB")]


def test_rates_since_the_last_look_replace_those_of_the_server() -> None:
    words = {"cpu_ns": 0, "requests": 10}
    before = CounterSample(1.0, {"web": words})
    now = CounterSample(2.0, {"web": {"cpu_ns": 5 * 10**8, "requests": 30}})
    told = body(rates={"requests": 1.0}, processes=[PROCESS | {"name": "web"}])
    assert status_view.paced(told, None, now) is told
    paced = status_view.paced(told, before, now)
    assert (paced["rates"], paced["processes"][0]["cpu_percent"]) == ({"requests": 20.0}, 50.0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (7200, "2 h"), (100_000, "1 d 3 h")],
)
def test_a_time_is_told_in_its_two_largest_units(seconds: float, words: str) -> None:
    assert status_view.lasting(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 << 30, "5.0 GiB")]
)
def test_a_size_is_told_in_its_unit(count: int, words: str) -> None:
    assert status_view.size(count) == words

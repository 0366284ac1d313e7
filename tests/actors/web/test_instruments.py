"""What the instruments say of real pages and rings."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from actors.app.shared_memory import SUPERVISOR_WORDS
from actors.shard.arguments import SHARD_WORDS
from actors.web.arguments import WebArguments
from actors.web.instruments import APART_S, LONGEST_S, WINDOW_S, Instruments
from runtime.block import Block
from runtime.clock import ManualClock
from runtime.counters import RUNNING, Counters
from runtime.doorbell import Doorbell
from runtime.ring import KIND_EVENT, Producer, ring_bytes
from tests.actors.web.rig import web_arguments


class Bench:
    def __init__(self, data_dir: Path) -> None:
        self.clock = ManualClock(1_000.0)
        self.shard = Counters.create("shard-0", SHARD_WORDS)
        self.supervisor = Counters.create("supervisor", SUPERVISOR_WORDS)
        self.supervisor.set("generation", 1)
        self.supervisor.set("started_us", 17)
        self.ring = Block.create("receiver-0 to shard-0", ring_bytes(4096))
        self.arguments: WebArguments = replace(
            web_arguments(data_dir),
            pages=(self.shard,),
            rings=(self.ring,),
            supervisor=self.supervisor,
            name="east",
        )
        self.instruments = Instruments(self.arguments, self.clock)

    def live(self) -> None:
        """The shard does, in this very process."""
        self.shard.set("pid", os.getpid())
        self.shard.set("generation", 2)
        self.shard.set("phase", RUNNING)
        self.shard.set("beat_ns", self.clock.now_ns())


def test_a_process_is_told_by_its_page_and_by_the_kernel(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.live()
    bench.clock.advance(2.0)
    bench.shard.set("cpu_ns", 500_000_000)
    look, paced = bench.instruments.look()
    supervisor, shard = bench.instruments.processes(look, paced)
    assert shard.pop("rss_bytes") > 1_000_000
    assert shard == {
        "name": "shard-0",
        "pid": os.getpid(),
        "phase": "running",
        "generation": 2,
        "beat_age_s": 2.0,
        "cpu_s": 0.5,
        "cpu_percent": 25.0,
    }
    assert (supervisor["name"], supervisor["phase"]) == ("supervisor", "starting")


def test_a_process_that_is_gone_has_no_memory(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.live()
    bench.shard.set("pid", 2**22 + 1)  # no such process: beyond the kernel's largest
    look, paced = bench.instruments.look()
    assert bench.instruments.processes(look, paced)[1]["rss_bytes"] is None


def test_a_ring_is_told_by_how_full_it_is(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    producer = Producer(bench.ring, generation=1, doorbell=Doorbell.create("d"))
    producer.stage(b"x" * 100, KIND_EVENT)
    producer.publish()
    (ring,) = bench.instruments.rings()
    assert ring.pop("used_bytes") == producer.used_bytes > 100
    assert ring == {"from": "receiver-0", "to": "shard-0", "capacity_bytes": 4096}


def test_rates_are_those_of_the_last_moments(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    rates = []
    for _ in range(100):
        bench.clock.advance(APART_S / 2)
        bench.shard.add("received", 50)
        _, paced = bench.instruments.look()
        rates.append(paced)
    assert rates[0] is None  # too early
    latest = rates[-1]
    assert latest is not None
    assert latest.per_s["events"] == 200.0
    assert WINDOW_S - APART_S <= latest.seconds <= WINDOW_S + APART_S


def test_a_rate_of_long_ago_is_none(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.shard.add("received", 1_000_000)  # then all was quiet
    bench.clock.advance(3_600)
    assert bench.instruments.look()[1] is None
    bench.clock.advance(APART_S)
    bench.shard.add("received", 5)
    _, paced = bench.instruments.look()
    assert paced is not None
    assert paced.per_s["events"] == 10.0
    bench.clock.advance(LONGEST_S)
    assert bench.instruments.look()[1] is not None


def test_a_child_that_was_never_started_has_no_beat(tmp_path: Path) -> None:
    look, paced = Bench(tmp_path).instruments.look()
    shard = Bench(tmp_path).instruments.processes(look, paced)[1]
    assert (shard["pid"], shard["phase"], shard["beat_age_s"]) == (None, "not started", None)


def test_since_when_it_lives_is_known_unless_its_supervisor_is_embedded(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.instruments.since_us == 17
    bench.supervisor.set("generation", 0)
    embedded = Instruments(bench.arguments, bench.clock)
    assert embedded.since_us is None
    assert list(embedded.look()[0].counters) == ["shard-0"]

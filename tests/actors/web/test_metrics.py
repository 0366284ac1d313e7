"""Metrics: what a scrape says of pages, rings and agents, read as Prometheus reads it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from prometheus_client import exposition, parser
from pydantic import SecretStr

from actors.app.shared_memory import SharedMemory
from actors.sender.latency import Latency
from actors.sender.words import bucket_words
from actors.settings.model import Settings
from actors.settings.sinks import SinkSettings
from actors.shard.durations import Durations
from actors.web.metrics import HISTOGRAMS, METRICS, OTHER, SILENT_S, Metrics, role_of
from runtime.block import Block
from runtime.child import Child
from runtime.clock import ManualClock, SystemClock
from runtime.counters import Counters
from runtime.doorbell import Doorbell
from runtime.ring import KIND_EVENT, Producer, ring_bytes
from tests.actors.web.rig import Web, eventually

EVERYTHING = Settings(
    dialect="cloud",
    client_id="c",
    client_secret=SecretStr("s"),
    shards=1,
    ring_bytes=64 << 10,
    sinks=(SinkSettings(name="lines", kind="jsonl", path=Path("-")),),
)
HOSTILE = 'Talking"} 1\npresence_forged{state="\\'


class Health(NamedTuple):
    is_lagging: bool = False
    stale_agents: int = 0
    stale_since_us: int | None = None


class Model(NamedTuple):
    by_state: Counter[str]
    now: Health = Health()

    def health(self, _now_us: int) -> Health:
        return self.now


def pages() -> dict[str, Counters]:
    """As they are laid out for a runtime that has all there is."""
    shared = SharedMemory.create(EVERYTHING)
    return {page.name: page for page in (shared.supervisor, *shared.pages(EVERYTHING))}


def live(counters: Counters, generation: int = 1) -> None:
    """What a child writes as it begins."""
    child = Child(counters.name, generation, counters)
    counters.set("pid", os.getpid())
    counters.set("generation", generation)
    child.set_phase(Counters.RUNNING)


class Scrape:
    """One answer."""

    def __init__(self, metrics: Metrics) -> None:
        told = exposition.generate_latest(metrics.registry())
        self.text = told.decode()
        read = parser.text_string_to_metric_families
        self.families = {each.name: each for each in read(self.text)}
        self.samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float | None:
        return self.samples.get((name, frozenset(labels.items())))

    def labels(self, name: str, label: str) -> set[str]:
        return {dict(labels)[label] for sample, labels in self.samples if sample == name}


def scrape(
    of: Sequence[Counters] = (), rings: Sequence[Block] = (), seen: Model | None = None
) -> Scrape:
    return Scrape(Metrics(of, rings, SystemClock(), seen, version="0", dialect="wsp"))


def test_every_word_that_is_shown_stands_in_some_page() -> None:
    roles = {role_of(name): set(page.words) for name, page in pages().items()}
    shown = [(each.role, each.word) for metric in METRICS for each in metric.words]
    for histogram in HISTOGRAMS:
        shown += [(histogram.role, word) for word, _ in histogram.buckets]
        shown.append((histogram.role, histogram.sum_us))
    assert [(role, word) for role, word in shown if word not in roles[role]] == []
    assert len(set(shown)) == len(shown)


def test_a_word_becomes_a_sample_of_its_child() -> None:
    every = pages()
    every["shard-0"].set("applied", 7)
    every["sender"].set("refused_capacity", 3)
    told = scrape([*every.values()])
    assert told.value("presence_shard_events_total", child="shard-0", outcome="applied") == 7
    assert told.value("presence_commands_refused_total", child="sender", code="capacity") == 3
    assert told.families["presence_shard_events"].type == "counter"
    assert told.families["presence_shard_agents"].type == "gauge"


def test_families_without_a_sample_are_left_out() -> None:
    told = scrape([pages()["web"]])
    assert "presence_shard_events" not in told.families
    assert "presence_agents" not in told.families
    assert "presence_web_requests" in told.families


def test_counters_go_on_whoever_is_restarted() -> None:
    counters = pages()["shard-0"]
    live(counters)
    counters.set("applied", 100)
    Durations(counters, "event").add(2_000_000)
    before = scrape([counters])
    live(counters, generation=2)
    after = scrape([counters])
    counted = [
        (key, value)
        for key, value in before.samples.items()
        if key[0].endswith(("_total", "_bucket", "_sum", "_count"))
    ]
    assert len(counted) > 40
    assert [key for key, value in counted if after.samples[key] < value] == []
    assert before.value("presence_child_restarts_total", child="shard-0") == 0
    assert after.value("presence_child_restarts_total", child="shard-0") == 1


class TestAChild:
    def test_lives_as_long_as_it_beats(self) -> None:
        counters = pages()["web"]
        live(counters)
        told = scrape([counters])
        assert told.value("presence_child_up", child="web") == 1
        assert told.value("presence_child_phase", child="web", phase="running") == 1
        assert told.value("presence_child_phase", child="web", phase="waiting") == 0
        assert (told.value("presence_child_resident_memory_bytes", child="web") or 0) > 1e6

    def test_that_was_never_started_is_not_up(self) -> None:
        told = scrape([pages()["web"]])
        assert told.value("presence_child_up", child="web") == 0
        assert told.value("presence_child_restarts_total", child="web") == 0
        assert told.value("presence_child_beat_age_seconds", child="web") is None

    def test_that_is_silent_is_not_up(self) -> None:
        counters = pages()["web"]
        live(counters)
        clock = ManualClock(counters.get("beat_ns") / 1e9)
        metrics = Metrics([counters], (), clock)
        clock.advance(SILENT_S - 1)
        assert Scrape(metrics).value("presence_child_up", child="web") == 1
        clock.advance(2)
        assert Scrape(metrics).value("presence_child_up", child="web") == 0

    def test_whose_process_is_gone_is_not_up(self) -> None:
        counters = pages()["web"]
        live(counters)
        counters.set("pid", 2**22 + 1)  # above any that Linux gives
        told = scrape([counters])
        assert told.value("presence_child_up", child="web") == 0
        assert told.value("presence_child_resident_memory_bytes", child="web") == 0


def test_a_ring_tells_how_full_it_is_by_its_two_ends() -> None:
    block = Block.create("receiver-0 to shard-1", ring_bytes(1024))
    producer = Producer(block, generation=1, doorbell=Doorbell.create("shard-1"))
    assert producer.stage(b"x" * 40, KIND_EVENT)
    producer.publish()
    told = scrape(rings=[block])
    ends = {"producer": "receiver-0", "consumer": "shard-1"}
    assert told.value("presence_ring_used_bytes", **ends) == 64
    assert told.value("presence_ring_capacity_bytes", **ends) == 1024


def test_buckets_hold_all_that_stayed_under_their_bound() -> None:
    counters = pages()["shard-0"]
    durations = Durations(counters, "commit")
    for took_ms in (0.4, 3, 3, 70_000):
        durations.add(round(took_ms * 1e6))
    told = scrape([counters])
    name = "presence_shard_commit_seconds"
    at_most = {
        bound: told.value(f"{name}_bucket", child="shard-0", le=bound)
        for bound in ("0.0005", "0.0025", "0.005", "60.0", "+Inf")
    }
    assert list(at_most.values()) == [1, 1, 3, 3, 4]
    assert told.value(f"{name}_count", child="shard-0") == 4
    assert told.value(f"{name}_sum", child="shard-0") == pytest.approx(70.0064)


def test_a_command_is_measured_in_bounds_that_double() -> None:
    counters = pages()["sender"]
    latency = Latency()
    for took_ms in (1, 1.1, 1.9, 3, 500_000):
        latency.add(took_ms)
    for word, count in zip(bucket_words("confirmation"), latency.buckets, strict=True):
        counters.set(word, count)
    counters.set("confirmation_sum_us", round(latency.sum_ms * 1000))
    told = scrape([counters])
    name = "presence_command_confirmation_seconds"
    bounds = ("0.001", "0.002", "0.004", "65.536", "+Inf")
    at_most = [told.value(f"{name}_bucket", child="sender", le=each) for each in bounds]
    assert at_most == [1, 3, 4, 4, 5]
    assert len(told.labels(f"{name}_bucket", "le")) <= 20


@pytest.mark.parametrize(
    ("words", "behind"),
    [
        ({"mark_epoch": 2, "mark_sequence": 900}, 100),
        ({"mark_epoch": 2, "mark_sequence": 1_001}, 0),
        ({"mark_epoch": 1, "mark_sequence": 5_000}, None),  # of a numbering that is over
    ],
)
def test_how_far_a_shard_is_behind(words: Mapping[str, int], behind: int | None) -> None:
    every = pages()
    every["receiver-0"].set("gateway_epoch", 2)
    every["receiver-0"].set("watermark", 1_000)
    for word, value in words.items():
        every["shard-0"].set(word, value)
    told = scrape([*every.values()])
    assert told.value("presence_shard_behind_sequences", child="shard-0") == behind


def test_whether_a_shard_is_confirmed_is_one_or_zero() -> None:
    counters = pages()["shard-0"]
    for since_us, is_stale in ((0, 0), (1, 1), (1_795_000_000_000_000, 1)):
        counters.set("stale_since_us", since_us)
        assert scrape([counters]).value("presence_shard_stale", child="shard-0") == is_stale


def test_the_oldest_message_has_an_age_and_none_has_none() -> None:
    counters = pages()["sender"]
    assert scrape([counters]).value("presence_webhook_oldest_seconds", child="sender") == 0
    counters.set("webhooks_oldest_us", SystemClock().wall_us() - 90_000_000)
    age_s = scrape([counters]).value("presence_webhook_oldest_seconds", child="sender")
    assert age_s is not None
    assert age_s >= 90


class TestAgents:
    def test_are_counted_by_state(self) -> None:
        told = scrape(seen=Model(Counter({"Talking": 3, "Unknown": 1})))
        assert told.value("presence_agents", state="Talking") == 3
        assert told.value("presence_agents", state="Unknown") == 1
        assert told.value("presence_agents", state="Available") == 0

    def test_in_states_that_nobody_knows_share_one_label(self) -> None:
        made_up = Counter({f"state-{number}": 1 for number in range(1_000)})
        told = scrape(seen=Model(made_up + Counter({HOSTILE: 1, "Talking": 2})))
        assert told.value("presence_agents", state=OTHER) == 1_001
        assert len(told.labels("presence_agents", "state")) == 7
        assert "forged" not in told.text

    def test_that_are_stale_are_told_with_their_time(self) -> None:
        stale = Health(is_lagging=True, stale_agents=5, stale_since_us=1_795_000_000_000_000)
        told = scrape(seen=Model(Counter(Talking=5), stale))
        assert told.value("presence_agents_stale") == 5
        assert told.value("presence_page_lagging") == 1
        assert told.value("presence_stale_since_timestamp_seconds") == 1_795_000_000
        never = scrape(seen=Model(Counter(Talking=5), Health(stale_agents=5, stale_since_us=0)))
        assert never.value("presence_stale_since_timestamp_seconds") is None


def test_what_runs_is_told_in_labels() -> None:
    (labels,) = [dict(labels) for name, labels in scrape().samples if name == "presence_build_info"]
    assert (labels["version"], labels["dialect"]) == ("0", "wsp")
    assert labels["python"].startswith("3.")


def test_the_route_answers_what_prometheus_reads(http: httpx.Client) -> None:
    answer = http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    names = {each.name for each in parser.text_string_to_metric_families(answer.text)}
    assert "presence_build_info" in names


def test_who_follows_the_stream_is_counted_while_they_do(web: Web, http: httpx.Client) -> None:
    readers = partial(web.child.counters.get, "stream_readers")
    with http.stream("GET", "/api/stream") as stream:
        assert stream.status_code == 200
        eventually(lambda: readers() == 1, "the reader is counted")
    eventually(lambda: readers() == 0, "the reader has left")

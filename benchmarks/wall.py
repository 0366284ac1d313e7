"""Wall: what people see, and what it takes: the web child as it is, over real rings and sockets.

The benchmark plays one shard without a journal, at a given rate, through a real feed. It measures
the first byte of a snapshot, from a change to a reader's hands, and the CPU of the web child; and
compares what the readers have in the end with what the shard holds. What many readers cost the
rest of a whole runtime is measured in pairs: `wall_pairs`.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Final, NamedTuple

import orjson

from actors.genesys.times import iso_ms
from actors.messages.control import SCOPE_ALL, HistoryEnds, SessionBegins, encode_control
from actors.settings.web import WebSettings
from actors.shard.feed import FEED_WORDS, Feed, FeedArguments
from actors.shard.shard import Shard
from actors.web.arguments import WEB_WORDS, FeedEnds, WebArguments
from benchmarks import wall_pairs
from benchmarks.harness import (
    Answer,
    Benchmark,
    Options,
    Target,
    WrongResultError,
    take_turns,
    verify,
)
from benchmarks.wall_readers import View, WallReaders, get
from runtime.block import Block
from runtime.child_spec import ChildSpec
from runtime.counters import Counters
from runtime.doorbell import Doorbell
from runtime.log import LogArguments, setup
from runtime.ring import KIND_CONTROL, KIND_EVENT, Consumer, Producer, ring_bytes
from runtime.supervisor import Supervisor

EVENT_RING_BYTES: Final = 64 << 20
STATES: Final = ("Available", "Talking", "Wrapped Up", "Not Available")
QUEUES: Final = 100
_LOG: Final = LogArguments(format="json", level="error")
TURN_S: Final = 0.01
"""How often the shard is given what has happened since."""
PATIENCE_S: Final = 60.0
SNAPSHOTS: Final = 20
FIRST_BYTE: Final = "ms, p95 of the snapshot's first byte"
SEEN: Final = "ms, p99 from a change to a page"
TOLD: Final = "ms, p99 from the tick to a reader"
CPU: Final = "% of a core, web"


class Scenario(NamedTuple):
    agents: int
    events_per_s: int
    readers: int

    def __str__(self) -> str:
        return f"{self.agents:,} agents, {self.events_per_s:,}/s, {self.readers} readers"


LATENCY: Final = Scenario(5_000, 2_000, 20)
LARGE: Final = Scenario(50_000, 500, 5)


class Wall:
    """A web child, and a shard that is played to it."""

    def __init__(self, scenario: Scenario, data_dir: Path) -> None:
        self._users = [f"{n:08x}-0000-4000-8000-000000000000" for n in range(scenario.agents)]
        self._step = 0
        events, bell = Block.create("events", ring_bytes(EVENT_RING_BYTES)), Doorbell.create("s")
        self._producer = Producer(events, generation=1, doorbell=bell)
        self._consumer = Consumer(events, generation=1)
        told = FeedArguments(
            feed=Block.create("feed", ring_bytes(4 << 20)),
            wants=Block.create("wants", ring_bytes(64 << 10)),
        )
        page = Counters.create("shard", FEED_WORDS)
        self._shard = Shard(0, 1, rings=1, now_s=0.0, journalled=False)
        self._feed = Feed(told, page, 1)
        self.page = Counters.create("web", WEB_WORDS)
        ends = FeedEnds(feed=told.feed, wants=told.wants, doorbell=bell)
        arguments = WebArguments(
            data_dir=data_dir,
            sender_enabled=False,
            orders=Block.create("orders", ring_bytes(1 << 16)),
            outcomes=Block.create("outcomes", ring_bytes(1 << 16)),
            doorbell=Doorbell.create("web"),
            sender_doorbell=Doorbell.create("sender"),
            sender_counters=Counters.create("sender"),
            shard_counters=(page,),
            feeds=(ends,),
            settings=WebSettings(listen="127.0.0.1:0", requests_per_s=0),
        )
        spec = ChildSpec(
            name="web",
            title="benchmark: web",
            entry="actors.web.server:run",
            arguments=arguments,
            counters=self.page,
            setup="runtime.log:setup_child",
            setup_arguments=_LOG,
        )
        self.supervisor = Supervisor([spec])

    # -- the shard ---------------------------------------------------------------------------------

    def begin(self) -> None:
        now_us = _now_us()
        begins = SessionBegins(1, SCOPE_ALL, 1, "", 1, None, now_us)
        self._give(encode_control(begins), KIND_CONTROL)
        for number in range(len(self._users)):
            self._give(self._frame(number, 1, now_us, is_history=True), KIND_EVENT, 1)
            if number % 512 == 0:
                self._take()
        ends = HistoryEnds(1, SCOPE_ALL, complete=True, at_us=now_us)
        self._give(encode_control(ends), KIND_CONTROL)
        self._take()

    def change(self, count: int) -> None:
        """Real changes, of one agent after the other."""
        for _ in range(count):
            self._step += 1
            number = self._step * 7_919 % len(self._users)
            frame = self._frame(number, self._step + 1, _now_us(), is_history=False)
            self._give(frame, KIND_EVENT, self._step + 1)
        self._take()

    def serve(self) -> None:
        """What readers want of the shard, and what its supervisor has to do."""
        wants = self._feed.consumer.peek()
        if wants is not None:
            self._feed.hear(wants)
            self._feed.consumer.commit(wants.cursor_to)
        while self._feed.has_more(time.monotonic()):
            self._feed.tell_more(self._shard, time.monotonic())
        self.supervisor.step(0.0)

    def held(self) -> dict[str, tuple[str | None, int]]:
        by_id = self._shard.agent_table.by_id
        return {agent.user_id: (agent.state, agent.at_us // 1_000) for agent in by_id}

    def _give(self, payload: bytes, kind: int, sequence: int = 0) -> None:
        staged = self._producer.stage(
            payload, kind, epoch=1, sequence=sequence, received_ns=_now_us() * 1_000
        )
        verify("room in the ring", staged, True)

    def _take(self) -> None:
        self._producer.publish()
        while (batch := self._consumer.peek()) is not None:
            self._shard.take(batch, 0.0)
            self._feed.publish(self._shard, None)
            self._consumer.commit(batch.cursor_to)

    def _frame(self, number: int, sequence: int, at_us: int, *, is_history: bool) -> bytes:
        state = STATES[(self._step // len(self._users) + self._step + number) % len(STATES)]
        history = '"history":true,' if is_history else ""
        data = (
            f'"userId":"{self._users[number]}","state":"{state}",'
            f'"timestamp":"{iso_ms(at_us)}","queueId":"queue-{number % QUEUES:04}"'
        )
        return (
            f'{{{history}"type":"routing.agents.state","sequence":{sequence},"data":{{{data}}}}}'
        ).encode()

    # -- the web child -----------------------------------------------------------------------------

    @property
    def port(self) -> int:
        return self.page.get("port")

    def snapshot(self) -> View:
        return View(orjson.loads(get(self.port, "/api/snapshot")[1]))

    def wait_for(self, agents: int) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while self.page.get("feed_agents") < agents or self.page.get("feed_lagging"):
            if time.monotonic() > deadline_s:
                raise WrongResultError(f"the page does not know {agents:,} agents")
            self.serve()
            time.sleep(TURN_S)
        while not self.port or len(self.snapshot().agents) < agents:
            if time.monotonic() > deadline_s:
                raise WrongResultError(f"the page does not tell {agents:,} agents")
            self.serve()
            time.sleep(TURN_S)


@contextmanager
def _walls(scenario: Scenario) -> Iterator[Wall]:
    with tempfile.TemporaryDirectory(prefix="presence-bench-") as folder:
        wall = Wall(scenario, Path(folder))
        with wall.supervisor:
            wall.supervisor.start()
            wall.begin()
            wall.wait_for(scenario.agents)
            yield wall


def _live(wall: Wall, scenario: Scenario, seconds: float) -> None:
    """Changes at their rate, whatever the machine does in between."""
    began_s, done = time.monotonic(), 0
    while (passed_s := time.monotonic() - began_s) < seconds:
        due = int(passed_s * scenario.events_per_s)
        wall.change(due - done)
        done = due
        wall.serve()
        time.sleep(TURN_S)


def _measured(scenario: Scenario, seconds: float) -> Mapping[str, float]:
    with _walls(scenario) as wall:
        readers = WallReaders(wall.port, scenario.readers)
        cpu_ns, began_s = wall.page.get("cpu_ns"), time.monotonic()
        _live(wall, scenario, seconds)
        took_s = time.monotonic() - began_s
        _live(wall, scenario._replace(events_per_s=0), 1.0)  # the last is told, the page written
        used_ns = wall.page.get("cpu_ns") - cpu_ns
        _verify(wall, readers)
    published = [each for reader in readers.readers for each in reader.published_ms]
    return {
        SEEN: _p99(readers.first.happened_ms),
        TOLD: _p99(published),
        CPU: used_ns / 1e7 / took_s,
    }


def _verify(wall: Wall, readers: WallReaders) -> None:
    truth = wall.snapshot()
    verify("the page's view is what the shard holds", truth.agents == wall.held(), True)
    newest = int(truth.id.rpartition("-")[2])
    deadline_s = time.monotonic() + PATIENCE_S
    while readers.newest() < newest and time.monotonic() < deadline_s:
        wall.serve()
        time.sleep(TURN_S)
    readers.close()
    first = readers.first
    assert first.view is not None
    verify("readers that had to begin anew", sum(each.resyncs for each in readers.readers), 0)
    verify("events read", sorted(first.frames), list(range(readers.began_at + 1, newest + 1)))
    verify("all read the same", all(each.frames == first.frames for each in readers.readers), True)
    verify("a reader's view is what the shard holds", first.view.agents == wall.held(), True)


def _large(seconds: float) -> Mapping[str, float]:
    """Snapshots while agents change: none is that of another tick."""
    first_ms: list[float] = []
    with _walls(LARGE) as wall:
        for _ in range(SNAPSHOTS):
            _live(wall, LARGE, max(seconds / SNAPSHOTS, 0.15))
            first_s, body = get(wall.port, "/api/snapshot")
            first_ms.append(first_s * 1e3)
        verify("agents in a snapshot", len(orjson.loads(body)["agents"]), LARGE.agents)
    return {FIRST_BYTE: quantiles(first_ms, n=20)[-1], "ms, median of it": median(first_ms)}


def _p99(values: list[float]) -> float:
    return quantiles(values, n=100)[-1]


def _now_us() -> int:
    return time.time_ns() // 1_000


def run(options: Options) -> Answer:
    setup(_LOG, process="benchmark")
    large = f"{LARGE.agents:,} agents"
    contestants = {str(LATENCY): lambda seconds: _measured(LATENCY, seconds), large: _large}
    answer = Answer(figures=take_turns(contestants, options))
    pairs = wall_pairs.run(options) if options.own.pairs else Answer(figures=())
    return Answer(
        figures=(*answer.figures, *pairs.figures),
        targets=(
            Target(
                what="change → page, ms p99",
                reached=answer.median(str(LATENCY), SEEN),
                bound=500,
                sense="at most",
            ),
            Target(
                what="snapshot of 50,000, ms to the first byte",
                reached=answer.median(large, FIRST_BYTE),
                bound=300,
                sense="at most",
            ),
            *pairs.targets,
        ),
    )


BENCHMARK = Benchmark(
    question="How soon do people see what changed, and what does the web child spend on it?",
    run=run,
    add_arguments=wall_pairs.add_arguments,
)

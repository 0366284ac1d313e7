"""Ours, in the part of a peer: the runtime under its own supervisor, whole or only the pipeline."""

from __future__ import annotations

import argparse
import json
import select
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from pydantic import SecretStr

from actors.app.topology import Runtime
from actors.genesys.times import iso_ms
from actors.settings.model import Settings
from actors.settings.sender import SenderSettings
from actors.settings.web import WebSettings
from actors.shard.arguments import ShardArguments
from actors.shard.reader import read_states
from actors.web.arguments import FeedEnds
from benchmarks.peers.part import Given, Report, say
from benchmarks.peers.watcher import Watcher
from runtime.block import Block
from runtime.child_spec import ChildSpec
from runtime.errors import EXIT_CLEAN, LocalError
from runtime.log import LogArguments, setup
from runtime.ring import ring_bytes
from runtime.supervisor import Supervisor

STEP_S = 0.005
DRAIN_S = 240.0
"""What a million agents take to be written down on a busy machine; nothing is measured by then."""
FEED_BYTES = 64 << 20
"""Of each shard: some two seconds at full speed."""
PIPELINE = ("shard", "receiver")


class Ours:
    """One run, from its start to its report."""

    def __init__(self, runtime: Runtime, *, is_bare: bool, is_watched: bool) -> None:
        specs = runtime.specs
        self._watcher = None
        if is_watched:
            specs, feeds = _with_long_feeds(specs)
            self._watcher = Watcher(feeds)
        if is_bare:
            specs = tuple(spec for spec in specs if spec.role in PIPELINE)
        self._specs = specs
        self._runtime = runtime
        self._supervisor = Supervisor(specs, environment=runtime.environment, drain_s=DRAIN_S)

    def play(self, agents: int) -> None:
        with self._supervisor as supervisor:
            supervisor.start()
            self._until(lambda: self._is_ready(agents))
            if self._watcher is not None:
                self._watcher.watch()
            self._beat()
            before, received = self._cpu_s(), self._total("received")
            say({"ready": True})
            self._until(lambda: bool(select.select([0], [], [], 0)[0]))
            newest = int(sys.stdin.readline())
            self._until(lambda: self._is_at(newest))
            say({"finished": True})
            self._beat()
            used = {role: cpu_s - before[role] for role, cpu_s in self._cpu_s().items()}
            supervisor.request_stop("measured")
            while not supervisor.finished:
                supervisor.step(STEP_S)
            if supervisor.exit_code != EXIT_CLEAN or any(supervisor.restarts.values()):
                raise LocalError(f"the runtime has ended: {supervisor.reason}")
        ages_ms = {}
        if self._watcher is not None:
            ages_ms = self._watcher.ages_ms(self._total("received") - received)
        report = Report(
            events=self._total("received"),
            transitions=self._total("applied"),
            states={
                agent.user_id: (agent.state, iso_ms(agent.at_us))
                for agent in read_states(self._runtime.data_dir.path)
            },
            cpu_s=used,
            ages_ms=ages_ms,
        )
        say(asdict(report))

    def _is_ready(self, agents: int) -> bool:
        shards = self._runtime.shards
        return self._total("agents") >= agents and not any(
            page.get("stale_since_us") or page.get("history_running") for page in shards
        )

    def _is_at(self, newest: int) -> bool:
        return all(page.get("mark_sequence") >= newest for page in self._runtime.shards)

    def _beat(self) -> None:
        """Until every child has written down the CPU that it has used by now."""
        asked_ns = time.monotonic_ns()
        self._until(lambda: all(spec.counters.get("beat_ns") > asked_ns for spec in self._specs))

    def _until(self, fact: Callable[[], bool]) -> None:
        while not fact():
            self._supervisor.step(STEP_S)
            if self._supervisor.finished:
                raise LocalError(f"the runtime has ended: {self._supervisor.reason}")

    def _total(self, word: str) -> int:
        return sum(page.get(word) for page in self._runtime.shards)

    def _cpu_s(self) -> dict[str, float]:
        used = dict.fromkeys((spec.role for spec in self._specs), 0.0)
        for spec in self._specs:
            used[spec.role] += spec.counters.get("cpu_ns") / 1e9
        return used


def _with_long_feeds(
    specs: tuple[ChildSpec, ...],
) -> tuple[tuple[ChildSpec, ...], list[FeedEnds]]:
    """A reader that falls behind begins anew; ours is to see every event of a slow second."""
    found, feeds = [], []
    for spec in specs:
        shard = spec.arguments
        if not isinstance(shard, ShardArguments):
            found.append(spec)
            continue
        assert shard.feed is not None
        long = replace(shard.feed, feed=Block.create("feed", ring_bytes(FEED_BYTES)))
        feeds.append(FeedEnds(feed=long.feed, wants=long.wants, doorbell=shard.doorbell))
        found.append(replace(spec, arguments=replace(shard, feed=long)))
    return tuple(found), feeds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("given", type=lambda text: Given(**json.loads(text)))
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--bare", action="store_true", help="no page and no sender")
    parser.add_argument("--watched", action="store_true", help="a reader keeps every age")
    parser.add_argument("--folder", type=Path, required=True)
    asked = parser.parse_args()
    given: Given = asked.given
    log = LogArguments(format="json", level="error", path=str(asked.folder / "log"))
    setup(log, process="supervisor")
    settings = Settings(
        base_url=given.base_url,
        client_id=given.client_id,
        client_secret=SecretStr(given.client_secret),
        ca_file=None if given.ca_file is None else Path(given.ca_file),
        data_dir=asked.folder / "data",
        shards=asked.shards,
        journal="off" if given.journal is None else "full",
        sender=SenderSettings(enabled=not (asked.bare or asked.watched)),
        web=WebSettings(listen="127.0.0.1:0"),
    )
    runtime = Runtime.assemble(settings, log)
    try:
        ours = Ours(runtime, is_bare=asked.bare or asked.watched, is_watched=asked.watched)
        ours.play(given.agents)
    finally:
        runtime.data_dir.lock.release()


if __name__ == "__main__":
    main()

"""The child of all sinks: it wakes them, shows them, and lets none of them wait for another."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from actors.genesys.agent_profile import unknown
from actors.genesys.channel_plan import ChannelPlan
from actors.genesys.http import GatewayAddress
from actors.planner.store import RosterStore, roster_path
from actors.planner.store import prepare as prepare_roster
from actors.settings.sinks import SinkSettings
from actors.shard.arguments import SHARD_WORDS
from actors.sinks import loop
from actors.sinks.arguments import SINKS, SINKS_WORDS, SinksArguments
from actors.sinks.loop import Sinks
from runtime.child import Child
from runtime.clock import SystemClock
from runtime.counters import DRAINING, RUNNING, Counters
from tests.actors.receiver.rig import credentials, in_loop, until
from tests.actors.sinks.rig import SOURCE, all_events, lines_sink, prepared, shards
from tests.gateway.loopback import answer
from tests.gateway.scripted import WebhookReceiver

ADDRESS = GatewayAddress(api_url="http://127.0.0.1:9", credentials=credentials)


class Stage:
    """Two shards of a page, and the child between their journals and these sinks."""

    def __init__(self, folder: Path, *sinks: SinkSettings) -> None:
        self.folder = folder
        self.shards = shards(folder, 2)
        prepared(folder, *sinks)
        self.pages = tuple(Counters.create(f"shard-{index}", SHARD_WORDS) for index in range(2))
        self.counters = Counters.create(SINKS, SINKS_WORDS)
        self.child = Child("sinks", 1, self.counters)
        self.arguments = SinksArguments(
            settings=sinks,
            data_dir=folder,
            run="run",
            source=SOURCE,
            address=ADDRESS,
            shard_counters=self.pages,
        )

    def write(self, shard: int, *users: str) -> None:
        rows = self.shards[shard].write(*users)
        self.pages[shard].set("transitions", rows[-1])

    def get(self, word: str) -> int:
        return self.counters.get(word)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        sinks = Sinks(self.child, self.arguments, SystemClock())
        task = asyncio.get_running_loop().create_task(sinks.live())
        try:
            await until(lambda: self.get("phase") == RUNNING or task.done())
            yield task
            self.child.stop()
            await task
        finally:
            task.cancel()


def ids(path: Path) -> list[str]:
    """Of the whole lines: the last one may be half written while the sink works."""
    return [orjson.loads(line)["id"] for line in path.read_bytes().split(b"\n")[:-1]]


def everything(folder: Path) -> list[str]:
    return sorted(event.id for event in all_events(folder))


def test_rows_of_all_shards_are_in_the_file_soon_and_at_a_stop_for_certain(tmp_path: Path) -> None:
    path = tmp_path / "out" / "lines"
    path.parent.mkdir()
    stage = Stage(tmp_path / "data", lines_sink(path=path))

    async def test() -> None:
        async with stage.running():
            stage.write(0, "u1", "u1")
            stage.write(1, "u2")
            await until(lambda: path.exists() and len(ids(path)) == 3)
            await until(lambda: (stage.get("behind_rows"), stage.get("delivered")) == (0, 3))
            stage.shards[0].write("u1")  # no page says so
        assert stage.get("phase") == DRAINING

    in_loop(test)
    assert sorted(ids(path)) == everything(stage.folder)
    assert (stage.get("sinks"), stage.get("sinks_failing")) == (1, 0)


def test_events_say_who_an_agent_is_as_the_roster_has_it_by_then(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    stage = Stage(tmp_path / "data", lines_sink(path=path))
    roster = roster_path(stage.folder)

    def agents() -> list[dict[str, Any]]:
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        return [orjson.loads(line)["data"]["agent"] for line in lines]

    async def test() -> None:
        async with stage.running():
            stage.write(0, "u1")
            await until(lambda: agents() == [unknown("u1")])
            prepare_roster(roster, "run")
            with closing(RosterStore(roster, "run")) as store:
                plan = ChannelPlan(slots={}, unmonitored=frozenset({"u1"}))
                store.commit(plan, {"u1": "Uma"}, 1)
                store.put_profiles({"u1": '{"email":"uma@x.test"}'})
            stage.write(0, "u1", "u2")
            await until(lambda: len(agents()) == 3)

    in_loop(test)
    assert agents()[1:] == [
        unknown("u1") | {"name": "Uma", "email": "uma@x.test"}, unknown("u2")
    ]  # fmt: skip


def test_a_sink_that_is_refused_delays_no_other_and_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "lines"

    async def test() -> None:
        async with WebhookReceiver(answer(410)) as receiver:
            refusing = SinkSettings(name="wfm", kind="webhook", url=receiver.url, linger_ms=0)
            stage = Stage(tmp_path / "data", refusing, lines_sink(path=path))
            async with stage.running():
                for _ in range(3):
                    stage.write(0, *["u1"] * 100)
                await until(lambda: path.exists() and len(ids(path)) == 300)
                await until(lambda: stage.get("sinks_paused") == 1)
                assert (stage.get("sinks"), stage.get("sinks_failing")) == (2, 1)
                assert stage.get("behind_rows") == 300
                await until(lambda: stage.get("behind_ms") > 0)
            assert len(receiver.posts) in (1, 2)  # at a stop it is not waited for

    in_loop(test)


def test_a_sink_that_hangs_keeps_nobody_from_delivering_beating_or_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "DRAIN_S", 0.2)
    readable, writable = os.pipe()  # nobody reads it
    monkeypatch.setattr("actors.sinks.jsonl.StandardOutput.__init__.__defaults__", (writable,))
    path = tmp_path / "lines"
    stdout = SinkSettings(name="out", kind="jsonl", path=Path("-"))
    stage = Stage(tmp_path / "data", stdout, lines_sink(path=path))

    async def test() -> None:
        async with stage.running():
            stage.write(0, *["u1"] * 1_000)  # more than a pipe holds
            await until(lambda: path.exists() and len(ids(path)) == 1_000)
            beat_ns = stage.get("beat_ns")
            await until(lambda: stage.get("beat_ns") > beat_ns)

    in_loop(test)
    os.close(readable)  # the thread that hangs ends with an error
    assert len(ids(path)) == 1_000

"""DemoRun: when a demo may believe that the runtime has caught up, and what it says if not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from actors.demo.plan import DemoPlan
from actors.demo.run import DemoRun
from actors.demo.wishes import StopRequests
from actors.receiver.loop import RECEIVER_WORDS
from actors.sender.words import SENDER_WORDS
from actors.shard.arguments import SHARD_WORDS
from runtime.counters import Counters


class Scene:
    """A runtime that has caught up with its gateway."""

    def __init__(self) -> None:
        self.receiver = Counters.create("receiver-0", RECEIVER_WORDS)
        self.shards = tuple(Counters.create(f"shard-{n}", SHARD_WORDS) for n in range(2))
        for page in (self.receiver, *self.shards):
            page.set("beat_ns", 100)
        self.sender = Counters.create("sender", SENDER_WORDS)
        self.receiver.set("connected", 1)
        self.receiver.set("gateway_epoch", 3)
        self.receiver.note = "third"
        for page in self.shards:
            page.set("mark_epoch", 3)
            page.set("mark_sequence", 777)
        self.status: dict[str, Any] = {
            "newest_sequence": 777,
            "epoch": "third",
            "sockets": 1,
            "faults_left": 0,
        }

    def behind(self) -> list[str]:
        names = ((page, page.name.rpartition("-")[0]) for page in (*self.shards, self.receiver))
        runtime: Any = SimpleNamespace(
            specs=[
                SimpleNamespace(name=page.name, role=role, counters=page) for page, role in names
            ],
            receivers=(self.receiver,),
            sender=self.sender,
            planner=SimpleNamespace(name="planner"),
            shards=self.shards,
        )
        nobody: Any = None
        run = DemoRun(
            plan=DemoPlan(),
            runtime=runtime,
            supervisor=nobody,
            gateway=nobody,
            view=nobody,
            wishes=StopRequests(),
            one_time=nobody,
        )
        run._status = self.status
        return run._behind(asked_ns=50)


def test_a_runtime_that_has_everything_and_is_confirmed_is_not_behind() -> None:
    assert Scene().behind() == []


@pytest.mark.parametrize(
    ("page", "word", "value", "told"),
    [
        ("shard", "mark_sequence", 776, "shard-1 is at 776 of epoch 3, the gateway at 777"),
        ("shard", "mark_sequence", 10_000_000, "shard-1 is at 10,000,000"),  # of another numbering
        ("shard", "mark_epoch", 2, "shard-1 is at 777 of epoch 2"),
        ("shard", "stale_since_us", 5, "shard-1 has not confirmed its agents"),
        ("shard", "beat_ns", 49, "shard-1 does not respond"),
        ("receiver", "beat_ns", 49, "receiver-0 does not respond"),
        ("receiver", "connected", 0, "no session is up"),
        ("receiver", "history_running", 1, "a history is running"),
    ],
)
def test_each_page_must_say_so(page: str, word: str, value: int, told: str) -> None:
    scene = Scene()
    (scene.receiver if page == "receiver" else scene.shards[1]).set(word, value)
    (what,) = scene.behind()
    assert what.startswith(told)


def test_a_command_from_outside_that_has_no_end_is_waited_for() -> None:
    scene = Scene()
    scene.sender.set("unsettled", 2)
    assert scene.behind() == ["2 commands are unfinished"]


@pytest.mark.parametrize(
    ("word", "value", "told"),
    [
        ("sockets", 0, "the gateway has no connection"),
        ("faults_left", 2, "the gateway has 2 faults left"),
        ("epoch", "fourth", "the gateway's current numbering is not known yet"),
    ],
)
def test_so_must_the_gateway(word: str, value: object, told: str) -> None:
    scene = Scene()
    scene.status[word] = value
    assert scene.behind() == [told]

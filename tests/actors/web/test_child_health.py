"""Vital signs: which child that feeds the page does not live, and since when."""

from __future__ import annotations

from actors.web.child_health import BEAT_AGE_MAX_S, ChildHealthReader
from actors.web.read_model import ChildHealth
from runtime.clock import ManualClock
from runtime.counters import DRAINING, RUNNING, WAITING, Counters


class Scene:
    def __init__(self) -> None:
        self.clock = ManualClock(1_000.0)
        self.receiver = Counters.create("receiver-0")
        self.shard = Counters.create("shard-0")
        self.sender = Counters.create("sender")
        self.signs = ChildHealthReader((self.sender, self.shard, self.receiver), self.clock)
        for page in (self.shard, self.receiver):
            page.set("phase", RUNNING)
            self.beat(page)

    def beat(self, page: Counters) -> None:
        page.set("beat_ns", self.clock.now_ns())


def test_children_that_run_and_beat_are_alive() -> None:
    assert Scene().signs.look() == ChildHealth()


def test_a_child_that_does_not_beat_is_named_since_it_was_seen() -> None:
    scene = Scene()
    scene.clock.advance(BEAT_AGE_MAX_S + 0.1)
    scene.beat(scene.shard)
    since_us = scene.clock.wall_us()
    assert scene.signs.look() == ChildHealth(since_us, ("receiver-0 does not respond",))
    scene.clock.advance(0.5)
    assert scene.signs.look().stale_since_us == since_us
    scene.beat(scene.receiver)
    assert scene.signs.look() == ChildHealth()


def test_a_shard_that_waits_for_its_disk_says_so_however_old_its_beat_is() -> None:
    scene = Scene()
    scene.shard.set("phase", WAITING)
    scene.clock.advance(4.0)
    scene.beat(scene.receiver)
    assert scene.signs.look().reasons == ("shard-0 is waiting for its disk",)


def test_a_child_that_comes_or_goes_is_not_alive_yet_or_any_more() -> None:
    scene = Scene()
    scene.receiver.set("phase", DRAINING)
    assert scene.signs.look().reasons == ("receiver-0 is starting or stopping",)
    scene.receiver.set("beat_ns", 0)
    assert scene.signs.look().reasons == ("receiver-0 has not started yet",)

"""Vital signs: which child that feeds the page does not live, and since when."""

from __future__ import annotations

import pytest

from actors.receiver.cloud_arguments import CLOUD_RECEIVER_WORDS
from actors.web.child_health import BEAT_AGE_MAX_S, QUIET_S, ChildHealthReader
from actors.web.read_model import ChildHealth
from runtime.clock import ManualClock
from runtime.counters import DRAINING, RUNNING, STARTING, WAITING, Counters


class Scene:
    def __init__(self) -> None:
        self.clock = ManualClock(1_000.0)
        self.receiver = Counters.create("receiver-0", CLOUD_RECEIVER_WORDS)
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


def test_a_child_that_does_not_beat_is_named_since_its_last_beat() -> None:
    scene = Scene()
    since_us = scene.clock.wall_us()
    scene.clock.advance(BEAT_AGE_MAX_S + 0.1)
    scene.beat(scene.shard)
    assert scene.signs.look() == ChildHealth(since_us, ("receiver-0 does not respond",))
    scene.clock.advance(0.5)
    assert scene.signs.look().stale_since_us == since_us
    scene.beat(scene.receiver)
    assert scene.signs.look() == ChildHealth()


@pytest.mark.parametrize("phase", [RUNNING, WAITING, STARTING])
def test_a_receiver_that_is_gone_is_not_confirmed_since_its_last_frame(phase: int) -> None:
    scene = Scene()
    scene.receiver.set("heard_us", scene.clock.wall_us() - 7_000_000)
    scene.receiver.set("phase", phase)
    heard_us = scene.clock.wall_us() - 7_000_000
    scene.clock.advance(BEAT_AGE_MAX_S + 0.1)
    scene.beat(scene.shard)
    assert scene.signs.look().stale_since_us == heard_us


def test_a_last_frame_in_the_future_was_heard_by_now() -> None:
    scene = Scene()
    scene.receiver.set("heard_us", scene.clock.wall_us() + 60_000_000)
    scene.receiver.set("phase", DRAINING)
    assert scene.signs.look().stale_since_us == scene.clock.wall_us()


@pytest.mark.parametrize(
    ("quiet_s", "connected", "quiet", "said"),
    [
        (QUIET_S - 1, 0, 0, ()),
        (QUIET_S, 0, 0, ("receiver-0: nothing heard for 20 s",)),
        (33, 1, 1, ("receiver-0: nothing heard for 33 s",)),
        (33, 22, 2, ("receiver-0: nothing heard for 33 s on 2 of 22 channels",)),
    ],
)
def test_silence_is_told_from_20_s_on_and_is_no_reason_to_doubt_yet(
    quiet_s: int, connected: int, quiet: int, said: tuple[str, ...]
) -> None:
    scene = Scene()
    scene.receiver.set("quiet_s", quiet_s)
    scene.receiver.set("channels_connected", connected)
    scene.receiver.set("channels_quiet", quiet)
    assert scene.signs.look() == ChildHealth(warnings=said)


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

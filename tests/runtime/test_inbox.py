"""RingInbox: what `get` gives and in which order, and what ends its sleep."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

from runtime.clock import ManualClock
from runtime.doorbell import Doorbell
from runtime.inbox import BEAT, RingInbox
from runtime.ring import KIND_EVENT, Batch, Consumer, Producer
from tests.runtime.ring_pair import RingPair, frames

WAIT_S = 10.0
"""Longer than any machine needs: reached only if a wake-up was lost."""


class Inbox:
    """A RingInbox over some rings that share its doorbell."""

    def __init__(self, rings: int = 1, **options: Any) -> None:
        self.doorbell = Doorbell.create("inbox")
        pairs = [RingPair() for _ in range(rings)]
        self.producers = [
            Producer(pair.block, generation=2, doorbell=self.doorbell) for pair in pairs
        ]
        consumers = [Consumer(pair.block, generation=2) for pair in pairs]
        self.clock = ManualClock()
        self.inbox = RingInbox(consumers, self.doorbell, clock=self.clock, **options)

    def send(self, payload: bytes, ring: int = 0) -> None:
        assert self.producers[ring].stage(payload, KIND_EVENT)
        self.producers[ring].publish()

    def batch(self) -> Batch:
        message = self.inbox.get().message
        assert isinstance(message, Batch)
        return message


def test_a_batch_comes_again_until_it_is_committed() -> None:
    inbox = Inbox()
    inbox.send(b"one")
    assert frames(inbox.batch()) == [b"one"]
    inbox.send(b"two")
    batch = inbox.batch()
    assert frames(batch) == [b"one", b"two"]
    inbox.inbox.commit(batch)
    inbox.send(b"three")
    assert frames(inbox.batch()) == [b"three"]


def test_what_was_told_comes_before_what_stands_in_the_rings() -> None:
    inbox = Inbox()
    inbox.send(b"one")
    inbox.inbox.put(Envelope("told"))
    assert inbox.inbox.get().message == "told"
    assert frames(inbox.batch()) == [b"one"]


def test_rings_are_read_in_turn() -> None:
    inbox = Inbox(rings=3)
    order = []
    for _ in range(2):
        for ring in range(3):
            inbox.send(b"%d" % ring, ring)
    for ring in range(9):
        batch = inbox.batch()
        order.append(batch.ring)
        inbox.inbox.commit(batch)
        inbox.send(b"more", ring % 3)
    assert order == [0, 1, 2] * 3


def test_a_batch_has_at_most_the_records_that_are_set_now() -> None:
    inbox = Inbox(records_max=2)
    for _ in range(4):
        inbox.send(b"x")
    assert inbox.batch().count == 2
    inbox.inbox.records_max = 3
    assert inbox.batch().count == 3


def test_a_beat_comes_when_it_is_due_also_under_load_and_does_not_pile_up() -> None:
    inbox = Inbox(beat_s=0.5)
    inbox.send(b"load")
    inbox.inbox.put(Envelope("told"))
    inbox.clock.advance(0.49)
    assert inbox.inbox.get().message == "told"
    inbox.clock.advance(10.0)
    assert inbox.inbox.get().message is BEAT
    assert inbox.batch().count == 1
    inbox.clock.advance(0.5)
    assert inbox.inbox.get().message is BEAT


def test_an_idle_inbox_sleeps_until_the_next_beat() -> None:
    inbox = RingInbox([], Doorbell.create("idle"), beat_s=0.1)
    started_s, cpu_s = time.monotonic(), time.thread_time()
    assert inbox.get().message is BEAT
    assert time.monotonic() - started_s >= 0.09
    assert time.thread_time() - cpu_s < 0.05, "it polls"


def test_a_stop_is_delivered_when_every_ring_is_empty() -> None:
    inbox = Inbox(rings=2, records_max=1)
    for ring in (0, 1, 1):
        inbox.send(b"x", ring)
    inbox.inbox.put(Envelope(_ActorStop()))
    inbox.inbox.put(Envelope("after the stop"))
    for _ in range(3):
        inbox.inbox.commit(inbox.batch())
    assert isinstance(inbox.inbox.get().message, _ActorStop)
    assert inbox.inbox.get().message == "after the stop"


def test_empty_speaks_of_the_control_lane_only() -> None:
    inbox = Inbox()
    inbox.send(b"record")
    assert inbox.inbox.empty()
    inbox.inbox.put(Envelope("told"))
    assert not inbox.inbox.empty()


def test_closed_rings_keep_their_records_and_do_not_hold_a_stop_back() -> None:
    inbox = Inbox()
    inbox.send(b"kept")
    inbox.inbox.put(Envelope(_ActorStop()))
    inbox.inbox.close_rings()
    assert isinstance(inbox.inbox.get().message, _ActorStop)
    assert inbox.producers[0].used_bytes > 0


@pytest.mark.parametrize("linger_s", [0.0, 0.001])
def test_every_put_from_another_thread_wakes_the_sleeper(linger_s: float) -> None:
    inbox = RingInbox([], Doorbell.create("put"), beat_s=WAIT_S, linger_s=linger_s)
    got = threading.Semaphore(0)

    def read() -> None:
        for i in range(100):
            assert inbox.get().message == i
            got.release()

    reader = threading.Thread(target=read)
    reader.start()
    for i in range(100):
        inbox.put(Envelope(i))
        assert got.acquire(timeout=WAIT_S / 2), "the sleeper was not woken"
    reader.join()


def test_a_record_from_any_ring_wakes_the_sleeper() -> None:
    inbox = Inbox(rings=2, beat_s=WAIT_S)
    for ring in (0, 1, 0):
        timer = threading.Timer(0.02, inbox.send, (b"wake", ring))
        timer.start()
        started_s = time.monotonic()
        batch = inbox.batch()
        assert time.monotonic() - started_s < WAIT_S / 2, "the sleeper was not woken"
        assert batch.ring == ring
        inbox.inbox.commit(batch)
        timer.join()


def test_a_woken_reader_lingers_so_that_a_few_records_become_one_batch() -> None:
    """The linger is far longer than the writer takes, so nothing depends on who is quick."""
    inbox = Inbox(linger_s=0.5, beat_s=WAIT_S)
    rang = []

    def write() -> None:
        for i in range(10):
            time.sleep(0.001)  # apart, but all within the linger
            assert inbox.producers[0].stage(b"%d" % i, KIND_EVENT)
            inbox.producers[0].publish()
            rang.append(inbox.doorbell.ring())

    writer = threading.Timer(0.02, write)
    writer.start()
    batch = inbox.batch()
    writer.join()
    assert batch.count == 10
    assert not any(rang), "nobody announced a sleep while it lingered"


def test_a_full_batch_is_not_lingered_over() -> None:
    inbox = Inbox(linger_s=WAIT_S, records_max=2, beat_s=WAIT_S)

    def write() -> None:
        for _ in range(2):
            assert inbox.producers[0].stage(b"x", KIND_EVENT)
        inbox.producers[0].publish()

    writer = threading.Timer(0.02, write)
    writer.start()
    started_s = time.monotonic()
    assert inbox.batch().count == 2
    assert time.monotonic() - started_s < WAIT_S / 2
    writer.join()


def test_records_found_awake_are_not_lingered_over() -> None:
    inbox = Inbox(linger_s=WAIT_S)
    inbox.send(b"x")
    started_s = time.monotonic()
    assert inbox.batch().count == 1
    assert time.monotonic() - started_s < WAIT_S / 2

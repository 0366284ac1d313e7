"""Doorbells: ring only for a sleeper, never lose one, wake fast."""

from __future__ import annotations

import pickle
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from runtime.block import Block
from runtime.doorbell import Doorbell
from runtime.ring import KIND_EVENT, Consumer, Producer, ring_bytes

WAIT_S = 10.0
"""Longer than any machine needs: reached only if a ring was lost."""

ECHO = """if True:
    import pickle, sys
    from runtime.ring import Consumer, Producer
    there, here, back, home = pickle.loads(bytes.fromhex(sys.argv[1]))
    consumer = Consumer(there, generation=1)
    producer = Producer(back, generation=1, doorbell=home)
    while True:
        batch = consumer.peek()
        if batch is None:
            here.announce()
            if consumer.used_bytes == 0 and not here.wait(10.0):
                sys.exit("a ring was lost on the way there")
            here.cancel()
            continue
        for i in range(batch.count):
            producer.stage(batch.frame(i), 1, sequence=batch.sequences[i])
        is_last = batch.sequences[-1] < 0
        consumer.commit(batch.cursor_to)
        producer.publish()
        if is_last:
            break
"""


class Echo:
    """A process that sends back what it gets; both directions sleep whenever there is nothing."""

    def __init__(self) -> None:
        there, back = (Block.create(name, ring_bytes(4096)) for name in ("there", "back"))
        here, self.doorbell = Doorbell.create("here"), Doorbell.create("home")
        parts = (there, here, back, self.doorbell)
        self.producer = Producer(there, generation=1, doorbell=here)
        self.consumer = Consumer(back, generation=1)
        self.process = subprocess.Popen(
            [sys.executable, "-c", ECHO, pickle.dumps(parts).hex()],
            pass_fds=[fd for part in parts for fd in part.fds],
        )

    def round_trip(self, sequence: int) -> None:
        assert self.producer.stage(b"ping", KIND_EVENT, sequence=sequence)
        self.producer.publish()
        while (batch := self.consumer.peek()) is None:
            self.doorbell.announce()
            if self.consumer.used_bytes == 0:
                assert self.doorbell.wait(WAIT_S), "a ring was lost on the way back"
            self.doorbell.cancel()
        assert batch.sequences == [sequence]
        self.consumer.commit(batch.cursor_to)


@pytest.fixture
def echo() -> Iterator[Echo]:
    echo = Echo()
    echo.round_trip(0)
    yield echo
    echo.round_trip(-1)
    assert echo.process.wait(WAIT_S) == 0


def test_nobody_asleep_nobody_rung() -> None:
    doorbell = Doorbell.create("awake")
    assert not doorbell.ring()
    assert not doorbell.wait(0)


def test_a_sleeper_is_rung_once() -> None:
    doorbell = Doorbell.create("asleep")
    doorbell.announce()
    assert doorbell.ring()
    assert not doorbell.ring()
    assert doorbell.wait(0)


def test_a_reader_that_is_awake_again_is_not_rung_and_finds_nothing() -> None:
    doorbell = Doorbell.create("early")
    doorbell.announce()
    doorbell.ring()
    doorbell.cancel()
    assert not doorbell.wait(0)
    assert not doorbell.ring()


def test_an_announcement_that_was_taken_back_is_not_rung() -> None:
    doorbell = Doorbell.create("back")
    doorbell.announce()
    doorbell.cancel()
    assert not doorbell.ring()


def test_ring_always_wakes_a_reader_that_has_not_announced_itself_yet() -> None:
    doorbell = Doorbell.create("always")
    doorbell.ring_always()
    doorbell.announce()
    assert doorbell.wait(0)


def test_a_wait_ends_at_its_deadline() -> None:
    doorbell = Doorbell.create("quiet")
    started_s = time.monotonic()
    assert not doorbell.wait(0.05)
    assert time.monotonic() - started_s >= 0.05


def test_a_wait_lets_other_threads_work_and_is_ended_by_one() -> None:
    doorbell = Doorbell.create("thread")
    doorbell.announce()
    thread = threading.Timer(0.02, doorbell.ring)
    thread.start()
    assert doorbell.wait(WAIT_S)
    thread.join()


def test_a_signal_runs_its_handler_and_the_wait_goes_on() -> None:
    doorbell = Doorbell.create("signal")
    handled: list[int] = []
    previous = signal.signal(signal.SIGALRM, lambda number, _: handled.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        started_s = time.monotonic()
        assert not doorbell.wait(0.2)
        assert time.monotonic() - started_s >= 0.2
        assert handled == [signal.SIGALRM]
    finally:
        signal.signal(signal.SIGALRM, previous)


def test_many_signals_do_not_make_a_wait_longer() -> None:
    doorbell = Doorbell.create("signals")
    handled: list[int] = []

    def handle(number: int, frame: object) -> None:
        handled.append(number)
        if len(handled) == 200:
            signal.setitimer(signal.ITIMER_REAL, 0)

    previous = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        assert not doorbell.wait(0.1)
        assert 0 < len(handled) < 200
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def test_a_handler_that_raises_ends_the_wait() -> None:
    doorbell = Doorbell.create("interrupted")

    def interrupt(number: int, frame: object) -> None:
        raise InterruptedError("by its handler")

    previous = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(InterruptedError, match="by its handler"):
            doorbell.wait(WAIT_S)
    finally:
        signal.signal(signal.SIGALRM, previous)


def test_the_descriptor_is_readable_for_an_event_loop_when_rung() -> None:
    import select

    doorbell = Doorbell.create("loop")
    rung = select.poll()
    rung.register(doorbell.fileno(), select.POLLIN)
    assert rung.poll(0) == []
    doorbell.ring_always()
    assert rung.poll(0) == [(doorbell.fileno(), select.POLLIN)]
    doorbell.cancel()
    assert rung.poll(0) == []


def test_it_names_both_descriptors_for_a_child() -> None:
    doorbell = Doorbell.create("fds")
    assert doorbell.fds == (*doorbell.block.fds, doorbell.fileno())


def test_no_ring_is_lost_between_two_processes_that_both_sleep_all_the_time(echo: Echo) -> None:
    for sequence in range(1, 3000):
        echo.round_trip(sequence)


def test_a_record_wakes_its_reader_in_far_less_than_a_polling_interval(echo: Echo) -> None:
    """The target is 100 µs one way; the bound allows for a machine busy with other tests."""
    took_s = []
    for sequence in range(1, 200):
        time.sleep(0.001)  # so that the reader is asleep
        started_s = time.perf_counter()
        echo.round_trip(sequence)
        took_s.append(time.perf_counter() - started_s)
    assert statistics.median(took_s) / 2 < 0.005

"""RingActor: batches are handled, then committed; every way in which a life ends is told."""

from __future__ import annotations

import logging
from typing import Any

import pykka
import pytest

from runtime.doorbell import Doorbell
from runtime.inbox import RingInbox
from runtime.ring import KIND_EVENT, Batch, Consumer, Producer
from runtime.ring_actor import RingActor, wait_for
from tests.runtime.ring_pair import RingPair, frames

WAIT_S = 10.0


class Recorder(RingActor):
    """Notes what it is called with; raises what the test put into `raises`."""

    def __init__(self, inbox: RingInbox, raises: dict[str, BaseException] | None = None) -> None:
        super().__init__(inbox)
        self.raises = raises or {}
        self.calls: list[Any] = []
        notes[inbox] = self.calls

    def note(self, hook: str, *details: Any) -> None:
        self.calls.append((hook, *details))
        if hook in self.raises:
            raise self.raises[hook]

    def on_start(self) -> None:
        self.note("start")

    def on_batch(self, batch: Batch) -> None:
        self.note("batch", *frames(batch))

    def on_beat(self) -> None:
        self.note("beat")

    def on_message(self, message: Any) -> Any:
        self.note("message", message)
        return f"answer to {message}"

    def on_stop(self) -> None:
        self.note("stop")

    def on_failure(self, *exc_info: Any) -> None:
        self.note("failure")


notes: dict[RingInbox, list[Any]] = {}
"""The calls of every actor; its ref does not hold the actor."""


class Stage:
    """One actor, one ring; a successor takes over as after a crash."""

    def __init__(self) -> None:
        self.pair = RingPair()
        self.doorbell = Doorbell.create("actor")
        self.producer = Producer(self.pair.block, generation=2, doorbell=self.doorbell)
        self.generation = 1

    def start(self, *, beat_s: float = 60.0, **raises: BaseException) -> pykka.ActorRef[Recorder]:
        self.generation += 1
        consumer = Consumer(self.pair.block, generation=self.generation)
        self.inbox = RingInbox([consumer], self.doorbell, beat_s=beat_s)
        return Recorder.start(self.inbox, raises)

    def send(self, *payloads: bytes) -> None:
        for payload in payloads:
            assert self.producer.stage(payload, KIND_EVENT)
        self.producer.publish()

    @property
    def calls(self) -> list[Any]:
        return notes[self.inbox]


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_a_batch_is_handled_then_committed(stage: Stage) -> None:
    stage.send(b"one", b"two")
    actor = stage.start()
    actor.stop(block=False)
    assert wait_for(actor, WAIT_S)
    assert stage.calls == [("start",), ("batch", b"one", b"two"), ("stop",)]
    assert stage.producer.used_bytes == 0


def test_a_stop_drains_the_rings_first(stage: Stage) -> None:
    stage.send(*[b"%d" % i for i in range(30)])
    actor = stage.start()
    assert actor.stop(timeout=WAIT_S)
    assert wait_for(actor, WAIT_S)
    assert stage.producer.used_bytes == 0
    assert stage.calls[-1] == ("stop",)


def test_an_exception_leaves_the_batch_uncommitted_and_a_successor_meets_it_again(
    stage: Stage,
) -> None:
    stage.send(b"one")
    failure = ValueError("in the middle")
    actor = stage.start(batch=failure)
    with pytest.raises(ValueError, match="in the middle") as raised:
        wait_for(actor, WAIT_S)
    assert raised.value is failure
    assert stage.calls == [("start",), ("batch", b"one"), ("failure",)]
    successor = stage.start()
    successor.stop(block=False)
    assert wait_for(successor, WAIT_S)
    assert stage.calls == [("start",), ("batch", b"one"), ("stop",)]


def test_a_failed_actor_answers_a_waiting_stop_though_records_are_left(stage: Stage) -> None:
    stage.send(b"one")
    actor = stage.start(start=ValueError("at once"))
    actor.stop(block=False)
    with pytest.raises(ValueError, match="at once"):
        wait_for(actor, WAIT_S)
    assert stage.producer.used_bytes > 0


@pytest.mark.parametrize("hook", ["start", "batch", "beat", "message", "stop"])
@pytest.mark.parametrize("failure", [ValueError("exception"), SystemExit(3)])
def test_whatever_ends_an_actor_is_raised_to_whom_waits_for_it(
    stage: Stage, hook: str, failure: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pykka.ActorRegistry, "stop_all", lambda **_: [])
    if hook == "batch":
        stage.send(b"one")
    actor = stage.start(beat_s=0.01, **{hook: failure})
    if hook == "message":
        actor.tell("hello")
    if hook == "stop":
        actor.stop(block=False)
    with pytest.raises(type(failure)) as raised:
        wait_for(actor, WAIT_S)
    assert raised.value is failure


def test_an_answer_goes_to_the_one_who_asked_and_so_does_an_exception(stage: Stage) -> None:
    actor = stage.start(message=ValueError("no answer"))
    with pytest.raises(ValueError, match="no answer"):
        actor.ask("first", timeout=WAIT_S)
    assert actor.is_alive()
    actor.stop(block=False)
    assert wait_for(actor, WAIT_S)


def test_an_ask_is_answered_between_batches(stage: Stage) -> None:
    actor = stage.start()
    assert actor.ask("question", timeout=WAIT_S) == "answer to question"
    actor.stop(block=False)
    assert wait_for(actor, WAIT_S)


def test_an_idle_actor_beats(stage: Stage) -> None:
    actor = stage.start(beat_s=0.01, beat=RuntimeError("beaten"))
    with pytest.raises(RuntimeError, match="beaten"):
        wait_for(actor, WAIT_S)


def test_waiting_for_an_actor_has_a_deadline(stage: Stage) -> None:
    actor = stage.start()
    assert not wait_for(actor, 0.01)
    actor.stop(block=False)
    assert wait_for(actor, WAIT_S)


def test_a_message_that_nobody_handles_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Deaf(RingActor):
        pass

    caplog.set_level(logging.WARNING, logger="pykka")
    actor = Deaf.start(RingInbox([], Doorbell.create("deaf")))
    actor.tell("anyone?")
    actor.stop(block=False)
    assert wait_for(actor, WAIT_S)
    assert "Unexpected message" in caplog.text

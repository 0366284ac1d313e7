"""What we lean on in pykka, beyond its public promises: a new version must show it again."""

from __future__ import annotations

import queue
import threading
from typing import Any

import pykka
import pytest
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

WAIT_S = 10.0


class Inbox:
    """The plainest that follows the protocol."""

    def __init__(self) -> None:
        self.envelopes: queue.Queue[Envelope[Any]] = queue.Queue()
        self.calls: list[str] = []

    def put(self, envelope: Envelope[Any], /) -> None:
        self.envelopes.put(envelope)

    def get(self) -> Envelope[Any]:
        self.calls.append("get")
        return self.envelopes.get(timeout=WAIT_S)

    def empty(self) -> bool:
        self.calls.append("empty")
        return self.envelopes.empty()


class Actor(pykka.ThreadingActor):
    def __init__(self, inbox: Inbox, **raises: BaseException) -> None:
        self.inbox = inbox
        self.raises = raises
        self.ended = threading.Event()
        self.calls: list[str] = []
        calls[id(inbox)] = self.calls
        ends[id(inbox)] = self.ended
        super().__init__()

    def _create_actor_inbox(self) -> Inbox:  # type: ignore[override]
        return self.inbox

    def note(self, call: str) -> None:
        self.calls.append(call)
        if call in self.raises:
            raise self.raises[call]

    def on_start(self) -> None:
        self.note("on_start")

    def on_receive(self, message: Any) -> Any:
        self.note("on_receive")
        return message

    def on_stop(self) -> None:
        self.calls.append(f"on_stop, stopped={self.actor_stopped.is_set()}")
        self.note("on_stop")

    def on_failure(self, *_: Any) -> None:
        self.note("on_failure")

    def _handle_receive(self, message: Any) -> Any:
        self.calls.append("_handle_receive")
        return super()._handle_receive(message)

    def _handle_failure(self, *exc_info: Any) -> None:
        self.calls.append(f"_handle_failure {exc_info[1]}")
        super()._handle_failure(*exc_info)

    def _actor_loop_teardown(self) -> None:
        self.calls.append("_actor_loop_teardown")
        super()._actor_loop_teardown()
        self.ended.set()


calls: dict[int, list[str]] = {}
ends: dict[int, threading.Event] = {}


def life(*messages: Any, **raises: BaseException) -> list[str]:
    """The calls of an actor that was told the messages, then stopped."""
    inbox = Inbox()
    for message in (*messages, _ActorStop()):
        inbox.put(Envelope(message))
    Actor.start(inbox, **raises)
    assert ends[id(inbox)].wait(WAIT_S)
    return calls[id(inbox)]


def test_the_inbox_is_asked_for_in_init_as_a_method_and_handed_to_the_ref() -> None:
    inbox = Inbox()
    actor = Actor(inbox)
    assert actor.actor_inbox is inbox
    assert actor.actor_ref.actor_inbox is inbox


def test_a_ref_puts_envelopes_with_a_message_and_somebody_to_reply_to() -> None:
    inbox = Inbox()
    ref = Actor(inbox).actor_ref
    ref.tell("told")
    future = ref.ask("asked", block=False)
    ref.stop(block=False)
    told, asked, stop = (inbox.envelopes.get_nowait() for _ in range(3))
    assert (told.message, told.reply_to) == ("told", None)
    assert (asked.message, asked.reply_to) == ("asked", future)
    assert isinstance(stop.message, _ActorStop)


def test_an_envelope_needs_no_one_to_reply_to() -> None:
    envelope = Envelope("message")
    assert envelope.reply_to is None


def test_a_life_in_order() -> None:
    assert life("hello") == [
        "on_start",
        "_handle_receive",
        "on_receive",
        "_handle_receive",
        "on_stop, stopped=True",
        "on_stop",
        "_actor_loop_teardown",
    ]


def test_a_failed_message_is_told_to_handle_failure_then_on_failure_then_torn_down() -> None:
    told = life("hello", on_receive=ValueError("bad"))
    assert told[-4:] == [
        "on_receive",
        "_handle_failure bad",
        "on_failure",
        "_actor_loop_teardown",
    ]


@pytest.mark.parametrize("hook", ["on_start", "on_stop"])
def test_a_failed_hook_is_told_to_handle_failure_only(hook: str) -> None:
    told = life(**{hook: ValueError("bad")})
    assert told[-2:] == ["_handle_failure bad", "_actor_loop_teardown"]
    assert "on_failure" not in told


def test_a_base_exception_is_told_to_nobody_stops_all_actors_and_is_torn_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopped = []
    monkeypatch.setattr(pykka.ActorRegistry, "stop_all", lambda: stopped.append(True))
    told = life("hello", on_receive=SystemExit(3))
    assert told[-4:] == [
        "on_receive",
        "on_stop, stopped=True",
        "on_stop",
        "_actor_loop_teardown",
    ]
    assert not any(call.startswith("_handle_failure") for call in told)
    assert stopped == [True]


def test_a_base_exception_of_on_start_ends_the_thread_without_teardown() -> None:
    actor = Actor(Inbox(), on_start=SystemExit(3))
    with pytest.raises(SystemExit):
        actor._actor_loop()
    assert actor.calls == ["on_start"]


def test_teardown_takes_everything_that_the_inbox_admits_to() -> None:
    inbox = Inbox()
    for message in (_ActorStop(), "discarded", "discarded, too"):
        inbox.put(Envelope(message))
    Actor.start(inbox)
    assert ends[id(inbox)].wait(WAIT_S)
    assert inbox.calls == ["get", "empty", "get", "empty", "get", "empty"]


def test_teardown_answers_a_second_stop_and_refuses_who_asked() -> None:
    inbox = Inbox()
    asked: pykka.ThreadingFuture[Any] = pykka.ThreadingFuture()
    stop: pykka.ThreadingFuture[Any] = pykka.ThreadingFuture()
    inbox.put(Envelope(_ActorStop()))
    inbox.put(Envelope("asked", reply_to=asked))
    inbox.put(Envelope(_ActorStop(), reply_to=stop))
    Actor.start(inbox)
    assert ends[id(inbox)].wait(WAIT_S)
    with pytest.raises(pykka.ActorDeadError):
        asked.get(timeout=0)
    assert stop.get(timeout=0) is None


def test_an_exception_in_answer_to_an_ask_leaves_the_actor_alive() -> None:
    inbox = Inbox()
    ref = Actor.start(inbox, on_receive=ValueError("for you"))
    with pytest.raises(ValueError, match="for you"):
        ref.ask("hello", timeout=WAIT_S)
    assert ref.is_alive()
    ref.stop(timeout=WAIT_S)
    assert ends[id(inbox)].wait(WAIT_S)


def test_an_actors_thread_keeps_its_process_unless_it_says_otherwise() -> None:
    assert pykka.ThreadingActor.use_daemon_thread is False

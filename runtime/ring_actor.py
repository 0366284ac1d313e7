"""RingActor: a pykka actor that is fed by rings; knows what to call, not what a record means.

A life: on_start, then on_batch, on_beat and on_message as they come, then on_stop, or on_failure.

An exception ends the actor and leaves its batch uncommitted, so that a successor meets it again;
only in answer to an `ask` it goes to the one who asked, and the actor lives on. (pykka's rule.)
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

import pykka

from runtime.crash_point import crash_point
from runtime.inbox import BEAT, RingInbox
from runtime.ring import Batch


class RingActor(pykka.ThreadingActor):
    """Subclass it, and call `super().__init__(inbox)`."""

    def __init__(self, inbox: RingInbox) -> None:
        self._inbox = inbox  # first: pykka's __init__ asks for the inbox and hands it to the ref
        super().__init__()

    def _create_actor_inbox(self) -> RingInbox:  # type: ignore[override]  # pykka's needs no self
        return self._inbox

    @property
    def failure(self) -> BaseException | None:
        """What ended the actor, if it was not told to stop."""
        return self._inbox.ending.failure

    def on_receive(self, message: Any) -> Any:
        if isinstance(message, Batch):
            self.on_batch(message)
            self._inbox.commit(message)
            crash_point("after-release")
            return None
        if message is BEAT:
            return self.on_beat()
        return self.on_message(message)

    def on_batch(self, batch: Batch) -> None:
        """Handle all records. They are committed when this has returned."""
        raise NotImplementedError

    def on_beat(self) -> None:
        """The actor is alive: called every `beat_s` of its inbox, also under load."""

    def on_message(self, message: Any) -> Any:
        """Whatever was told or asked. What it returns is the answer."""
        return super().on_receive(message)

    # How a life ends. pykka calls `on_failure` only for what a message raised, not for on_start and
    # on_stop, and for a BaseException nothing at all: so failures are noted a level deeper.

    def _actor_loop(self) -> None:
        try:
            super()._actor_loop()
        except BaseException as failure:  # `wait_for` raises it, in its own thread
            self._inbox.ending.failure = failure
        finally:
            self._inbox.ending.reached.set()

    def _handle_receive(self, message: Any) -> Any:
        try:
            return super()._handle_receive(message)
        except Exception:
            raise
        except BaseException as failure:
            self._inbox.ending.failure = failure
            raise

    def _handle_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._inbox.ending.failure is None:
            self._inbox.ending.failure = exception_value
        super()._handle_failure(exception_type, exception_value, traceback)

    def _actor_loop_teardown(self) -> None:
        # Without it the teardown of a failed actor would be lent the same batch for ever.
        self._inbox.close_rings()
        super()._actor_loop_teardown()


def wait_for(actor: pykka.ActorRef[Any], timeout_s: float | None = None) -> bool:
    """Until the actor's life is over, on_stop included. Raises what ended it, if something did.

    False: it lives on after `timeout_s`. (pykka's own `actor_stopped` is set before on_stop runs:
    too early for a process to leave.)
    """
    inbox = actor.actor_inbox
    assert isinstance(inbox, RingInbox)
    if not inbox.ending.reached.wait(timeout_s):
        return False
    if inbox.ending.failure is not None:
        raise inbox.ending.failure
    return True

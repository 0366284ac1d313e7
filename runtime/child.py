"""Child: one life of a child, seen from inside. Knows its supervisor as a parent to die with.

    def run(child: Child, arguments: Any) -> None: ...       an entry, "package.module:run"

How an entry ends is how the process ends: it returns, exit 0; a RuntimeFault, its exit code and one
log line; anything else, a traceback in the log and exit 1. The supervisor starts a successor in
every case but the asked-for stop, so an entry that meets what it cannot handle just raises.
"""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import importlib
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn, cast

from setproctitle import setproctitle

from runtime import crash_point
from runtime.counters import STARTING, STOPPED, Counters
from runtime.errors import EXIT_CLEAN, EXIT_CONFIGURATION, EXIT_FAILURE, RuntimeFault
from runtime.exit import Exit
from runtime.last_words import leave_cause
from runtime.spawn import HELD_BACK, Envelope, open_envelope

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


class Child:
    """What an entry is given. Has no side effects beyond its page, so that a test can make one."""

    def __init__(
        self,
        name: str,
        generation: int,
        counters: Counters,
        *,
        predecessor: Exit | None = None,
    ) -> None:
        """`predecessor`: how the generation before ended. If `is_own`, what it left unhandled is
        suspect; a kill from outside accuses nobody."""
        self.name = name
        self.generation = generation
        self.counters = counters
        self.predecessor = predecessor
        self.stopping = False
        self._callbacks: list[Callable[[], None]] = []
        self._reloads: list[Callable[[], object]] = []
        # The page outlives us: CPU adds up over all lives, up to the last beat of each.
        self._cpu_before_ns = counters.get("cpu_ns")

    def beat(self) -> None:
        """Progress was made. Called by what makes the progress, in whatever thread; about 1 µs."""
        self.counters.set("cpu_ns", self._cpu_before_ns + time.process_time_ns())
        self.counters.set("beat_ns", time.monotonic_ns())

    def set_phase(self, phase: int) -> None:
        """A change of phase is progress, too."""
        self.counters.set("phase", phase)
        self.beat()

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Have `callback` called once when the supervisor wants us to drain and end: in the main
        thread, between two of its bytecodes, so it sets a flag or rings a bell and returns. At once
        if that wish came first."""
        self._callbacks.append(callback)
        if self.stopping:
            self.stop()

    def stop(self) -> None:
        """What SIGTERM does. May interrupt `on_stop` anywhere: popping runs each callback once."""
        self.stopping = True
        while self._callbacks:
            self._callbacks.pop(0)()

    def on_reload(self, callback: Callable[[], object]) -> None:
        """Have `callback` called whenever what stands in files is to be read again: secrets, or how
        much is logged. In the main thread, between two of its bytecodes, as with `on_stop`."""
        self._reloads.append(callback)

    def reload(self) -> None:
        """What SIGHUP does: nothing, to a child that has nothing to read again, or that ends."""
        for callback in () if self.stopping else tuple(self._reloads):
            callback()


def main(fd: int) -> NoReturn:
    """The process, from its envelope to its exit code."""
    draw_nothing()
    gc.disable()  # while modules are loaded there is no garbage: a tenth of what that takes
    envelope = open_envelope(fd)
    setproctitle(envelope.title)
    sys.argv = [envelope.title]
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1)  # the stacks of all threads, also of one that hangs
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
    _die_with(envelope.supervisor_pid)
    exit_code = EXIT_FAILURE
    try:
        exit_code = _run(envelope)
        if (log := sys.modules.get("runtime.log")) is not None:
            log.finish()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        # Not sys.exit(): it would wait for the threads of an actor that lost its purpose, and tear
        # down mappings that C code still points to. What must be closed was closed by the entry.
        os._exit(exit_code)


def draw_nothing() -> None:
    """A child has no terminal to draw on. What structlog and httpx would import for one they do
    without: 50 ms of the 240 ms of CPU after which a shard's successor begins to load."""
    sys.modules.setdefault("rich", cast("Any", None))


def _die_with(supervisor_pid: int) -> None:
    """Let the kernel kill us when the supervisor dies, however it dies."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != supervisor_pid:  # it died before we had asked
        os._exit(EXIT_FAILURE)


def _run(envelope: Envelope) -> int:
    counters: Counters | None = None
    try:
        setup_arguments = _unpickled(envelope.setup_arguments)
        if envelope.setup is not None:
            _resolve(envelope.setup)(envelope.name, setup_arguments)
        crash_point.arm(envelope.name, envelope.generation, os.environ)
        counters, arguments = _unpickled(envelope.belongings)
        child = _attach(envelope, counters, setup_arguments)
        entry = _resolve(envelope.entry)
        gc.enable()
        entry(child, arguments)
        child.set_phase(STOPPED)
    except RuntimeFault as fault:
        _log(envelope, "child.failed", error=str(fault), kind=type(fault).__name__)
        if counters is not None and fault.exit_code == EXIT_CONFIGURATION:
            leave_cause(counters, str(fault))
        return fault.exit_code
    except BaseException:  # also SystemExit: how an entry ends is said above, not by whom it calls
        # Formatted here: a pretty renderer would print local variables, and some are secrets.
        import traceback  # noqa: PLC0415 - few lives need it

        _log(envelope, "child.crashed", exception=traceback.format_exc())
        return EXIT_FAILURE
    return EXIT_CLEAN


def _attach(envelope: Envelope, counters: Counters, setup_arguments: Any) -> Child:
    """Take over the page and the signals. The generation is written last: until then the supervisor
    knows the words for a predecessor's."""
    child = Child(envelope.name, envelope.generation, counters, predecessor=envelope.predecessor)
    counters.set("pid", os.getpid())
    child.set_phase(STARTING)
    counters.set("generation", envelope.generation)
    if envelope.reload is not None:
        child.on_reload(partial(_resolve(envelope.reload), envelope.name, setup_arguments))
    signal.signal(signal.SIGTERM, lambda *_: child.stop())
    signal.signal(signal.SIGHUP, lambda *_: child.reload())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)
    return child


def _unpickled(matter: bytes) -> Any:
    return pickle.loads(matter)  # noqa: S301 - it came in our supervisor's sealed envelope


def _resolve(path: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function


def _log(envelope: Envelope, event: str, **values: object) -> None:
    import structlog  # noqa: PLC0415 - 0.1 s that a child without a log need not pay

    structlog.get_logger("runtime.child").error(
        event, child=envelope.name, generation=envelope.generation, **values
    )

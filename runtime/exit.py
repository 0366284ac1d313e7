"""Exit: how a life ended, and whose doing it was. Knows not what follows from it."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from runtime.errors import EXIT_CLEAN, EXIT_CONFIGURATION, EXIT_TEMPORARY

# What a process brings upon itself. A SIGKILL comes from outside: from a person, or from the kernel
# when memory runs out, which says nothing about the batch that happened to be in hand.
OWN_SIGNALS = frozenset(
    {
        signal.SIGSEGV,
        signal.SIGBUS,
        signal.SIGILL,
        signal.SIGFPE,
        signal.SIGABRT,
        signal.SIGSYS,
        signal.SIGTRAP,
    }
)
MEANINGS = {EXIT_TEMPORARY: " (temporary)", EXIT_CONFIGURATION: " (configuration)"}


@dataclass(frozen=True, slots=True)
class Exit:
    """`code` as in `subprocess`: minus the signal's number if one killed. `hung`: the supervisor
    killed it for not beating."""

    at_s: float
    code: int
    hung: bool = False

    @property
    def is_own(self) -> bool:
        """It broke by itself: an exception, a fault, an endless loop. What it was handling is
        suspect, and may break its successor as well."""
        if self.hung:
            return True
        if self.code < 0:
            return -self.code in OWN_SIGNALS
        return self.code not in (EXIT_CLEAN, EXIT_TEMPORARY, EXIT_CONFIGURATION)

    @property
    def told_in(self) -> str:
        """Where it stands why: the event of a log line, or what else there is to look at."""
        if self.hung:
            return "child.hung"
        if self.code < 0:
            # A fault handler writes Python's stack, and nobody else has a last word.
            is_own = -self.code in OWN_SIGNALS
            return "stderr: a stack" if is_own else "who sent it; of SIGKILL, the kernel's log"
        if self.code in MEANINGS:
            return "child.failed"
        return "child.failed or child.crashed"

    def __str__(self) -> str:
        if self.hung:
            return "hung"
        if self.code < 0:
            return f"was killed by {signal_name(-self.code)}"
        return f"exited with {self.code}{MEANINGS.get(self.code, '')}"


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most real-time signals have no name
        return f"signal {number}"

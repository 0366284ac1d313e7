"""What holds for all tests: signals mean what they mean, wherever the suite was started from, no
property is refuted by a slow machine, and no test leaves thousands of descriptors to the next.
"""

from __future__ import annotations

import gc
import signal
from pathlib import Path
from typing import Final

from hypothesis import HealthCheck, settings

# Behind nohup, or in the background of a shell, these are ignored; every process that a test starts
# would inherit that, and no Ctrl-C would reach it.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# A machine that others use draws an example in a second now and then: that says nothing of the
# code. What was found is printed so that it can be found again: `@reproduce_failure`.
settings.register_profile(
    "ours", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ours")

DESCRIPTORS_MANY: Final = 500
"""Blocks and doorbells of ended tests, in cycles that nobody has collected yet."""
COLLECTED_EVERY: Final = gc.get_threshold()


def pytest_runtest_teardown() -> None:
    """Children of ours that lived in this process have switched the garbage collector off, or made
    it rare."""
    gc.enable()
    gc.set_threshold(*COLLECTED_EVERY)
    if len(list(Path("/proc/self/fd").iterdir())) > DESCRIPTORS_MANY:
        gc.unfreeze()
        gc.collect()

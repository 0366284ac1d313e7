"""What holds for all tests: signals mean what they mean, wherever the suite was started from, and
no property is refuted by a slow machine.
"""

from __future__ import annotations

import signal

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

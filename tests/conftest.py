"""What holds for all tests: signals mean what they mean, wherever the suite was started from, no
property is refuted by a slow machine, no test leaves thousands of descriptors to the next, and
where CI=true a test that is skipped has failed.
"""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path
from typing import Final

import pytest
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


def skipped(config: pytest.Config) -> list[str]:
    """The tests that a machine for continuous integration should have run, and has not."""
    terminal = config.pluginmanager.get_plugin("terminalreporter")  # workers have none
    if terminal is None or os.environ.get("CI", "").lower() not in {"true", "1"}:
        return []
    return sorted({report.nodeid for report in terminal.stats.get("skipped", ())})


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if skipped(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if names := skipped(config):
        terminalreporter.write_line(
            f"CI=true, and {len(names)} skipped: {', '.join(names)}", red=True
        )

"""What holds for all tests: signals mean what they mean, wherever the suite was started from."""

from __future__ import annotations

import signal

# Behind nohup, or in the background of a shell, these are ignored; every process that a test starts
# would inherit that, and no Ctrl-C would reach it.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

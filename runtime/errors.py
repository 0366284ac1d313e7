"""Errors: whose fault a failure is, and the exit code that tells it to whoever started the process.

The four codes are the whole vocabulary between a child, its supervisor and the service manager
above. 75 and 78 are EX_TEMPFAIL and EX_CONFIG of sysexits(3), which systemd and others know.
"""

from __future__ import annotations

from typing import ClassVar, Final

EXIT_CLEAN: Final = 0
EXIT_FAILURE: Final = 1
EXIT_TEMPORARY: Final = 75
EXIT_CONFIGURATION: Final = 78


class RuntimeFault(Exception):  # noqa: N818 - RuntimeError is taken by Python
    """Root of ours: one clear line for the log, and the exit code of the process that it ends."""

    exit_code: ClassVar[int] = EXIT_FAILURE


class LocalError(RuntimeFault):
    """Our mistake, or our machine's: a wrong call, a full disk, a second owner."""


class RemoteError(RuntimeFault):
    """The peer's doing: it refused, broke its contract, or did not answer."""


class ConfigurationError(RuntimeFault):
    """Only a person can cure it: restarting with the same settings would fail the same way."""

    exit_code: ClassVar[int] = EXIT_CONFIGURATION


class TemporaryError(RuntimeFault):
    """Passes by itself, but not at once: worth another start after a delay."""

    exit_code: ClassVar[int] = EXIT_TEMPORARY

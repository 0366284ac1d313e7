"""The front door: `python -m runtime`. Knows what the machine must be, nothing of the command line.

Much older Pythons must be able to read it, so that they are told in one line what is wrong, and not
by a SyntaxError. So nothing of ours is imported before the checks.
"""

from __future__ import annotations

import platform
import sys

PYTHON_MIN = (3, 11)
MACHINES = ("x86_64", "aarch64")
EXIT_CONFIGURATION = 78  # as in runtime.errors, which may be too new for this Python


def complaint(version: tuple[int, ...], system: str, machine: str) -> str | None:
    """Why this machine cannot run us, in one line; None if it can."""
    if version[:2] < PYTHON_MIN:
        needed = ".".join(map(str, PYTHON_MIN))
        found = ".".join(map(str, version[:3]))
        return f"needs Python {needed} or newer, and this is {found} ({sys.executable})"
    if system != "Linux" or machine not in MACHINES:
        return f"needs Linux on {' or '.join(MACHINES)}, and this is {system} on {machine}"
    return None


def missing(error: ModuleNotFoundError) -> str:
    """What to do about a module that is not there, in one line."""
    package, _, rest = (error.name or "").partition(".")
    if package in ("runtime", "actors", "tools") and rest:
        return f"{error.name} is not built for this Python: run `make build`, or `pip install .`"
    return f"the package {error.name!r} is not installed: run `make build`, or `pip install .`"


def main() -> int:
    line = complaint(sys.version_info[:3], platform.system(), platform.machine())
    if line is None:
        try:
            from actors.cli import main as command_line  # noqa: PLC0415 - only on a fitting machine

            return command_line() or 0
        except ModuleNotFoundError as error:
            line = missing(error)
    print(f"presence-runtime: {line}", file=sys.stderr)
    return EXIT_CONFIGURATION


if __name__ == "__main__":
    sys.exit(main())

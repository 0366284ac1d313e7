"""The front door: `presence-runtime`, or `python -m runtime`.

Knows what the machine must be, nothing of the command line.

Much older Pythons must be able to read it, so that they are told in one line what is wrong, and not
by a SyntaxError. So nothing of ours is imported before the checks.
"""

from __future__ import annotations

import os
import platform
import sys
import sysconfig

PYTHON_MIN = (3, 11)
PYTHON_BELOW = (3, 15)
MACHINES = ("x86_64", "aarch64")
EXIT_CONFIGURATION = 78  # as in runtime.errors, which may be too new for this Python
EXIT_INTERRUPTED = 130  # what a shell expects of Ctrl-C


def complaint(
    version: tuple[int, ...], system: str, machine: str, free_threaded: bool = False
) -> str | None:
    """Why this machine cannot run us, in one line; None if it can."""
    needed = f"{in_words(PYTHON_MIN)} to {in_words((*PYTHON_BELOW[:-1], PYTHON_BELOW[-1] - 1))}"
    if not PYTHON_MIN <= version[:2] < PYTHON_BELOW:
        return f"requires Python {needed}, but this is {in_words(version[:3])} ({sys.executable})"
    if free_threaded:
        return (
            f"requires Python {needed} with the global interpreter lock, but this is the "
            f"free-threaded build of {in_words(version[:3])} ({sys.executable}), which the "
            "extensions do not support"
        )
    if system != "Linux" or machine not in MACHINES:
        return f"requires Linux on {' or '.join(MACHINES)}, but this is {system} on {machine}"
    return None


def in_words(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def shown(line: str) -> str:
    """A folder's name may hold what acts on a terminal."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)


def missing(error: ModuleNotFoundError) -> str:
    """What to do about a module that is not there, in one line."""
    package, _, rest = (error.name or "").partition(".")
    if package in ("runtime", "actors", "tools") and rest:
        return f"{error.name} is not built for this Python; run `make build` or `pip install .`"
    return f"the package {error.name!r} is not installed; run `make build` or `pip install .`"


def settle_in() -> None:
    """What must be true of a process before it opens its first file."""
    # Journals and backups hold the ids of people: nobody else may read what we make.
    os.umask(0o077)
    # Where a standard stream is closed, the next file to be opened would take its number, and
    # whoever prints would write into it.
    for fd, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(fd)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
            os.set_inheritable(opened, True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(fd, "r" if fd == 0 else "w", closefd=False))  # noqa: SIM115


def main() -> int:
    line = (
        complaint(
            sys.version_info[:3],
            platform.system(),
            platform.machine(),
            bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        )
        or wrong_folder()
    )
    if line is None:
        try:
            from actors.main import main as command_line  # noqa: PLC0415 - only on a fitting machine

            return command_line() or 0
        except ModuleNotFoundError as error:
            line = missing(error)
    print(f"presence-runtime: {shown(line)}", file=sys.stderr)
    return EXIT_CONFIGURATION


def wrong_folder() -> str | None:
    """Why what Python has found is not what was meant, in one line; None if it is."""
    from runtime import shadowing  # noqa: PLC0415 - only on a fitting machine

    line = shadowing.foreign_package()
    if line is None and (__name__ == "__main__" or not shadowing.is_built()):
        line = shadowing.shadowed_installation()
        if line is not None and shadowing.is_built():
            print(f"presence-runtime: warning: {shown(line)}", file=sys.stderr)
            return None
    return line


def command() -> int:
    """What the console script runs: the exit code."""
    try:
        settle_in()
        return main()
    except KeyboardInterrupt:  # before the command line was there to take it
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    sys.exit(command())

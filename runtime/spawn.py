"""Spawn: how a child comes into being and what it is handed. Knows not what becomes of it.

Not `multiprocessing`: that would bring a resource tracker process, import the parent's `__main__`
again and number descriptors anew. Here a child is a fresh interpreter in its own session that
inherits a few descriptors under the numbers they have in the supervisor, one of which is its
envelope.

The envelope is a sealed memfd: nothing of it stands in argv, which every user of the machine may
read, or in the environment, which whatever the child starts would inherit; and no pipe has to be
fed while the child may be slow to drink.

The child gets our `sys.path` as it is now, so it finds what we have found: in a clone, in an
installed wheel, and whatever the current directory is. (`-m runtime.child` would look into the
current directory first, and would execute that module a second time, as `__main__`, beside the one
that entries import.)
"""

from __future__ import annotations

import fcntl
import io
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from runtime.child_spec import ChildSpec
from runtime.exit import Exit

BOOT = "import sys; fd, *sys.path = sys.argv[1:]; from runtime.child import main; main(int(fd))"
SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
HELD_BACK = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)


class Envelope(NamedTuple):
    """What a child is handed. The last two stay pickled until its log is set up, since unpickling
    imports modules and may fail."""

    name: str
    title: str
    generation: int
    supervisor_pid: int
    entry: str
    setup: str | None
    reload: str | None
    predecessor: Exit | None
    setup_arguments: bytes  # pickled
    belongings: bytes  # pickled (counters, arguments)


def spawn(
    spec: ChildSpec,
    generation: int,
    predecessor: Exit | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[subprocess.Popen[bytes], int]:
    """Start the next life of a child: its process and its pidfd. `environment` None means ours.

    Main thread only. Raises OSError if the machine has no memory, process or descriptor left."""
    # The child asks to die with its parent, and the kernel takes the thread that forked for the
    # parent.
    assert threading.get_native_id() == os.getpid(), "spawn must be called from the main thread"
    envelope, fds = seal(spec, generation, predecessor)
    # A child is born deaf to signals and opens its ears once it has handlers: told to stop in its
    # first milliseconds, it shall drain like any other.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
    try:
        paths = [str(Path(entry).absolute()) for entry in sys.path]
        process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-P", "-c", BOOT, str(envelope), *paths],
            stdin=subprocess.DEVNULL,
            pass_fds=(envelope, *fds),
            start_new_session=True,  # Ctrl-C reaches the supervisor only
            env=environment,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(envelope)
    try:
        return process, os.pidfd_open(process.pid)
    except OSError:
        process.kill()
        process.wait()
        raise


def seal(
    spec: ChildSpec, generation: int, predecessor: Exit | None = None
) -> tuple[int, frozenset[int]]:
    """The descriptor of a new envelope, and those that its content refers to."""
    setup_arguments, setup_fds = _pickled(spec.setup_arguments)
    belongings, fds = _pickled((spec.counters, spec.arguments))
    letter = Envelope(
        name=spec.name,
        title=spec.title,
        generation=generation,
        supervisor_pid=os.getpid(),
        entry=spec.entry,
        setup=spec.setup,
        reload=spec.reload,
        predecessor=predecessor,
        setup_arguments=setup_arguments,
        belongings=belongings,
    )
    fd = os.memfd_create(f"{spec.name} envelope", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with open(fd, "wb", closefd=False) as file:
            pickle.dump(letter, file, protocol=pickle.HIGHEST_PROTOCOL)
        os.lseek(fd, 0, os.SEEK_SET)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
    except BaseException:
        os.close(fd)
        raise
    return fd, setup_fds | fds


def open_envelope(fd: int) -> Envelope:
    """In the child: read the envelope and throw it away."""
    with open(fd, "rb") as file:
        envelope = pickle.load(file)  # noqa: S301 - sealed by our supervisor
    assert isinstance(envelope, Envelope)
    return envelope


class _Collector(pickle.Pickler):
    """Pickles, and notes the descriptors of everything that it meets on the way."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.fds: set[int] = set()

    def reducer_override(self, obj: object) -> Any:
        fds = getattr(obj, "fds", None)
        if isinstance(fds, tuple):  # of a class, `fds` is a descriptor and not a tuple
            self.fds.update(fds)
        return NotImplemented


def _pickled(value: object) -> tuple[bytes, frozenset[int]]:
    file = io.BytesIO()
    collector = _Collector(file)
    collector.dump(value)
    return file.getvalue(), frozenset(collector.fds)

"""A whole runtime of toys as a process of its own: what signals do to it is seen from outside.

python -m tests.processes.toy_runtime DIARY OPTIONS     options as JSON, see `main`
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import structlog

from runtime import notify
from runtime.notify import Notifier
from runtime.supervisor import Supervisor
from tests.processes.toys import Toy, toy_spec, write


def main() -> int:
    diary, options = Path(sys.argv[1]), json.loads(sys.argv[2])
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever we were born with
    structlog.configure(processors=[structlog.processors.JSONRenderer()])
    toy = Toy(diary=diary, drain_s=options.get("drain_s", 0.05))
    fields = {"beat_timeout_s": options.get("beat_timeout_s", 15.0)}
    entry = options.get("receiver", "play")
    specs = [
        toy_spec("shard-0", toy, **fields),
        toy_spec("shard-1", toy, **fields),
        toy_spec("receiver-0", toy, entry=entry, needs=("shard-0", "shard-1"), **fields),
    ]
    reloads = options.get("reloads")  # what each reload says; None: SIGHUP is no wish to reload

    def reload() -> bool:
        write(diary, "supervisor reloads")
        return bool(reloads.pop(0))

    return Supervisor(
        specs,
        title="toy: supervisor",
        on_reload=None if reloads is None else reload,
        notifier=Notifier.from_environment(os.environ),
        environment={
            name: value for name, value in os.environ.items() if name not in notify.VARIABLES
        },
    ).run()


if __name__ == "__main__":
    sys.exit(main())

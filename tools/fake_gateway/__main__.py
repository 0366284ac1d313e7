"""The command line of the fake gateway: `serve` and `verify`."""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import uvloop

from tools.fake_gateway import arguments as shared
from tools.fake_gateway.cloud import arguments as cloud
from tools.fake_gateway.exchanges import GIVE_UP_AFTER_S
from tools.fake_gateway.gateway import Gateway
from tools.fake_gateway.wsp import arguments as wsp

EXIT_USAGE = 2
PR_SET_PDEATHSIG = 1
DIALECTS: Mapping[str, Callable[[argparse.Namespace], Gateway[Any, Any]]] = {
    "wsp": wsp.gateway,
    "cloud": cloud.gateway,
}


def main(arguments: list[str] | None = None) -> int:
    asked = parser().parse_args(arguments)
    if asked.command == "verify":
        from tools.fake_gateway.verify import run  # noqa: PLC0415 - it alone needs apsw

        return run(
            asked.ledger,
            asked.data,
            journal=asked.journal,
            to_newest=asked.to_newest,
            give_up_after_s=asked.give_up_after,
            json_file=asked.json,
            shown_file=asked.shown,
        )
    try:
        if asked.with_parent:
            _die_with_parent()
        return uvloop.run(_serve(asked))
    except (ValueError, OSError) as error:
        print(f"fake gateway: {error}", file=sys.stderr)
        return EXIT_USAGE


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="python -m tools.fake_gateway", description=__doc__)
    commands = root.add_subparsers(dest="command", required=True)
    _add_serve(
        commands.add_parser("serve", help="Serve until stopped; print one JSON line when ready")
    )
    check = commands.add_parser("verify", help="Compare the journals of a runtime with a ledger")
    check.add_argument("--ledger", type=Path, required=True, help="Ledger directory of the gateway")
    check.add_argument("--data", type=Path, required=True, help="Data directory of the runtime")
    check.add_argument("--journal", choices=("full", "off"), default="full")
    check.add_argument(
        "--to-newest",
        action="store_true",
        help="Require every journal to reach the newest sequence",
    )
    check.add_argument(
        "--give-up-after",
        type=float,
        default=GIVE_UP_AFTER_S,
        help="Seconds after its first attempt before which no command may end as unknown",
    )
    check.add_argument(
        "--shown", type=Path, help="JSON file with the queues that the runtime showed at the end"
    )
    check.add_argument("--json", type=Path, help="Also write the findings to this file")
    return root


def _add_serve(serve: argparse.ArgumentParser) -> None:
    serve.add_argument("--dialect", choices=tuple(DIALECTS), default="wsp")
    for arguments in (shared, wsp, cloud):
        arguments.add_arguments(serve)
    serve.add_argument(
        "--with-parent", action="store_true", help="Exit when the parent process exits"
    )


async def _serve(asked: argparse.Namespace) -> int:
    gateway = DIALECTS[asked.dialect](asked)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, gateway.request_stop)
    try:
        ready = await gateway.start()
        print(json.dumps(ready), flush=True)
        gc.freeze()  # the organisation is never garbage
        await gateway.run()
    finally:
        await gateway.close()
    return 0


def _die_with_parent() -> None:
    parent = os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        raise OSError("the parent process is already gone")


if __name__ == "__main__":
    sys.exit(main())

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
import time
from collections.abc import Callable
from pathlib import Path

import uvloop

from tools.fake_gateway import order, organisation, pacing, profiles, stream
from tools.fake_gateway.cloud import arguments as cloud
from tools.fake_gateway.cloud.server import CloudGateway
from tools.fake_gateway.exchanges import GIVE_UP_AFTER_S
from tools.fake_gateway.organisation import OrderSettings
from tools.fake_gateway.script import ScriptSettings
from tools.fake_gateway.server import Gateway, GatewaySettings
from tools.fake_gateway.tokens import ALL_SCOPES

EXIT_USAGE = 2
PR_SET_PDEATHSIG = 1


def main(arguments: list[str] | None = None) -> int:
    asked = parser().parse_args(arguments)
    if asked.command == "verify":
        from tools.fake_gateway import verify  # noqa: PLC0415 - only this command needs apsw

        return verify.run(
            asked.ledger,
            asked.data,
            journal=asked.journal,
            to_newest=asked.to_newest,
            give_up_after_s=asked.give_up_after,
            json_file=asked.json,
        )
    try:
        gateway = cloud.gateway(asked) if asked.dialect == "cloud" else _gateway(asked)
        if asked.with_parent:
            _die_with_parent()
        return uvloop.run(_serve(gateway))
    except (ValueError, OSError) as error:
        print(f"fake gateway: {error}", file=sys.stderr)
        return EXIT_USAGE


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="python -m tools.fake_gateway", description=__doc__)
    commands = root.add_subparsers(dest="command", required=True)
    _add_serve(commands.add_parser("serve", help="serve until stopped; one JSON line when ready"))
    check = commands.add_parser("verify", help="hold a runtime's journals against a ledger")
    check.add_argument("--ledger", type=Path, required=True, help="the gateway's ledger directory")
    check.add_argument("--data", type=Path, required=True, help="the runtime's data directory")
    check.add_argument("--journal", choices=("full", "off"), default="full")
    check.add_argument(
        "--to-newest", action="store_true", help="every journal must reach the newest sequence"
    )
    check.add_argument(
        "--give-up-after",
        type=float,
        default=GIVE_UP_AFTER_S,
        help="seconds behind its first try before which no command may end as unknown",
    )
    check.add_argument("--json", type=Path, help="write the findings here as well")
    return root


def _add_serve(serve: argparse.ArgumentParser) -> None:
    add = serve.add_argument
    add("--ledger", type=Path, required=True, help="directory for what was really sent")
    add("--agents", type=int, default=5000)
    add("--seed", type=int, default=7)
    add("--rate", default="2000", help='events per second, or "max": as fast as the sockets take')
    add("--seconds", type=float, default=0.0, help="of load; 0 = until stopped")
    add("--profile", choices=tuple(pacing.PROFILES), default="steady", help="how the rate varies")
    add(
        "--paused", action="store_true", help="no load until POST /load; else with the first socket"
    )
    add("--port", type=int, default=0)
    add("--control-port", type=int, default=0)
    add("--tls", action="store_true", help="with a throwaway authority; see ca_file")
    add("--proxy", action="store_true", help="a CONNECT proxy beside it; see proxy_url")
    add("--whole-agents", action="store_true", help="over 2 KB an event, whatever is asked for")
    add("--presence-every", type=int, default=0, help="every so-manieth event bears a presence")
    add("--correlation-every", type=int, default=0, help="… and a correlation id")
    add(
        "--quiet-every", type=int, default=50, help="every so-manieth agent never changes; 0 = none"
    )
    add("--first-sequence", type=int, default=organisation.FIRST_SEQUENCE)
    add("--retention", type=int, default=organisation.RETENTION_EVENTS, help="events, for replays")
    # None: what the profile of faults says.
    add("--duplicates", type=float, help="share of events that are sent twice")
    add("--reorder", type=int, help=f"window, at most {order.REORDER_WINDOW_MAX}")
    add("--token-life", type=float, help="seconds")
    add("--expiry-grace", type=float, default=0.0, help="seconds that a socket outlives its token")
    add("--scopes", default=" ".join(sorted(ALL_SCOPES)), help="that the client may have")
    add("--handshakes-max", type=int, default=0, help="a minute, then 429; 0 = any number")
    add("--backlog-bytes", type=int, default=stream.BACKLOG_BYTES, help="bound of a send buffer")
    add("--slow-after", type=float, default=stream.SLOW_AFTER_S, help="seconds until a cut")
    add("--updates-per-s", type=int, default=0, help="presence updates; more get 429; 0 = any")
    add("--ack-loss", type=float, default=0.0, help="share of acknowledgements that never come")
    add("--webhook-secret", help="whsec_…: webhooks must be signed with it")
    add("--faults", choices=tuple(profiles.PROFILES), default="none")
    add(
        "--timeline",
        type=Path,
        help='JSON lines {"at_s": …, "kind": …, …}: faults by second of load',
    )
    cloud.add_arguments(serve)
    add("--with-parent", action="store_true", help="end when the parent process does")


def _gateway(asked: argparse.Namespace) -> Callable[[], Gateway]:
    rate = None if asked.rate == "max" else float(asked.rate)
    load = pacing.Load(rate, asked.seconds, asked.profile)
    usual = profiles.PROFILES[asked.faults]
    settings = GatewaySettings(
        script=ScriptSettings(
            seed=asked.seed,
            agents=asked.agents,
            origin_ms=time.time_ns() // 1_000_000,
            quiet_every=asked.quiet_every,
            presence_every=asked.presence_every,
            correlation_every=asked.correlation_every,
        ),
        ledger=asked.ledger,
        order=OrderSettings(
            window=usual.reorder if asked.reorder is None else asked.reorder,
            duplicates=usual.duplicates if asked.duplicates is None else asked.duplicates,
        ),
        port=asked.port,
        control_port=asked.control_port,
        tls=asked.tls,
        proxy=asked.proxy,
        whole_agents=asked.whole_agents,
        first_sequence=asked.first_sequence,
        retention_events=asked.retention,
        token_life_s=usual.token_life_s if asked.token_life is None else asked.token_life,
        expiry_grace_s=asked.expiry_grace,
        scopes=frozenset(asked.scopes.split()),
        handshakes_max=asked.handshakes_max,
        backlog_bytes=asked.backlog_bytes,
        slow_after_s=asked.slow_after,
        updates_per_s=asked.updates_per_s,
        ack_loss=asked.ack_loss,
        webhook_secret=asked.webhook_secret,
        faults=asked.faults,
        schedule=tuple(profiles.read_schedule(asked.timeline)) if asked.timeline else (),
    )
    return lambda: Gateway(settings, None if asked.paused else load)


async def _serve(made: Callable[[], Gateway | CloudGateway]) -> int:
    gateway = made()
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

"""Arguments: what `serve` may be told of a gateway of either dialect, and settings made of it.

An option's `dest` is the name of the setting.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from tools.fake_gateway import pacing
from tools.fake_gateway.cloud.faults import PROFILES  # the other dialect has no `platform`
from tools.fake_gateway.fault_plan import F, read_schedule
from tools.fake_gateway.gateway import S
from tools.fake_gateway.script import ScriptSettings
from tools.fake_gateway.traffic import BACKLOG_BYTES, SLOW_AFTER_S

D = TypeVar("D")


def add_arguments(serve: argparse.ArgumentParser) -> None:
    add = serve.add_argument
    add(
        "--ledger",
        type=Path,
        required=True,
        help="Directory for the ledger of what was actually sent",
    )
    add("--agents", type=int, default=5000)
    add("--seed", type=int, default=7)
    add("--rate", default="2000", help='Events per second, or "max" for as fast as possible')
    add(
        "--seconds",
        type=float,
        default=0.0,
        help="Duration of the load in seconds; 0 = until stopped",
    )
    add(
        "--profile",
        choices=tuple(pacing.PROFILES),
        default="steady",
        help="How the rate varies over time",
    )
    add(
        "--paused",
        action="store_true",
        help="Start the load on POST /load instead of with the first connection",
    )
    add("--port", type=int, default=0)
    add("--control-port", type=int, default=0)
    add(
        "--tls",
        action="store_true",
        help="Use TLS with a temporary certificate authority; see ca_file",
    )
    add("--proxy", action="store_true", help="Also run a CONNECT proxy; see proxy_url")
    add("--quiet-every", type=int, default=50, help="Every nth agent never changes; 0 = none")
    add("--token-life", type=float, dest="token_life_s", help="seconds")
    add("--backlog-bytes", type=int, default=BACKLOG_BYTES, help="Limit of a send buffer, in bytes")
    add(
        "--slow-after",
        type=float,
        dest="slow_after_s",
        default=SLOW_AFTER_S,
        help="Seconds until the connection is cut",
    )
    add("--webhook-secret", help="Secret (whsec_…) with which webhooks must be signed")
    add("--faults", choices=tuple(PROFILES), default="none")
    add(
        "--timeline",
        type=Path,
        help='File of JSON lines {"at_s": …, "kind": …, …}: faults by second of load',
    )


def load_of(asked: argparse.Namespace) -> pacing.Load | None:
    """None: there is none until a control call. Raises ValueError."""
    rate = None if asked.rate == "max" else float(asked.rate)
    load = pacing.Load(rate, asked.seconds, asked.profile)
    return None if asked.paused else load


def settings_of(
    kind: type[S], fault: type[F], asked: argparse.Namespace, *, token_life_s: float, **more: Any
) -> S:
    """`more`: what is no option of the same name. Raises ValueError or OSError."""
    if asked.token_life_s is not None:
        token_life_s = asked.token_life_s
    more.setdefault("script", _named_like(ScriptSettings, asked, origin_ms=now_ms()))
    schedule = read_schedule(fault, asked.timeline)
    return _named_like(kind, asked, schedule=schedule, **more | {"token_life_s": token_life_s})


def _named_like(kind: type[D], asked: argparse.Namespace, **more: Any) -> D:
    names = {field.name for field in fields(kind)} & vars(asked).keys()  # type: ignore[arg-type]
    return kind(**{name: getattr(asked, name) for name in names} | more)


def now_ms() -> int:
    return time.time_ns() // 1_000_000

"""Arguments: what `serve` may be told of a cloud gateway, and the gateway made of it."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import orjson

from tools.fake_gateway import pacing
from tools.fake_gateway.cloud import channels, faults, oauth, rate_window, sockets
from tools.fake_gateway.cloud.server import CloudGateway, CloudSettings
from tools.fake_gateway.script import ScriptSettings


def add_arguments(serve: argparse.ArgumentParser) -> None:
    """Beside those of the wsp dialect, of which a cloud gateway obeys what it has as well."""
    serve.add_argument("--dialect", choices=("wsp", "cloud"), default="wsp")
    group = serve.add_argument_group("cloud dialect")
    add = group.add_argument
    add("--clients", type=int, default=1, help="OAuth clients")
    add("--load-after", type=int, default=1, help="sockets that must be open before the load")
    add("--heartbeat", type=float, default=sockets.HEARTBEAT_S, help="seconds")
    add("--channel-life", type=float, default=channels.CHANNEL_LIFE_S, help="seconds")
    add("--calls-per-minute", type=int, default=rate_window.CALLS_MAX, help="of a client")
    add("--hidden", type=int, default=0, help="so many of the last users are inactive at first")
    add("--forbid-every", type=int, default=0, help="topics of every so-manieth user are refused")
    add("--copies-every", type=int, help="frames of every so-manieth step come again; 0 = none")
    add("--copies-behind", type=int, help="… so many steps later")


def gateway(asked: argparse.Namespace) -> Callable[[], CloudGateway]:
    """Raises ValueError or OSError."""
    rate = None if asked.rate == "max" else float(asked.rate)
    load = pacing.Load(rate, asked.seconds, asked.profile)
    usual_every, usual_behind = faults.PROFILES[asked.faults].late
    settings = CloudSettings(
        script=ScriptSettings(
            seed=asked.seed,
            agents=asked.agents,
            origin_ms=time.time_ns() // 1_000_000,
            quiet_every=asked.quiet_every,
        ),
        ledger=asked.ledger,
        clients=asked.clients,
        port=asked.port,
        control_port=asked.control_port,
        tls=asked.tls,
        proxy=asked.proxy,
        token_life_s=oauth.TOKEN_LIFE_S if asked.token_life is None else asked.token_life,
        channel_life_s=asked.channel_life,
        heartbeat_s=asked.heartbeat,
        calls_per_minute=asked.calls_per_minute,
        late=(
            usual_every if asked.copies_every is None else asked.copies_every,
            usual_behind if asked.copies_behind is None else asked.copies_behind,
        ),
        hidden=asked.hidden,
        forbidden_every=asked.forbid_every,
        backlog_bytes=asked.backlog_bytes,
        slow_after_s=asked.slow_after,
        webhook_secret=asked.webhook_secret,
        faults=asked.faults,
        schedule=tuple(_read_schedule(asked.timeline)) if asked.timeline else (),
    )
    if settings.clients < 1:
        raise ValueError(f"clients must be at least 1, not {settings.clients}")
    if not 0 <= settings.hidden < asked.agents:
        raise ValueError(f"hidden must leave somebody of {asked.agents}, not {settings.hidden}")
    waiting = None if asked.paused else load
    return lambda: CloudGateway(settings, waiting, load_after=asked.load_after)


def _read_schedule(path: Path) -> list[tuple[float, faults.Fault]]:
    """A file of JSON lines."""
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    try:
        asked = [orjson.loads(line) for line in lines]
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{path} does not hold a JSON object in each line: {error}") from None
    return faults.parse_schedule(asked)

"""Arguments: what `serve` may be told of a cloud gateway alone, and the gateway made of it."""

from __future__ import annotations

import argparse

from tools.fake_gateway.arguments import load_of, now_ms, settings_of
from tools.fake_gateway.cloud.channels import CHANNEL_LIFE_S
from tools.fake_gateway.cloud.faults import PROFILES, CloudFault
from tools.fake_gateway.cloud.oauth import TOKEN_LIFE_S
from tools.fake_gateway.cloud.rate_window import CALLS_MAX
from tools.fake_gateway.cloud.server import CloudGateway, CloudSettings
from tools.fake_gateway.cloud.sockets import HEARTBEAT_S
from tools.fake_gateway.cloud.variations import token_life_s
from tools.fake_gateway.script import ScriptSettings


def add_arguments(serve: argparse.ArgumentParser) -> None:
    add = serve.add_argument_group("cloud dialect").add_argument
    add("--clients", type=int, default=1, help="Number of OAuth clients")
    add(
        "--load-after",
        type=int,
        default=1,
        help="Connections that must be open before the load starts",
    )
    add("--heartbeat", type=float, dest="heartbeat_s", default=HEARTBEAT_S, help="seconds")
    add("--channel-life", type=float, dest="channel_life_s", default=CHANNEL_LIFE_S, help="seconds")
    add("--calls-per-minute", type=int, default=CALLS_MAX, help="Limit of a client")
    add(
        "--hidden",
        type=int,
        default=0,
        help="Number of users, from the end, that are inactive at first",
    )
    add(
        "--forbid-every",
        type=int,
        dest="forbidden_every",
        default=0,
        help="Topics of every nth user are refused",
    )
    add(
        "--lean-entities",
        action="store_true",
        help="Users without images, addresses and the like (a third of the size)",
    )
    add("--copies-every", type=int, help="Frames of every nth step are repeated; 0 = none")
    add("--copies-behind", type=int, help="Number of steps after which frames are repeated")


def gateway(asked: argparse.Namespace) -> CloudGateway:
    """Raises ValueError or OSError."""
    profile = PROFILES[asked.faults]
    usual_every, usual_by = profile.late
    settings = settings_of(
        CloudSettings,
        CloudFault,
        asked,
        token_life_s=token_life_s(asked.agents) if profile.is_varied else TOKEN_LIFE_S,
        script=ScriptSettings(
            seed=asked.seed,
            agents=asked.agents,
            origin_ms=now_ms(),
            quiet_every=asked.quiet_every,
        ),
        late=(
            usual_every if asked.copies_every is None else asked.copies_every,
            usual_by if asked.copies_behind is None else asked.copies_behind,
        ),
    )
    if settings.clients < 1:
        raise ValueError(f"clients must be at least 1, not {settings.clients}")
    if not 0 <= settings.hidden < asked.agents:
        raise ValueError(f"hidden must leave somebody of {asked.agents}, not {settings.hidden}")
    return CloudGateway(settings, load_of(asked), load_after=asked.load_after)

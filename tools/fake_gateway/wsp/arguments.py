"""Arguments: what `serve` may be told of a wsp gateway alone, and the gateway made of it."""

from __future__ import annotations

import argparse

from tools.fake_gateway.arguments import load_of, settings_of
from tools.fake_gateway.tokens import ALL_SCOPES
from tools.fake_gateway.wsp.faults import PROFILES, WspFault
from tools.fake_gateway.wsp.order import REORDER_WINDOW_MAX
from tools.fake_gateway.wsp.organisation import FIRST_SEQUENCE, RETENTION_EVENTS, OrderSettings
from tools.fake_gateway.wsp.server import WspGateway, WspSettings


def add_arguments(serve: argparse.ArgumentParser) -> None:
    add = serve.add_argument_group("wsp dialect").add_argument
    add("--whole-agents", action="store_true", help="over 2 KB an event, whatever is asked for")
    add("--presence-every", type=int, default=0, help="every so-manieth event bears a presence")
    add("--correlation-every", type=int, default=0, help="… and a correlation id")
    add("--first-sequence", type=int, default=FIRST_SEQUENCE)
    add(
        "--retention",
        type=int,
        dest="retention_events",
        default=RETENTION_EVENTS,
        help="events, for replays",
    )
    # None: what the profile of faults says.
    add("--duplicates", type=float, help="share of events that are sent twice")
    add("--reorder", type=int, help=f"window, at most {REORDER_WINDOW_MAX}")
    add(
        "--expiry-grace",
        type=float,
        dest="expiry_grace_s",
        default=0.0,
        help="seconds that a socket outlives its token",
    )
    add("--scopes", type=_scopes, default=ALL_SCOPES, help="that the client may have")
    add("--handshakes-max", type=int, default=0, help="a minute, then 429; 0 = any number")
    add("--updates-per-s", type=int, default=0, help="presence updates; more get 429; 0 = any")
    add("--ack-loss", type=float, default=0.0, help="share of acknowledgements that never come")


def _scopes(text: str) -> frozenset[str]:
    return frozenset(text.split())


def gateway(asked: argparse.Namespace) -> WspGateway:
    """Raises ValueError or OSError."""
    usual = PROFILES[asked.faults]
    order = OrderSettings(
        window=usual.reorder if asked.reorder is None else asked.reorder,
        duplicates=usual.duplicates if asked.duplicates is None else asked.duplicates,
    )
    settings = settings_of(
        WspSettings, WspFault, asked, token_life_s=usual.token_life_s, order=order
    )
    return WspGateway(settings, load_of(asked))

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
    add(
        "--whole-agents",
        action="store_true",
        help="Send more than 2 KB per event, whatever is subscribed to",
    )
    add("--presence-every", type=int, default=0, help="Every nth event contains a presence")
    add(
        "--correlation-every", type=int, default=0, help="Every nth event contains a correlation id"
    )
    add("--first-sequence", type=int, default=FIRST_SEQUENCE)
    add(
        "--retention",
        type=int,
        dest="retention_events",
        default=RETENTION_EVENTS,
        help="Number of events kept for replays",
    )
    # None: what the profile of faults says.
    add("--duplicates", type=float, help="Share of events that are sent twice")
    add("--reorder", type=int, help=f"Reorder window, at most {REORDER_WINDOW_MAX}")
    add(
        "--expiry-grace",
        type=float,
        dest="expiry_grace_s",
        default=0.0,
        help="Seconds that a connection outlives its token",
    )
    add("--scopes", type=_scopes, default=ALL_SCOPES, help="OAuth scopes that the client has")
    add("--handshakes-max", type=int, default=0, help="Limit per minute, then 429; 0 = no limit")
    add(
        "--updates-per-s",
        type=int,
        default=0,
        help="Presence updates per second; more get 429; 0 = no limit",
    )
    add("--ack-loss", type=float, default=0.0, help="Share of acknowledgements that are lost")


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

"""AccessSetup: what the front asks, made from the settings; tokens are read again when told to.

Knows no request.
"""

from __future__ import annotations

import secrets
from pathlib import Path

import structlog

from actors.web import tokens
from actors.web.access_middleware import AccessChecks
from actors.web.arguments import WebArguments
from actors.web.ended_sessions import FILE as ENDED_FILE
from actors.web.ended_sessions import EndedSessions
from actors.web.hosts import AllowedHosts
from actors.web.limits import RateLimit
from actors.web.sessions import KEY_BYTES, BrowserSessions, OneTimeToken, load_key
from actors.web.tokens import Tokens
from runtime.clock import Clock
from runtime.counters import Counters
from runtime.errors import ConfigurationError


def make_guards(arguments: WebArguments, page: Counters, clock: Clock) -> AccessChecks:
    settings, one_time = arguments.settings, arguments.one_time
    known = Tokens()
    # A successor starts whatever the file has become: with a broken one nobody has a token.
    read_again(known, settings.tokens_file)
    sessions = BrowserSessions(
        _key(arguments.data_dir),
        known,
        lives_s=settings.session_hours * 3600,
        one_time=None if one_time is None else OneTimeToken(one_time.token, page),
        ended=EndedSessions(arguments.data_dir / ENDED_FILE, now_s=clock.wall_us() / 1e6),
    )
    address = settings.address
    if address is not None and settings.needs_token_to_read and settings.tokens_file is None:
        which = "web.allowed_hosts" if address.is_loopback else f"web.listen = {address}"
        structlog.get_logger("actors.web").warning(
            "web.no_tokens_configured",
            what=f"{which} without web.tokens_file: every request that is not made over the Unix "
            "socket is refused",
        )
    return AccessChecks(
        hosts=AllowedHosts(None if address is None else address.host, settings.allowed_hosts),
        tokens=known,
        sessions=sessions,
        rate=RateLimit(settings.requests_per_s),
        clock=clock,
        counters=page,
        is_over=lambda: one_time is not None and one_time.page.get("is_over") != 0,
        is_open_here=not settings.needs_token_to_read,
    )


def read_again(known: Tokens, path: Path | None) -> bool:
    """The tokens as the file has them now; those of before if it cannot be read. True: somebody
    has lost theirs, and what they follow is to end."""
    log = structlog.get_logger("actors.web")
    if path is None:
        return False
    try:
        has_lost = known.replace(tokens.read(path))
    except ConfigurationError as error:
        log.error("web.tokens_invalid", what=str(error), tokens_kept=len(known))
        return False
    if tokens.is_exposed(path):
        log.warning("web.tokens_exposed", what=f"other users can read {path}: chmod 600")
    log.info("web.tokens_loaded", count=len(known))
    return has_lost


def _key(data_dir: Path) -> bytes:
    try:
        return load_key(data_dir)
    except OSError as error:
        structlog.get_logger("actors.web").warning(
            "web.key_not_saved",
            cause=error.strerror,
            what="a restart of the web process signs out all",
        )
        return secrets.token_bytes(KEY_BYTES)

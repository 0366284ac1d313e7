"""SettingsViews: the settings as `check` shows them, and what the gateway says to them.

Knows no layer and no request.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from actors import tables
from actors.cli_options import DISTRIBUTION
from actors.settings_layers import Effective
from actors.web import tokens
from runtime.errors import EXIT_CLEAN

if TYPE_CHECKING:
    from actors.online import Trial

_TRIAL_COLUMNS: Final = ("tried", "of", "it is", "and says")


def show(effective: Effective, *, online: bool, as_json: bool) -> int:
    """The exit code: of settings that can be shown 0, unless what was tried online is wrong. Raises
    ConfigurationError for a file of tokens that cannot be used."""
    if effective.settings.web.tokens_file is not None:
        tokens.read(effective.settings.web.tokens_file)
    rows = list(effective.rows())
    if as_json:
        document: dict[str, Any] = {
            "gateway": effective.settings.api_url,
            "settings": {key: {"value": value, "from": origin} for key, value, origin in rows},
            "warnings": list(effective.warnings),
        }
        code, trials = _tried(effective) if online else (EXIT_CLEAN, [])
        if online:
            document["online"] = [trial._asdict() for trial in trials]
        tables.show_json(document)
        return code
    rows.insert(0, ("(gateway)", effective.settings.api_url, ""))
    tables.show("settings", ("setting", "value", "from"), rows)
    for warning in effective.warnings:
        print(f"{DISTRIBUTION}: warning: {warning}", file=sys.stderr)
    if not online:
        return EXIT_CLEAN
    code, trials = _tried(effective)
    print()
    tables.show("online", _TRIAL_COLUMNS, [(t.what, t.who, t.verdict, t.said) for t in trials])
    return code


def _tried(effective: Effective) -> tuple[int, Sequence[Trial]]:
    from actors import online  # noqa: PLC0415 - 0.2 s

    trials = asyncio.run(online.try_out(effective.settings))
    return online.exit_code(trials), trials

"""SettingsViews: the settings as `check` shows them, and what the gateway says to them.

Knows no layer and no request.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from actors.cli import tables
from actors.cli.options import DISTRIBUTION
from actors.settings.layers import Effective
from actors.web import tokens
from runtime.errors import EXIT_CLEAN

if TYPE_CHECKING:
    from actors.cli.preflight import Trial

_TRIAL_COLUMNS: Final = ("tried", "of", "it is", "and says")


def show(effective: Effective, *, online: bool, as_json: bool) -> int:
    """The exit code: of settings that can be shown 0, unless what was tried online is wrong. Raises
    ConfigurationError for a file of tokens that cannot be used."""
    if effective.settings.web.tokens_file is not None:
        tokens.read(effective.settings.web.tokens_file)
    rows = list(effective.rows())
    warnings = [*effective.warnings, *_exposed(effective)]
    if as_json:
        document: dict[str, Any] = {
            "valid": True,
            "gateway": effective.settings.api_url,
            "settings": {key: {"value": value, "from": origin} for key, value, origin in rows},
            "warnings": warnings,
        }
        code, trials = _tried(effective) if online else (EXIT_CLEAN, [])
        if online:
            document["verdict"] = verdict(trials)
            document["online"] = [trial._asdict() for trial in trials]
        tables.show_json(document)
        return code
    settings = effective.settings
    print(
        f"settings are valid: dialect {settings.dialect}, gateway {settings.api_url}, "
        f"data directory {settings.data_dir}",
        flush=True,  # what is tried online takes a while
    )
    for warning in warnings:
        print(f"{DISTRIBUTION}: warning: {warning}", file=sys.stderr)
    code, trials = _tried(effective) if online else (EXIT_CLEAN, [])
    if online:
        print(verdict(trials))
        print()
        tables.show("online", _TRIAL_COLUMNS, [(t.what, t.who, t.verdict, t.said) for t in trials])
    print()
    rows.insert(0, ("(gateway)", settings.api_url, ""))
    tables.show("settings", ("setting", "value", "from"), rows)
    return code


def verdict(trials: Sequence[Trial]) -> str:
    """Of all that was tried, in one line: what a person must mend before what may pass."""
    of = f"of {len(trials)} checks"
    wrong = [trial for trial in trials if trial.verdict == "wrong"]
    if wrong:
        first = f"{wrong[0].what} ({wrong[0].who}): {wrong[0].said}"
        return f"online: {len(wrong)} {of} failed; first failure: {first}"
    if silent := [trial for trial in trials if trial.verdict == "no answer"]:
        first = f"{silent[0].what} ({silent[0].who}): {silent[0].said}"
        return f"online: no response to {len(silent)} {of}; try again; first: {first}"
    skipped = sum(trial.verdict == "not tried" for trial in trials)
    return f"online: {len(trials) - skipped} {of} passed" + (
        f", {skipped} skipped" if skipped else ""
    )


def _exposed(effective: Effective) -> list[str]:
    path = effective.settings.web.tokens_file
    if path is None or not tokens.is_exposed(path):
        return []
    return [f"web.tokens_file = {path} is readable by other users; run: chmod 600 {path}"]


def _tried(effective: Effective) -> tuple[int, Sequence[Trial]]:
    from actors.cli import preflight  # 0.2 s

    trials = asyncio.run(preflight.try_out(effective.settings))
    return preflight.exit_code(trials), trials

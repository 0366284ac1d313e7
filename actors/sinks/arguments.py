"""Owns what the supervisor hands to the sinks' process, and the words of its page. No loop."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from actors.genesys.http import GatewayAddress
from actors.settings.sinks import SinkSettings
from runtime.counters import Counters

SINKS: Final = "sinks"
"""The name of the child."""

SINKS_WORDS: Final = (
    "sinks",
    "sinks_failing",  # whose last attempt was not delivered
    "sinks_paused",  # of those, the ones that were refused: a person must act
    "delivered",  # events, by all sinks
    "batches",
    "failed",  # attempts; each is repeated
    "refused",  # of those
    "rows_missed",  # that a sink will never be given, and was told so; of a journal that is gone 1
    "behind_rows",  # of the sink that is furthest behind
    "behind_ms",  # how long the oldest row has waited that a sink is to be given
    "commit_failures",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SinksArguments:
    """What the process needs; it serves all sinks."""

    settings: tuple[SinkSettings, ...]
    data_dir: Path
    run: str
    source: str  # of the events: this runtime's name
    address: GatewayAddress  # how this machine reaches others
    shard_counters: tuple[Counters, ...]  # whose rows tell that there is something to read

"""WallPairs: what many readers cost receiver and shards, for each event, in a whole runtime.

Of two runtimes that take turns, one has a crowd of readers and a reader that sleeps, and one has
none. Each run ends with the gateway's own judgement.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Final

from actors.web.hub import READER_BYTES_MAX
from actors.web.instruments import rss_bytes
from benchmarks.crowd import Crowd, Told, sleeping
from benchmarks.harness import (
    Answer,
    Figure,
    Options,
    Target,
    overtime_is_wrong,
    under_way,
    verify,
)
from benchmarks.side import READY_TIMEOUT_S, Side, Use, attached, in_pairs, log_of, rest, wait
from runtime.log import setup

RISE_PERCENT_MAX: Final = 5.0
WITHOUT: Final = "nobody reads"
ROLES: Final = ("receiver", "shard", "web")
FOUND_OUT: Final = 8 * READER_BYTES_MAX
"""So many bytes told, and a reader that sleeps was dropped: more than kernel and hub keep."""


class Round:
    """Two runtimes, as long as it lasts."""

    def __init__(self, options: Options, number: int) -> None:
        self._options = options
        self._number = number
        self.uses: list[list[Use]] = []
        self.told: list[list[Told]] = []
        self.web_mb: list[float] = []
        """Of the web child with readers, at the end of each of its turns."""

    def run(self) -> None:
        own, seed = self._options.own, self._options.seed + self._number
        with tempfile.TemporaryDirectory(prefix="presence-bench-") as name, ExitStack() as stack:
            folder = Path(name)
            setup(log_of(folder), process="supervisor")
            sides = [
                stack.enter_context(attached(folder / word, own.agents, seed))
                for word in ("without", "with")
            ]
            wait(sides, lambda: all(_is_shown(side, own.agents) for side in sides), "ready")
            with sleeping(sides[1].web.get("port")):
                self.uses = in_pairs(sides, own.pairs, lambda place, _: self._turn(sides, place))
            if sum(parts[0].bytes for parts in self.told) > FOUND_OUT:
                dropped = sum(part.resyncs for parts in self.told for part in parts)
                found = sides[1].web.get("stream_resyncs")
                verify("readers that were dropped, the one that sleeps too", found, dropped + 1)
            for side in sides:
                side.verify()

    def _turn(self, sides: Sequence[Side], place: int) -> Use:
        own, side = self._options.own, sides[place]
        meanwhile = self._read(sides) if place else ExitStack()
        return side.under_load(sides, own.rate, self._options.seconds, meanwhile)

    @contextmanager
    def _read(self, sides: Sequence[Side]) -> Iterator[None]:
        web = sides[1].web
        with closing(Crowd(web.get("port"), self._options.own.readers)) as crowd:
            yield
            told = crowd.leave(lambda seconds: rest(sides, seconds, "quiet"))
            self.told.append(told)
            self.web_mb.append((rss_bytes(web.get("pid")) or 0) / 1e6)


def _is_shown(side: Side, agents: int) -> bool:
    return bool(side.is_ready(agents) and side.web.get("port") and not side.web.get("feed_lagging"))


def run(options: Options) -> Answer:
    own = options.own
    rounds = [Round(options, number) for number in range(options.repeat)]
    for number, each in enumerate(rounds, 1):
        limit_s = 2 * own.pairs * (options.seconds + 30) + 2 * READY_TIMEOUT_S
        at = f"pairs with {own.readers} readers, round {number} of {options.repeat}"
        with under_way(at), overtime_is_wrong(at, limit_s):
            each.run()
    uses = [pair for each in rounds for pair in each.uses]
    told = [part for each in rounds for parts in each.told for part in parts]
    subject = f"{own.readers} readers at {own.rate:,.0f}/s"
    figures, targets = [], []
    for place, role in enumerate(ROLES):
        for side, name in enumerate((WITHOUT, subject)):
            values = tuple(pair[side][place] for pair in uses)
            figures.append(Figure(subject=name, unit=f"{role} µs", values=values))
    for place, role in enumerate(ROLES[:2]):
        rises = tuple(100 * (pair[1][place] / pair[0][place] - 1) for pair in uses)
        figures.append(Figure(subject="rise of a pair", unit=f"{role} %", values=rises))
        targets.append(
            Target(
                what=f"CPU per event of {role} with {own.readers} readers: median rise, %",
                reached=median(rises),
                bound=RISE_PERCENT_MAX,
                sense="at most",
            )
        )
    late = tuple(quantiles(part.published_ms, n=100)[-1] for part in told)
    figures.append(Figure(subject=subject, unit="ms, p99 from the tick to a reader", values=late))
    dropped = tuple(sum(part.resyncs for part in parts) for each in rounds for parts in each.told)
    figures.append(Figure(subject=subject, unit="readers dropped", values=dropped))
    held = tuple(mb for each in rounds for mb in each.web_mb)
    figures.append(Figure(subject=subject, unit="MB, web", values=held))
    return Answer(figures=tuple(figures), targets=tuple(targets))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--agents", type=int, default=5_000, help="of the pairs")
    parser.add_argument("--rate", type=float, default=5_000, help="events a second of the pairs")
    parser.add_argument("--pairs", type=int, default=6, help="of turns, in each round; 0: none")
    parser.add_argument("--readers", type=int, default=200, help="of the pairs")

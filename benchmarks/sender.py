"""Sender: what an attached sender with commands costs receiver and shards, for each event.

Of two runtimes that take turns, one has a sender and commands all the while, and one has none. Each
run ends with the gateway's own judgement.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Final

from actors.demo.commands import DemoCommands
from actors.settings.sender import CapacitySettings, QueueLimits, SenderSettings
from benchmarks.harness import (
    Answer,
    Benchmark,
    Figure,
    Options,
    Target,
    WrongResultError,
    overtime_is_wrong,
)
from benchmarks.side import READY_TIMEOUT_S, Side, Use, attached, in_pairs, log_of, wait
from runtime.log import setup

COMMANDS_PER_S: Final = 5.0
ROLES: Final = ("receiver", "shard")
WITHOUT: Final = "without a sender"
RISE_PERCENT_MAX: Final = 2.0
# A limit, so that shards are asked for the counts of a queue as well.
_SETTINGS: Final = SenderSettings(
    capacity=CapacitySettings(default=QueueLimits(minimum_available=1))
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--agents", type=int, default=5_000)
    parser.add_argument("--rate", type=float, default=2_000, help="events a second of the load")
    parser.add_argument("--pairs", type=int, default=6, help="of turns, in each round")
    parser.add_argument("--commands-per-s", type=float, default=COMMANDS_PER_S)


def run(options: Options) -> Answer:
    own = options.own
    pairs: list[list[Use]] = []
    ends: dict[str, int] = {}
    for number in range(options.repeat):
        limit_s = 2 * own.pairs * (options.seconds + 15) + 2 * READY_TIMEOUT_S
        with overtime_is_wrong(f"round {number}", limit_s):
            pairs += _round(options, number, ends)
    subject = f"with one and {own.commands_per_s:g} commands/s"
    figures, targets = [], []
    for place, role in enumerate(ROLES):
        for side, name in enumerate((WITHOUT, subject)):
            values = tuple(pair[side][place] for pair in pairs)
            figures.append(Figure(subject=name, unit=f"{role} µs", values=values))
        rises = [100 * (pair[1][place] / pair[0][place] - 1) for pair in pairs]
        figures.append(Figure(subject="rise of a pair", unit=f"{role} %", values=tuple(rises)))
        what = f"CPU per event of {role}: median rise, %"
        reached = statistics.median(rises)
        targets.append(Target(what=what, reached=reached, bound=RISE_PERCENT_MAX, sense="at most"))
    print(f"commands: {', '.join(f'{count} {end}' for end, count in sorted(ends.items()))}")
    return Answer(figures=tuple(figures), targets=tuple(targets), facts={"ends": ends})


def _round(options: Options, number: int, ends: dict[str, int]) -> list[list[Use]]:
    """Some pairs of turns, of two runtimes that live as long as the round."""
    own, seed = options.own, options.seed + number
    with tempfile.TemporaryDirectory(prefix="presence-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        setup(log_of(folder), process="supervisor")
        sides = [
            stack.enter_context(attached(folder / word, own.agents, seed, sender))
            for word, sender in (("without", None), ("with", _SETTINGS))
        ]
        wait(sides, lambda: all(side.is_ready(own.agents) for side in sides), "ready")

        def turn(place: int, pair: int) -> Use:
            has_commands = bool(place and own.commands_per_s)
            meanwhile = (
                _commands(sides, options, seed + pair, ends) if has_commands else nullcontext()
            )
            return sides[place].under_load(sides, own.rate, options.seconds, meanwhile)

        found = in_pairs(sides, own.pairs, turn)
        for side in sides:
            side.verify()
        return found


@contextmanager
def _commands(
    sides: list[Side], options: Options, seed: int, ends: dict[str, int]
) -> Iterator[None]:
    """To the side that has a sender, until each has its end."""
    side, own = sides[1], options.own
    users = side.gateway.users(own.agents)
    commands = DemoCommands(side.data_dir, users, per_s=own.commands_per_s, seed=seed)
    commands.start()
    yield
    commands.stop()
    wait(sides, lambda: commands.is_settled, "the commands' ends")
    if commands.problems:
        raise WrongResultError("; ".join(commands.problems))
    for end, count in commands.ends.items():
        ends[end] = ends.get(end, 0) + count


BENCHMARK = Benchmark(
    question="What does an attached sender with commands cost receiver and shards?",
    run=run,
    add_arguments=add_arguments,
)

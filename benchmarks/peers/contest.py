"""Contest: who is on the stage, and what the figures must reach."""

from __future__ import annotations

import argparse
import shutil
import subprocess
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.harness import (
    Answer,
    Benchmark,
    Contestant,
    Options,
    Target,
    fsync_ms,
    take_turns,
)
from benchmarks.peers.stage import Act, play, python

NODE = Path(__file__).parent / "node"
TUTORIAL = "websockets + json, a queue"
AIOHTTP = "aiohttp + orjson"
PICOWS = "picows + orjson"
NODE_WS = "Node ws"
PEERS = {
    TUTORIAL: python("tutorial"),
    AIOHTTP: python("aiohttp_orjson"),
    PICOWS: python("picows_orjson"),
}
OURS_1, OURS_2 = "ours, 1 shard", "ours, 2 shards"
WHOLE = "ours, 2 shards, whole"
RATE, CPU = "events/s", "CPU µs/event"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--agents", type=int, default=5_000)
    parser.add_argument(
        "--table", choices=("plain", "durable", "tls", "all"), default="all", help="which of them"
    )


def run(options: Options) -> Answer:
    wanted = options.own.table
    contestants: dict[str, Contestant] = {}
    if wanted in {"plain", "all"}:
        contestants |= _plain(options)
    if wanted in {"durable", "all"}:
        contestants |= _durable(options)
    if wanted in {"tls", "all"}:
        contestants |= _tls(options)
    answer = Answer(figures=take_turns(contestants, options))
    facts: dict[str, Any] = {"node": NODE_WS in {figure.subject for figure in answer.figures}}
    if wanted in {"durable", "all"}:
        facts["fsync_ms"] = fsync_ms()
    return Answer(figures=answer.figures, targets=_targets(answer), facts=facts)


def has_node() -> bool:
    """Whether Node and its `ws` are here; says what is missing."""
    if shutil.which("node") is None:
        print("Node is not installed: its row is left out")
        return False
    if not (NODE / "node_modules" / "ws").is_dir():
        done = subprocess.run(
            ["npm", "ci", "--silent"], cwd=NODE, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            print(f"`npm ci` in {NODE} fails: Node's row is left out\n{done.stderr.strip()}")
            return False
    return True


def _plain(options: Options) -> dict[str, Contestant]:
    peers = dict(PEERS)
    if has_node():
        peers[NODE_WS] = ("node", str(NODE / "peer.js"))
    return {
        **{name: partial(_peer, options, program) for name, program in peers.items()},
        OURS_1: partial(_ours, options, ("--shards", "1", "--bare")),
        OURS_2: partial(_ours, options, ("--shards", "2", "--bare")),
        WHOLE: partial(_ours, options, ("--shards", "2")),
    }


def _durable(options: Options) -> dict[str, Contestant]:
    """Node has no SQLite of its own, and the packages for it fetch binaries: it is not here."""
    return {
        **{
            f"{name}, durable": partial(_peer, options, program, durable=True)
            for name, program in PEERS.items()
        },
        f"{OURS_2}, journal full": partial(
            _ours, options, ("--shards", "2", "--bare"), durable=True
        ),
    }


def _tls(options: Options) -> dict[str, Contestant]:
    return {
        f"{PICOWS}, TLS": partial(_peer, options, PEERS[PICOWS], tls=True),
        f"{OURS_2}, TLS": partial(_ours, options, ("--shards", "2", "--bare"), tls=True),
    }


def _peer(
    options: Options,
    program: tuple[str, ...],
    seconds: float,
    *,
    durable: bool = False,
    tls: bool = False,
) -> Mapping[str, float]:
    act = Act(
        program=program, agents=options.own.agents, seed=options.seed, durable=durable, tls=tls
    )
    played = play(act, "max", seconds)
    return {RATE: played.per_s, CPU: played.us()}


def _ours(
    options: Options,
    arguments: tuple[str, ...],
    seconds: float,
    *,
    durable: bool = False,
    tls: bool = False,
) -> Mapping[str, float]:
    act = Act(
        program=python("ours", *arguments),
        agents=options.own.agents,
        seed=options.seed,
        durable=durable,
        tls=tls,
        has_folder=True,
    )
    played = play(act, "max", seconds)
    roles = {f"{role} µs/event": played.us(role) for role in played.cpu_s}
    return {RATE: played.per_s, CPU: played.us(), **roles}


def _targets(answer: Answer) -> tuple[Target, ...]:
    """Ratios of medians of one run; a table that was not asked for has none."""
    subjects = {figure.subject for figure in answer.figures}
    targets = []

    def ratio(ours: str, theirs: str, bound: float, unit: str = RATE) -> None:
        if {ours, theirs} <= subjects:
            reached = answer.median(ours, unit) / answer.median(theirs, unit)
            sense = "at least" if unit == RATE else "at most"
            what = f"{unit}: {ours} against {theirs}"
            targets.append(Target(what=what, reached=reached, bound=bound, sense=sense))  # type: ignore[arg-type]

    for peer, bound in ((TUTORIAL, 6.0), (AIOHTTP, 2.5), (PICOWS, 1.5), (NODE_WS, 1.6)):
        ratio(OURS_2, peer, bound)
    ratio(WHOLE, OURS_2, 0.8)
    ratio(OURS_2, NODE_WS, 1.0, CPU)
    for peer in PEERS:
        ratio(f"{OURS_2}, journal full", f"{peer}, durable", 1.5)
    return tuple(targets)


BENCHMARK = Benchmark(
    question="How does it compare with what one would otherwise run, on one stream, in one run?",
    run=run,
    add_arguments=add_arguments,
)

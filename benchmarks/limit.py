"""Limit: the most that this machine can do on this work, and our share of it.

A listener that only counts is the most that can be received; copying the bytes of an event the most
that can be handed on; appending the same bytes to a SQLite file the most that can be kept.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import apsw

from benchmarks.harness import (
    Answer,
    Benchmark,
    Contestant,
    Options,
    Target,
    fsync_ms,
    take_turns,
    verify,
)
from benchmarks.peers.stage import Act, play, python

EVENT_BYTES = 218
"""Of a frame of the bundled gateway, in the median."""
COPY_BYTES = 64 << 20
BATCH = 512
RATE, CPU = "events/s", "CPU µs/event"
COUNTS, RECEIVES = "a native listener that counts", "our receiver, routing into 2 rings"
COPIES, APPENDS = "copying the bytes", "appending the bytes, fsync each 512"
WHOLE, DURABLE = "ours, 2 shards, journal off", "ours, 2 shards, journal full"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--agents", type=int, default=5_000)


def run(options: Options) -> Answer:
    pipeline = python("ours", "--shards", "2", "--bare")
    contestants: dict[str, Contestant] = {
        COUNTS: partial(_played, options, python("counting"), has_folder=False, holds=False),
        RECEIVES: partial(_played, options, python("receiver_only"), has_folder=True, holds=False),
        WHOLE: partial(_played, options, pipeline, has_folder=True, holds=True),
        DURABLE: partial(_played, options, pipeline, has_folder=True, holds=True, durable=True),
        COPIES: copying,
        APPENDS: appending,
    }
    answer = Answer(figures=take_turns(contestants, options))
    share = answer.median(RECEIVES, RATE) / answer.median(COUNTS, RATE)
    target = Target(what=f"{RECEIVES}: share of the counting one", reached=share, bound=0.5)
    facts = {
        "fsync_ms": fsync_ms(),
        "journal_share": answer.median(DURABLE, RATE) / answer.median(APPENDS, RATE),
        "copy_share": answer.median(WHOLE, RATE) / answer.median(COPIES, RATE),
    }
    print(f"journalled events against bare appends: {facts['journal_share']:.2f}")
    return Answer(figures=answer.figures, targets=(target,), facts=facts)


def _played(
    options: Options,
    program: tuple[str, ...],
    seconds: float,
    *,
    has_folder: bool,
    holds: bool,
    durable: bool = False,
) -> Mapping[str, float]:
    act = Act(
        program=program,
        agents=options.own.agents,
        seed=options.seed,
        durable=durable,
        has_folder=has_folder,
        holds_agents=holds,
    )
    played = play(act, "max", seconds)
    return {RATE: played.per_s, CPU: played.us()}


def copying(seconds: float) -> Mapping[str, float]:
    """One thread, from one block of memory to another that no cache holds."""
    source, target = bytes(range(256)) * (COPY_BYTES // 256), bytearray(COPY_BYTES)
    view, events, cpu_s = memoryview(target), 0, time.process_time()
    started_s = time.perf_counter()
    while time.perf_counter() - started_s < seconds:
        view[:] = source
        events += COPY_BYTES // EVENT_BYTES
    took_s = time.perf_counter() - started_s
    verify("the copy", bytes(target[-256:]), source[-256:])
    return {RATE: events / took_s, CPU: (time.process_time() - cpu_s) * 1e6 / events}


def appending(seconds: float) -> Mapping[str, float]:
    """The plainest durable log: one blob an event, WAL, a transaction for each batch."""
    frame = (b"x" * EVENT_BYTES,)
    with tempfile.TemporaryDirectory(prefix="presence-limit-") as folder:
        connection = apsw.Connection(str(Path(folder) / "log.db"))
        connection.execute(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
            "CREATE TABLE log(id INTEGER PRIMARY KEY, frame BLOB)"
        ).fetchall()
        events, cpu_s, started_s = 0, time.process_time(), time.perf_counter()
        while time.perf_counter() - started_s < seconds:
            with connection:
                connection.executemany("INSERT INTO log(frame) VALUES (?)", [frame] * BATCH)
            events += BATCH
        took_s = time.perf_counter() - started_s
        verify("rows", connection.execute("SELECT count(*) FROM log").get, events)
        connection.close()
    return {RATE: events / took_s, CPU: (time.process_time() - cpu_s) * 1e6 / events}


BENCHMARK = Benchmark(
    question="What can this machine do at most on this work, and which share of it is ours?",
    run=run,
    add_arguments=add_arguments,
)

"""Dedup: what it costs to know that an event was handled before, and what that takes in memory.

The same stream for all: a sequence and a payload hash an event, and one in a hundred comes again
within the next ten thousand. Every contestant must find exactly those.
"""

from __future__ import annotations

import random
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from actors.shard.dedup import HASH_AGE_S, HASHES_MAX, WINDOW_WIDTH, HashWindow, SequenceWindow
from benchmarks.harness import Answer, Benchmark, Contestant, Options, Target, take_turns, verify

EVENTS: Final = 1 << 20
AGAIN_EVERY: Final = 100
REACH: Final = 10_000
BATCH: Final = 512
RATE: Final = 10_000
"""Events a second of the stream's own clock: more generations end by their size than by age."""
INT_BYTES: Final = 32
CPU, MEMORY = "CPU ns/event", "MB held"
SLOTS, GENERATIONS = "sequences: slots", "hashes: two generations"
ORDERED, TIMES, ONE_SET = "OrderedDict, the oldest goes", "dict with times", "one set, for ever"

Course = Callable[[Sequence[int]], tuple[int, int]]
"""Takes all keys of a stream in batches; duplicates found, and bytes held at the end."""


def stream(seed: int, *, are_hashes: bool) -> list[int]:
    """Keys in the order of arrival, some of them twice."""
    draw = random.Random(seed)
    keys: list[int] = []
    for number in range(1, EVENTS + 1):
        keys.append(draw.getrandbits(64) if are_hashes else number)
        if number % AGAIN_EVERY == 0:
            keys.append(keys[-1 - draw.randrange(min(REACH, len(keys)))])
    return keys


def repeats(keys: Sequence[int]) -> int:
    return len(keys) - len(set(keys))


def slots(keys: Sequence[int]) -> tuple[int, int]:
    """As the merge has it in line."""
    window, found = SequenceWindow(), 0
    held, mask = window.slots, WINDOW_WIDTH - 1
    for key in keys:
        if held[key & mask] == key:
            found += 1
        else:
            held[key & mask] = key
    return found, sys.getsizeof(held)


def generations(keys: Sequence[int]) -> tuple[int, int]:
    """As the merge has it in line; asked of both generations, which only a suspect needs there."""
    window, found = HashWindow(), 0
    for first in range(0, len(keys), BATCH):
        window.turn(first / RATE)
        younger, older = window.younger, window.older
        add = younger.add
        for key in keys[first : first + BATCH]:
            if key in younger or key in older:
                found += 1
            else:
                add(key)
    held = window.younger, window.older
    return found, sum(sys.getsizeof(each) + INT_BYTES * len(each) for each in held)


def ordered(keys: Sequence[int], *, most: int) -> tuple[int, int]:
    held: OrderedDict[int, None] = OrderedDict()
    found = 0
    for key in keys:
        if key in held:
            found += 1
            continue
        held[key] = None
        if len(held) > most:
            held.popitem(last=False)
    return found, sys.getsizeof(held) + INT_BYTES * len(held)


def times(keys: Sequence[int], *, most: int) -> tuple[int, int]:
    """Each key with its time; whoever is too old, or too many, goes from the front, in one walk a
    batch: each `next(iter(held))` would walk over all gaps that earlier ones left."""
    held: dict[int, float] = {}
    found = 0
    for first in range(0, len(keys), BATCH):
        now_s = first / RATE
        for key in keys[first : first + BATCH]:
            if key in held:
                found += 1
            else:
                held[key] = now_s
        gone = max(0, len(held) - most)
        for count, at_s in enumerate(held.values()):
            if count >= gone and at_s > now_s - HASH_AGE_S:
                gone = count
                break
        for key in [key for key, _ in zip(held, range(gone), strict=False)]:
            del held[key]
    return found, sys.getsizeof(held) + 2 * INT_BYTES * len(held)


def one_set(keys: Sequence[int]) -> tuple[int, int]:
    held: set[int] = set()
    found = 0
    for key in keys:
        if key in held:
            found += 1
        else:
            held.add(key)
    return found, sys.getsizeof(held) + INT_BYTES * len(held)


def _measured(
    course: Course, keys: Sequence[int], expected: int, seconds: float
) -> Mapping[str, float]:
    """Whole courses, each with an empty memory, until the time is over."""
    deadline_s, spent_ns, events = time.perf_counter() + seconds, 0, 0
    while not events or time.perf_counter() < deadline_s:
        began_ns = time.thread_time_ns()
        found, held = course(keys)
        spent_ns += time.thread_time_ns() - began_ns
        events += len(keys)
        verify("duplicates found", found, expected)
    return {CPU: spent_ns / events, MEMORY: held / 1e6}


def run(options: Options) -> Answer:
    sequences = stream(options.seed, are_hashes=False)
    hashes = stream(options.seed, are_hashes=True)
    courses: dict[str, tuple[Course, list[int]]] = {
        SLOTS: (slots, sequences),
        f"sequences: {ORDERED}": (partial(ordered, most=WINDOW_WIDTH), sequences),
        f"sequences: {TIMES}": (partial(times, most=WINDOW_WIDTH), sequences),
        f"sequences: {ONE_SET}": (one_set, sequences),
        GENERATIONS: (generations, hashes),
        f"hashes: {ORDERED}": (partial(ordered, most=2 * HASHES_MAX), hashes),
        f"hashes: {TIMES}": (partial(times, most=2 * HASHES_MAX), hashes),
        f"hashes: {ONE_SET}": (one_set, hashes),
    }
    contestants: dict[str, Contestant] = {
        name: partial(_measured, course, keys, repeats(keys))
        for name, (course, keys) in courses.items()
    }
    answer = Answer(figures=take_turns(contestants, options))
    targets = tuple(
        Target(
            what=f"{ours} against {twin}: {CPU}",
            reached=answer.median(ours, CPU) / answer.median(twin, CPU),
            bound=1.0,
            sense="at most",
        )
        for ours, twin in (
            (SLOTS, f"sequences: {ORDERED}"),
            (GENERATIONS, f"hashes: {ORDERED}"),
        )
    )
    return Answer(figures=answer.figures, targets=targets)


BENCHMARK = Benchmark(
    question="What does it cost to know that an event was handled before?", run=run
)

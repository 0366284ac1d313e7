"""Asks the API as `python -m tests.api --requests 10000`: progress, then a verdict.

0: the description is true of every answer; 1: it is not, or fewer requests were made than wanted.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.api.contract import Verdict, ask
from tests.api.scene import SEED, scene

TOLD_EVERY_S = 5.0


class Progress:
    """A line now and then."""

    def __init__(self) -> None:
        self._begun_s = self._told_s = time.monotonic()

    def tell(self, verdict: Verdict) -> None:
        now_s = time.monotonic()
        if now_s - self._told_s >= TOLD_EVERY_S:
            self._told_s = now_s
            per_s = verdict.requests / (now_s - self._begun_s)
            breaches = len(verdict.breaches)
            print(f"{verdict.requests:,} requests, {per_s:.0f}/s, {breaches} breaches", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.api", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="presence-api-") as folder:
        with scene(Path(folder)) as asked:
            verdict = ask(
                asked,
                requests=options.requests,
                seed=options.seed,
                tell=Progress().tell,
            )
            troubles = asked.troubles()
        return show(verdict, troubles, options.requests, options.seed)


def show(verdict: Verdict, troubles: list[str], wanted: int, seed: int) -> int:
    for (operation, status), count in sorted(verdict.answers.items()):
        print(f"{count:8,}  {status or 'none'}  {operation}")
    for (operation, name), told in verdict.breaches.items():
        print(f"\nBREACH {operation}: {name}\n{told}")
    for error in (*verdict.errors, *troubles):
        print(f"\nERROR {error}")
    is_kept = verdict.is_kept and not troubles and verdict.requests >= wanted
    said = "kept: no status, header or field that is not described" if is_kept else "NOT KEPT"
    print(f"\n{verdict.requests:,} requests, seed {seed}: the contract is {said}")
    return 0 if is_kept else 1


if __name__ == "__main__":
    sys.exit(main())

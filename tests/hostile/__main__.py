"""`python -m tests.hostile --frames 10000000`: a long campaign, in parts of 50,000 frames each.

A part follows from its seed alone: what fails names it, and how to replay it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.hostile.campaign import Campaign, small_bounds

PART = 50_000
TELL_EVERY = 10
ROOT = Path(__file__).parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1, help="of the first part")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    parts = -(-asked.frames // PART)
    if asked.processes == 1 or parts == 1:
        return play(asked.seed, parts)
    share = -(-parts // asked.processes)
    command = [sys.executable, "-m", "tests.hostile", "--processes", "1"]
    children = []
    for first in range(0, parts, share):
        frames = PART * min(share, parts - first)
        its = ["--seed", str(asked.seed + first), "--frames", str(frames)]
        children.append(subprocess.Popen([*command, *its], cwd=ROOT))
    return max(child.wait() for child in children)


def play(first: int, parts: int) -> int:
    """The parts from seed `first` on, one after the other."""
    small_bounds()
    began_s, fed = time.monotonic(), 0
    for number, seed in enumerate(range(first, first + parts), 1):
        campaign = Campaign(seed)
        try:
            campaign.run(PART)
        except Exception:
            print(f"seed {seed} fails after {campaign.fed:,} frames", file=sys.stderr)
            print(f"replay: python -m tests.hostile --seed {seed} --frames {PART}", file=sys.stderr)
            raise
        fed += campaign.fed
        if number % TELL_EVERY == 0 or number == parts:
            rate = fed / (time.monotonic() - began_s)
            told = f"seeds {first} to {seed}: {fed:,} frames, {rate:,.0f} a second, nothing wrong"
            print(told, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

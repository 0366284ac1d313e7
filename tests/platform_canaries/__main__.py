"""The demo with every cure on, and all canaries, or those that are named:
`python -m tests.platform_canaries [NAME…]`."""

from __future__ import annotations

import os
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from tests.platform_canaries.canaries import CANARIES, Canary
from tests.platform_canaries.demos import Verdict, demo, demo_without

AT_ONCE = 2
SHOWN_MOST = 6


def main(names: list[str]) -> int:
    wanted = [each for each in CANARIES if not names or each.name in names or each.row in names]
    began_s = time.monotonic()
    whole = demo(dict(os.environ), 15.0)
    _show(f"every cure on: {'verified' if whole.is_verified else 'NOT verified'}", whole, began_s)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return int(not (all(list(pool.map(_is_found, wanted))) and whole.is_verified))


def _is_found(canary: Canary) -> bool:
    began_s = time.monotonic()
    verdict = demo_without(canary)
    is_found = not verdict.is_verified and bool(re.search(canary.says, verdict.said))
    _show(f"{canary.row} {canary.name}: {'found' if is_found else 'SURVIVES'}", verdict, began_s)
    return is_found


def _show(what: str, verdict: Verdict, began_s: float) -> None:
    problems = [line for line in verdict.said.splitlines() if _matters(line)]
    print(
        f"{what} after {time.monotonic() - began_s:.0f} s",
        *problems[:SHOWN_MOST],
        sep="\n    ",
        flush=True,
    )


def _matters(line: str) -> bool:
    words = line.split()
    is_count = "(must be 0)" in line and words[-1] != "0"
    return is_count or "problem:" in line or "not finished" in line or "Error" in line


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

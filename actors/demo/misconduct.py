"""Owns what a demo holds against the runtime beside its events: how it treats the platform. Pure.

Every event may be right although tokens are asked for a hundred times a second, although each token
costs a gap, although lines are written of what is usual, and although what people mean is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from actors.demo.report import DemoReport
from actors.sender.commands import Code

HAMMERED: Final = "hammered"
IN_USE: Final = "ended-in-use"
ENDS: Final = "token-ends-channel"
IN_USE_MIN: Final = 3
"""Fewer may be bad luck: a new channel has to wait its turn in the budget of requests."""


def misconduct(report: DemoReport, beside: Mapping[str, int]) -> list[str]:
    """`beside`: what the gateway noted beside its faults, by kind."""
    return list(_found(report, beside))


def _found(report: DemoReport, beside: Mapping[str, int]) -> Iterator[str]:
    if beside.get(HAMMERED):
        yield "tokens were requested again and again without a pause"
    variations = {} if report.cloud is None else report.cloud["variations"]
    in_use, ended = beside.get(IN_USE, 0), variations.get(ENDS, 0)
    if in_use >= IN_USE_MIN and 2 * in_use > ended:
        yield f"{in_use} of {ended} channels were still in use when their token expired"
    if report.fault_profile == "platform":
        for reason, times in sorted(report.quarantined_by_reason.items()):
            yield f"{times} frames were quarantined, although each can be read: {reason}"
    ends = {} if report.commands is None else report.commands["ends"]
    if unknown := ends.get(f"refused: {Code.NO_SUCH_STATE}", 0):
        yield f"{unknown} commands were refused, although the platform knows their presence"

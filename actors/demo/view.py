"""Progress of a demo as people see it: a live table on a terminal, else a line now and then.

Knows only samples; how they are taken is the demo's business.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self

from actors.cli.tables import cell, console
from runtime.process_use import cpu_s, resident_bytes

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

LINE_EVERY_S: Final = 10.0
DRAW_PER_S: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What one process uses."""

    cpu_percent: float  # of one core, since the sample before
    memory_bytes: int  # resident, shared blocks included
    pid: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look at everything."""

    at_s: float
    phase: str
    time: str = ""  # how long the phase still lasts, in words
    sent: int = 0
    received: int = 0
    applied: int = 0
    received_per_s: float = 0.0
    in_rings: int = 0  # routed by the receiver, not yet committed by a shard
    restarts: int = 0
    uses: Mapping[str, Use]


def time_left(so_far_s: float, seconds: float) -> str:
    """Of a load of `seconds` (0: until Ctrl-C)."""
    if not seconds:
        return f"{so_far_s:.0f} s elapsed, until Ctrl-C"
    return f"{max(0.0, seconds - so_far_s):.0f} s of {seconds:g} s left"


class View(Protocol):
    """Shown while the demo runs."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
    def show(self, sample: Sample) -> None: ...
    def say(self, line: str) -> None: ...


def view() -> View:
    return LiveView() if sys.stdout.isatty() else LineView()


class LineView:
    """For logs and pipes."""

    def __init__(self) -> None:
        self._shown_s = float("-inf")
        self._phase = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def say(self, line: str) -> None:
        print(line, flush=True)

    def show(self, sample: Sample) -> None:
        if sample.phase == self._phase and sample.at_s - self._shown_s < LINE_EVERY_S:
            return
        self._shown_s, self._phase = sample.at_s, sample.phase
        cpu = "".join(f", {name} {use.cpu_percent:.0f}%" for name, use in sample.uses.items())
        time = f", {sample.time}" if sample.time else ""
        self.say(
            f"{sample.phase}: sent {sample.sent:,}, received {sample.received:,}, "
            f"applied {sample.applied:,}, {sample.received_per_s:,.0f}/s, "
            f"in rings {sample.in_rings:,}, restarts {sample.restarts}{time}{cpu}"
        )


class LiveView:
    """For a terminal."""

    def __init__(self) -> None:
        self._live: Live | None = None

    def __enter__(self) -> Self:
        from rich.live import Live  # noqa: PLC0415 - 80 ms that a pipe need not pay

        self._live = Live(console=console(), refresh_per_second=DRAW_PER_S, transient=True)
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, line: str) -> None:
        assert self._live is not None
        # An address must stay one word, however narrow the terminal is.
        self._live.console.print(cell(line), markup=False, highlight=False, soft_wrap=True)

    def show(self, sample: Sample) -> None:
        assert self._live is not None
        self._live.update(_drawn(sample))


def _drawn(sample: Sample) -> Table:
    from rich.table import Table  # noqa: PLC0415

    title = f"{sample.phase}: {sample.time}" if sample.time else sample.phase
    flow = Table(title=title, title_justify="left", min_width=60)
    for column in ("sent", "received", "applied", "per second", "in rings", "restarts"):
        flow.add_column(column, justify="right")
    flow.add_row(
        f"{sample.sent:,}",
        f"{sample.received:,}",
        f"{sample.applied:,}",
        f"{sample.received_per_s:,.0f}",
        f"{sample.in_rings:,}",
        str(sample.restarts),
    )
    uses = Table(min_width=60)
    for column in ("process", "cpu", "memory"):
        uses.add_column(column, justify="left" if column == "process" else "right")
    for name, use in sample.uses.items():
        uses.add_row(name, f"{use.cpu_percent:.0f} %", f"{use.memory_bytes / 1e6:,.0f} MB")
    both = Table.grid()
    both.add_row(flow)
    if sample.uses:
        both.add_row(uses)
    return both


class UseMeter:
    """Reads /proc, and remembers what it read there before."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, int], tuple[float, float]] = {}
        self._percent: dict[tuple[str, int], float] = {}

    def read(self, pids: Mapping[str, int | None], now_s: float) -> dict[str, Use]:
        """The processes that run, by name."""
        uses = {}
        for name, pid in pids.items():
            if pid is None:
                continue
            try:
                used_s, memory_bytes = cpu_s(pid), resident_bytes(pid)
            except OSError:
                continue  # it has just ended
            key = (name, pid)
            before_s, before_cpu_s = self._before.get(key, (now_s, used_s))
            if now_s - before_s >= 1 / DRAW_PER_S:  # ticks are 10 ms: shorter spans only flicker
                self._percent[key] = 100 * (used_s - before_cpu_s) / (now_s - before_s)
                self._before[key] = (now_s, used_s)
            elif key not in self._before:
                self._before[key] = (now_s, used_s)
            uses[name] = Use(
                cpu_percent=self._percent.get(key, 0.0), memory_bytes=memory_bytes, pid=pid
            )
        return uses

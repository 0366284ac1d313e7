"""Status: `status` and `top` ask a running runtime how it does. Knows no page and no ring.

What is said in words, and what is wrong, is decided in `status_view`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from actors.cli import status_view, tables
from actors.cli.api_client import ApiClient, Body, open_client, run
from actors.storage.data_dir import holder
from actors.web.rates import CounterSample
from runtime.errors import EXIT_CLEAN, EXIT_TEMPORARY, TemporaryError

if TYPE_CHECKING:
    from rich.console import RenderableType

PATIENCE_S: Final = 3.0
"""One who looks would rather know now."""
EARLY_S: Final = 0.6
"""The first look at a web child knows no rates yet; the next one, so much later, does."""
RINGS_SHOWN_MAX: Final = 8


class StatusResponse(NamedTuple):
    body: Body
    wrong: list[str]


def show(data_dir: Path, *, as_json: bool) -> int:
    """One page; 0: all that is shown is live, 75: something is wrong."""
    answer = run(_asked_once(data_dir))
    if as_json:
        tables.show_json({**answer.body, "wrong": answer.wrong})
    else:
        _print_page(answer)
    return EXIT_TEMPORARY if answer.wrong else EXIT_CLEAN


def _print_page(answer: StatusResponse) -> None:
    print(status_view.headline(*answer))
    for line in status_view.facts(answer.body):
        print(f"  {line}")
    for line in answer.wrong:
        print(f"  ! {tables.cell(line)}")
    print()
    tables.show("", status_view.PROCESS_COLUMNS, status_view.process_rows(answer.body))


def top(data_dir: Path, *, every_s: float, once: bool) -> int:
    """Live until Ctrl-C; on a pipe, or when asked for, once."""
    if once or not sys.stdout.isatty():
        answer = run(_asked_once(data_dir))
        _print_page(answer)
        print()
        tables.show("", status_view.RING_COLUMNS, status_view.ring_rows(answer.body))
        print()
        tables.show("", ("what", "per second"), answer.body["rates"].items())
        return EXIT_CLEAN
    try:
        run(_watch(data_dir, every_s))
    except KeyboardInterrupt:
        return EXIT_CLEAN
    return EXIT_CLEAN


async def _asked_once(data_dir: Path) -> StatusResponse:
    async with open_client(data_dir, patience_s=PATIENCE_S) as client:
        body = await client.status()
        if not body["rates"]:
            await asyncio.sleep(EARLY_S)
        return await _ask(client)


async def _ask(client: ApiClient) -> StatusResponse:
    body = await client.status()
    return StatusResponse(body, status_view.wrong(body, await client.unready()))


async def _watch(data_dir: Path, every_s: float) -> None:
    from rich.live import Live  # 50 ms that a pipe need not pay

    before: CounterSample | None = None
    async with open_client(data_dir, patience_s=PATIENCE_S) as client:
        with Live(console=tables.console(), screen=True, auto_refresh=False) as live:
            while True:
                try:
                    body, wrong = await _ask(client)
                except TemporaryError as error:
                    if holder(data_dir) is None:
                        raise
                    live.update(_drawn(None, [str(error)]), refresh=True)
                    continue
                now = CounterSample(body["clock_s"], body["counters"])
                live.update(_drawn(status_view.paced(body, before, now), wrong), refresh=True)
                before = now
                await asyncio.sleep(every_s)


def _drawn(body: status_view.Body | None, wrong: Sequence[str]) -> RenderableType:
    from rich.columns import Columns
    from rich.console import Group
    from rich.text import Text

    if body is None:
        return Group(*(Text(tables.cell(line), style="bold red") for line in wrong))
    style = "bold red" if wrong else "bold green"
    rings = list(status_view.ring_rows(body))[:RINGS_SHOWN_MAX]
    return Group(
        Text(tables.cell(status_view.headline(body, wrong)), style=style),
        Text(tables.cell(" · ".join(status_view.facts(body)))),
        *(Text(f"! {tables.cell(line)}", style="red") for line in wrong),
        tables.drawn("", status_view.PROCESS_COLUMNS, status_view.process_rows(body)),
        Columns(
            [
                tables.drawn("fullest rings", status_view.RING_COLUMNS, rings),
                tables.drawn("rates", ("what", "per second"), body["rates"].items()),
            ]
        ),
        Text("press Ctrl-C to exit", style="dim"),
    )

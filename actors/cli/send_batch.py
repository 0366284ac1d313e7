"""SendFile: sends a file of commands through the API, shows how far it is, keeps the result.

Decides nothing: `FileRun` says which line is next. Interrupted, it writes what it knows, and the
same file sent again goes on.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from actors.cli import api_client, batch_file, tables
from actors.cli.api_client import ApiClient, ApiResponse, Body, open_client
from actors.cli.batch_file import PENDING, CsvLine, Outcome
from actors.cli.batch_plan import FileRun
from actors.sender.commands import Code, CommandStep
from actors.storage.data_dir import read_meta
from runtime.clock import Clock, SystemClock
from runtime.errors import EXIT_CLEAN, EXIT_FAILURE, EXIT_TEMPORARY, RuntimeFault

RETRY_AFTER_S: Final = 1.0
"""Where the runtime does not say when."""
REASONS_SHOWN_MAX: Final = 10
LINES_SHOWN_MAX: Final = 5
_REASON_COLUMNS: Final = ("outcome", "code", "reason", "lines of the file")
_FOR_NOW: Final = frozenset({Code.RATE, Code.IN_FLIGHT})


def send_file(
    data_dir: Path,
    path: Path,
    *,
    result: Path | None,
    name: str,
    forced: bool,
    as_json: bool,
    ids_of: Callable[[str], Sequence[str]],
) -> int:
    """The exit code: 0 if every line is confirmed, 75 if some are pending and all others confirmed.
    `ids_of`: whom a line means, by id or name."""
    lines = _of_ids(batch_file.read(path, name, read_meta(data_dir).dialect), ids_of, path)
    result = result or batch_file.result_path(path)
    run = FileRun(lines)
    batch_file.write_result(result, run.results())  # now it is known that it can be
    try:
        with _Progress(len(lines)) as progress:
            api_client.run(_send(data_dir, run, forced, lambda: progress.show(run)))
    except (KeyboardInterrupt, RuntimeFault):
        print(
            f"{run.ended:,} of {len(lines):,} lines are finished ({result}); run the same command "
            "again to continue without repeating them",
            file=sys.stderr,
        )
        raise
    finally:
        batch_file.write_result(result, run.results())
    _tell(run, result, as_json)
    outcomes = set(run.counts())
    if outcomes == {CommandStep.CONFIRMED}:
        return EXIT_CLEAN
    is_pending = outcomes <= {CommandStep.CONFIRMED, CommandStep.PENDING}
    return EXIT_TEMPORARY if is_pending else EXIT_FAILURE


def _of_ids(
    lines: list[CsvLine], ids_of: Callable[[str], Sequence[str]], path: Path
) -> list[CsvLine]:
    """With ids for names; one that nobody has is sent as it is, and refused line by line. Raises
    LocalError for a name that several have."""
    ids = {user: ids_of(user) for user in {line.user for line in lines}}
    mistakes = [
        f"line {line.number}: {len(ids[line.user])} agents are named "
        f"{tables.cell(line.user)}; specify the id"
        for line in lines
        if len(ids[line.user]) > 1
    ]
    if mistakes:
        raise batch_file.refused(str(path), mistakes)
    return [line._replace(user=next(iter(ids[line.user]), line.user)) for line in lines]


async def _send(data_dir: Path, run: FileRun, forced: bool, show: Callable[[], None]) -> None:
    async with open_client(data_dir) as client:
        await FileSender(client, run, SystemClock(), forced=forced, show=show).send()


class FileSender:
    """The shell of a FileRun: one task for each line on its way."""

    def __init__(
        self,
        client: ApiClient,
        run: FileRun,
        clock: Clock,
        *,
        forced: bool,
        show: Callable[[], None],
    ) -> None:
        self._client = client
        self._run = run
        self._clock = clock
        self._forced = forced
        self._show = show
        self._tasks: set[asyncio.Task[None]] = set()

    async def send(self) -> None:
        """Until every line has its end. Raises what ended the first task that failed."""
        try:
            while not self._run.is_over:
                while (line := self._run.next_line(self._clock.now_s())) is not None:
                    self._start(self._ask(line))
                due_s = self._run.due_s
                left_s = None if due_s is None else max(0.0, due_s - self._clock.now_s())
                await self._wait(left_s)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(asyncio.create_task(work))

    async def _wait(self, timeout_s: float | None) -> None:
        if not self._tasks:
            await asyncio.sleep(timeout_s or 0)
            return
        done, self._tasks = await asyncio.wait(
            self._tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        self._show()
        failures = [failure for task in done if (failure := task.exception()) is not None]
        if failures:  # all were looked at: asyncio complains of those that nobody has seen
            raise failures[0]

    async def _ask(self, line: CsvLine) -> None:
        change: Body = {"state": line.state, "reason": line.reason, "force": self._forced}
        if line.expected is not None:
            change["expected"] = line.expected
        answer = await self._client.change(line.user, change, key=line.key)
        now_s = self._clock.now_s()
        if not answer.is_problem:
            command, is_replayed = answer.body, answer.is_replayed
            self._run.taken(line, now_s, is_replayed=is_replayed)
            if not CommandStep(command["step"]).is_end:
                command = await self._client.ended(command["id"])
            self._run.came_to(line, _outcome(command, is_replayed))
        elif answer.code in _FOR_NOW:
            after_ms = answer.body.get("retry_after_ms")
            after_s = RETRY_AFTER_S if after_ms is None else after_ms / 1_000
            self._run.refused_for_now(line, now_s, after_s)
        elif answer.code == Code.UNAVAILABLE:
            self._run.unavailable(line, now_s, _refused(answer))
        else:
            self._run.came_to(line, _refused(answer))


def _outcome(command: Body, is_replayed: bool) -> Outcome:
    return Outcome(command["step"], command["code"], command["detail"], command["id"], is_replayed)


def _refused(answer: ApiResponse) -> Outcome:
    body = answer.body
    return Outcome(
        CommandStep.REFUSED,
        answer.code,
        body["detail"],
        body.get("command") or "",
        answer.is_replayed,
    )


# -- what a person sees ------------------------------------------------------------------------


class _Progress:
    """A bar on a terminal; nothing where nobody looks."""

    def __init__(self, lines: int) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._progress = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            console=tables.console(is_stderr=True),
            disable=not sys.stderr.isatty(),
        )
        self._task = self._progress.add_task("", total=lines)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def show(self, run: FileRun) -> None:
        counts = run.counts()
        text = ", ".join(f"{count:,} {step}" for step, count in counts.items() if step != PENDING)
        self._progress.update(self._task, completed=run.ended, description=text)


def _tell(run: FileRun, result: Path, as_json: bool) -> None:
    counts, reasons = run.counts(), run.reasons()
    if as_json:
        tables.show_json(
            {
                "result": str(result),
                "outcomes": dict(counts),
                "replayed": run.replayed,
                "reasons": [
                    {"outcome": why.step, "code": why.code, "detail": why.detail, "lines": lines}
                    for why, lines in reasons
                ],
            }
        )
        return
    tables.show("", ("outcome", "lines"), sorted(counts.items()))
    if reasons:
        print()
        rows = [(why.step, why.code, why.detail, _lines(each)) for why, each in reasons]
        tables.show(_title(rows), _REASON_COLUMNS, rows[:REASONS_SHOWN_MAX])
        print()
    print(f"outcome of each line: {result}")
    if run.replayed:
        print(
            f"{run.replayed:,} lines were finished by an earlier run of the same file and were "
            "not repeated; to run them again, use --key NAME"
        )


def _title(rows: Sequence[object]) -> str:
    more = len(rows) - REASONS_SHOWN_MAX
    return (
        "reasons" if more <= 0 else f"reasons: the {REASONS_SHOWN_MAX} most frequent, {more:,} more"
    )


def _lines(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:LINES_SHOWN_MAX]))
    more = len(numbers) - LINES_SHOWN_MAX
    return shown if more <= 0 else f"{shown} and {more:,} more"

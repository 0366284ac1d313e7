"""DemoCommands: somebody who changes presences all the while, as any program would: over HTTP.

Knows no ring and no gateway. It runs in a thread of its own, because the demo's own is the
supervisor's; each command bears an idempotency key, so that a killed web or sender is only asked
again.
"""

from __future__ import annotations

import asyncio
import random
import threading
import uuid
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from actors.cli.api_client import ApiClient, ApiResponse, Body, open_client, run
from actors.genesys.presences import PRESENCES
from actors.sender.commands import Code, CommandStep
from runtime.errors import RuntimeFault

SETTLE_TIMEOUT_S: Final = 150.0
"""A command comes to its end in 30 s and a confirmation's wait, which a stream that is down makes
longer, whatever is killed meanwhile."""
PATIENCE_S: Final = 60.0
ASKED_AGAIN_MAX: Final = 10
"""A want that the limits refuse for now is asked again as often, after the time they say."""
GERMAN_EVERY: Final = 3
_IN_GERMAN: Final = {
    "available": "Verfügbar",
    "busy": "Beschäftigt",
}
_WEIGHTS: Final = (4, 2, 2, 2)
"""Most often *available*, which everybody may become: what is refused shows least."""


class DemoCommands:
    """Orders `per_s` changes a second of random agents, from `start` until `stop`.

    `ends` counts how they ended, refusals by their code; to be read after `join`. `is_german`: by
    turns a presence is named as Germans of a cloud's organisation read it.
    """

    def __init__(
        self,
        data_dir: Path,
        users: Sequence[str],
        *,
        per_s: float,
        seed: int,
        is_german: bool = False,
    ) -> None:
        self._is_german = is_german
        self.ends: Counter[str] = Counter()
        self.placed = 0
        self.problems: list[str] = []
        self._data_dir = data_dir
        self._users = users
        self._every_s = 1.0 / per_s
        self._rng = random.Random(seed)  # noqa: S311 - who is next
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo-commands", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """No more are ordered; those under way come to their end."""
        self._stopped.set()

    @property
    def is_settled(self) -> bool:
        """Every command that was ordered has its end, or nobody waits for it any more."""
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            run(self._live())
        except RuntimeFault as fault:
            self.problems.append(f"commands: {fault}")
        except TimeoutError:
            self.problems.append(f"unfinished commands after {SETTLE_TIMEOUT_S:g} s")

    async def _live(self) -> None:
        async with open_client(self._data_dir, patience_s=PATIENCE_S, awaits_start=True) as client:
            loop, under_way = asyncio.get_running_loop(), set[asyncio.Task[None]]()
            due_s = loop.time()
            while not self._stopped.is_set():
                task = loop.create_task(self._change(client))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
                due_s += self._every_s
                await asyncio.sleep(max(0.0, due_s - loop.time()))
            async with asyncio.timeout(SETTLE_TIMEOUT_S):
                await asyncio.gather(*under_way)

    async def _change(self, client: ApiClient) -> None:
        """One command, up to its end."""
        state: str = self._rng.choices(PRESENCES, _WEIGHTS)[0]
        user = self._rng.choice(self._users)
        self.placed += 1
        if self._is_german and self.placed % GERMAN_EVERY == 0:
            state = _IN_GERMAN.get(state, state)
        try:
            answer = await self._ordered(client, user, {"state": state, "reason": "demo"})
            if answer.is_problem:
                self.ends[f"{CommandStep.REFUSED}: {answer.code}"] += 1
                return
            ended = await client.ended(str(answer.body["id"]))
        except RuntimeFault as fault:
            self.problems.append(f"a command did not finish: {fault}")
            return
        is_refused = ended["step"] == CommandStep.REFUSED
        self.ends[f"{ended['step']}: {ended['code']}" if is_refused else str(ended["step"])] += 1

    async def _ordered(self, client: ApiClient, user: str, wanted: Body) -> ApiResponse:
        key = str(uuid.uuid4())
        for _ in range(ASKED_AGAIN_MAX):
            answer = await client.change(user, wanted, key=key)
            after_ms = answer.body.get("retry_after_ms")
            if answer.code not in {Code.RATE, Code.IN_FLIGHT} or after_ms is None:
                break
            await asyncio.sleep(after_ms / 1000)
        return answer

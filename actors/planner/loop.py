"""Owns the life of the planner: it reads the roster again and again, plans, tells the receivers.

It decides nothing: who is watched where is `channel_plan`'s, how often we may ask the budget's. It
needs no ring; whatever kills it, the file holds the last plan, and receivers go on with that.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Final

import structlog

from actors.genesys.agent_profile import parts_of
from actors.genesys.channel_plan import plan
from actors.genesys.cloud_errors import CloudError, ForbiddenError
from actors.genesys.cloud_rest import USERS_BY_ID_MAX, CloudRest
from actors.genesys.http import GatewayAddress, http_client, reach
from actors.genesys.pacer import Pacer, kept_pacer
from actors.genesys.rate_budget import Budget, planner_alone, shares
from actors.genesys.retry_after import wait_s
from actors.genesys.token_gauges import TokenGauges
from actors.genesys.tokens import TokenProvider
from actors.planner.arguments import PlannerArguments
from actors.planner.observer import Observer
from actors.planner.profiles import ProfileNotes
from actors.planner.roster import RosterReader
from actors.planner.roster_calls import RetryPolicy
from actors.planner.store import RosterStore
from actors.storage.disk_wait import DiskWait
from runtime import loop_child
from runtime.child import Child
from runtime.clock import Clock, SystemClock
from runtime.counters import DRAINING, LOADED, RUNNING, STARTING
from runtime.crash_point import crash_point
from runtime.errors import ConfigurationError

TICK_S: Final = 0.25
PARTIAL_AFTER_S: Final = 20.0  # of a first read: whom we have found by then is watched already
PAUSE_LEAST_S: Final = 10.0  # between two reads, however long one takes
RETRY_FIRST_S: Final = 5.0
RETRY_MOST_S: Final = 60.0


def run(child: Child, arguments: PlannerArguments) -> None:
    """The entry of the child. Raises ConfigurationError when the gateway refuses who we are or what
    we ask for, or the settings name whom nobody finds (exit 78): at the start of the runtime only.
    Later it stays up, says so, and tries again."""
    loop_child.run(Planner(child, arguments, SystemClock()).live())


class Planner:
    """One life."""

    def __init__(
        self,
        child: Child,
        arguments: PlannerArguments,
        clock: Clock,
        *,
        retry: RetryPolicy | None = None,
    ) -> None:
        self._child = child
        self._counters = child.counters
        self._arguments = arguments
        self._clock = clock
        self._retry = retry
        self._rng = random.Random()  # noqa: S311 - jitter
        self._log = structlog.get_logger("actors.planner")
        self._disk = DiskWait(child, self._log, arguments.path)
        self._has_read = False
        self._found: Mapping[str, str] = {}
        """By a first read, and not planned yet."""
        self._committed_s = clock.now_s()
        self._clients_needed_told = 0
        self._queues_problem = ""
        self._looked_at = ""  # last, of those whom a read does not show
        self._told_causes: set[tuple[int, str]] = set()
        """Of calls that are repeated, since the last whole read."""
        self._pages_unread = 0
        self._requests_before = (
            self._counters.get("requests"),
            self._counters.get("requests_refused"),
        )
        self._tokens: list[TokenProvider] = []
        self._stopped: asyncio.Event
        self._loop: asyncio.AbstractEventLoop
        self._store: RosterStore
        self._rest: CloudRest
        self._rests: tuple[CloudRest, ...]
        self._observer: Observer
        self._profiles: ProfileNotes
        self._reader: RosterReader
        self._gauges: TokenGauges

    async def live(self) -> None:
        """Until it is stopped."""
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        loop_child.on_stop(self._child, self._on_stop)
        address = self._arguments.address
        async with AsyncExitStack() as stack:
            self._store = self._disk.until_done(
                lambda: RosterStore(self._arguments.path, self._arguments.run)
            )
            stack.callback(self._store.close)
            client = await stack.enter_async_context(http_client(reach(address)))
            tokens = TokenProvider(
                address,
                (),
                client,
                clock=self._clock,
                rng=self._rng,
                in_service=self._counters.get("token_refreshes") > 0,
            )
            stack.push_async_callback(tokens.close)
            self._tokens.append(tokens)
            loop_child.on_reload(self._child, self._renew_tokens)
            self._gauges = TokenGauges(self._counters, tokens, self._log)
            total = self._arguments.requests_per_minute
            share = shares(total).planner if self._arguments.sends else planner_alone(total)
            pacer = kept_pacer(self._counters, share, total, self._clock)
            self._rest = CloudRest(address, tokens, client, pacer, clock=self._clock)
            others = [await self._other(other, stack) for other in self._arguments.others]
            self._rests = (self._rest, *others)
            fields = self._arguments.agent_fields
            self._profiles = ProfileNotes(self._store, fields, self._disk.until_done)
            self._observer = Observer(
                self._arguments.shard_rings,
                self._arguments.shard_doorbells,
                self._child.generation,
                self._clock,
                self._profiles.note,
            )
            self._reader = RosterReader(
                self._rest,
                self._arguments.watch,
                observer=self._observer,
                rng=self._rng,
                retry=self._retry,
                others=others,
                tell=self._tell_failed_call,
                parts=parts_of(fields),
            )
            await self._work_until_stopped()

    async def _other(self, address: GatewayAddress, stack: AsyncExitStack) -> CloudRest:
        """Of another OAuth client: it helps if it can, and is never missed. How much of its share a
        predecessor has used nobody has written down."""
        client = await stack.enter_async_context(http_client(reach(address)))
        tokens = TokenProvider(
            address, (), client, clock=self._clock, rng=self._rng, in_service=True
        )
        stack.push_async_callback(tokens.close)
        self._tokens.append(tokens)
        total = self._arguments.requests_per_minute
        share = planner_alone(total)
        used = share if self._child.generation > 1 else 0
        budget = Budget(share, total=total, used=used, used_at_s=self._clock.now_s())
        return CloudRest(address, tokens, client, Pacer(budget, self._clock), clock=self._clock)

    def _renew_tokens(self) -> None:
        for tokens in self._tokens:
            tokens.renew_soon()

    def _tell_failed_call(self, error: CloudError, *, tries: int, wait_s: float) -> None:
        """At once, and once for each cause: a read that waits must not look like one that works."""
        if (cause := (error.status, error.code)) not in self._told_causes:
            self._told_causes.add(cause)
            told = {"cause": str(error), "tries": tries, "wait_s": round(wait_s, 1)}
            self._log.warning("roster.call_failed", **told)

    async def _work_until_stopped(self) -> None:
        self._begin()
        work = self._loop.create_task(self._read_for_ever())
        stopped = self._loop.create_task(self._stopped.wait())
        try:
            while not work.done() and not stopped.done():
                self._show()
                self._plan_found()
                self._profiles.write()
                await asyncio.wait(
                    (work, stopped), timeout=TICK_S, return_when=asyncio.FIRST_COMPLETED
                )
            if work.done():
                work.result()  # it never returns
        finally:
            for task in (work, stopped):
                task.cancel()
            await asyncio.gather(work, stopped, return_exceptions=True)
            self._show()

    def _on_stop(self) -> None:
        self._child.set_phase(DRAINING)
        self._stopped.set()

    # What is planned

    def _begin(self) -> None:
        """With the roster that the file holds, for as many clients as there are today."""
        roster = self._store.roster
        if roster.version and not self._plan(roster.names):
            self._tell_plan("plan.found")

    def _plan(self, names: Mapping[str, str]) -> bool:
        """Whether it is another plan."""
        arguments = self._arguments
        planned = plan(
            self._store.roster.plan,
            list(names),
            arguments.clients,
            arguments.topics_per_agent,
            arguments.limits,
        )
        at_us = self._clock.wall_us()
        is_another = self._disk.until_done(lambda: self._store.commit(planned, names, at_us))
        self._committed_s = self._clock.now_s()
        if is_another:
            crash_point("after-plan-committed")
            self._tell_plan("plan.changed")
        return is_another

    def _tell_plan(self, event: str) -> None:
        """On the page, in the log, at the receivers' doors."""
        roster = self._store.roster
        put, planned = self._counters.set, roster.plan
        put("agents_watched", len(roster.names))
        put("agents_unmonitored", len(planned.unmonitored))
        put("channels_planned", len(planned.slots))
        put("clients_needed", planned.clients_needed)
        put("plan_version", roster.version)
        if self._counters.get("phase") == STARTING:
            self._child.set_phase(LOADED)
        for doorbell in self._arguments.receiver_doorbells:
            doorbell.ring_always()
        self._log.info(
            event,
            version=roster.version,
            agents=len(roster.names),
            channels=len(planned.slots),
            unmonitored=len(planned.unmonitored),
        )
        self._tell_clients(len(planned.unmonitored), planned.clients_needed)

    def _tell_clients(self, unmonitored: int, needed: int) -> None:
        """Once for each change of what is missing."""
        missing = needed if unmonitored else 0
        if missing == self._clients_needed_told:
            return
        self._clients_needed_told = missing
        if missing:
            self._log.error(
                "plan.clients_missing",
                unmonitored=unmonitored,
                clients=self._arguments.clients,
                clients_needed=needed,
                what="these agents are not monitored; add OAuth clients to the settings",
            )
        else:
            self._log.info("plan.complete", clients=self._arguments.clients)

    # What is read

    async def _read_for_ever(self) -> None:
        failures = 0
        while True:
            began_s = self._clock.now_s()
            try:
                await self._read()
            except (CloudError, ConfigurationError) as error:
                self._refuse_to_start(error)
                failures += 1
                self._counters.add("roster_failures")
                self._log.error("roster.failed", cause=str(error), failures=failures)
                asked_s = error.retry_after_s if isinstance(error, CloudError) else None
                await self._sleep_until(self._clock.now_s() + self._retry_s(failures, asked_s))
                continue
            failures = 0
            await self._name_queues()
            pause_s = min(PAUSE_LEAST_S, self._arguments.roster_every_s)
            due_s = began_s + self._arguments.roster_every_s
            await self._look_at_others(due_s)
            await self._sleep_until(max(due_s, self._clock.now_s() + pause_s))

    async def _look_at_others(self, until_s: float) -> None:
        """At those whom the read named, but did not show: members of queues and of groups. As many
        as the budget gives until the next read, whose turn it is then; the next time it goes on."""
        others = [user for user in self._store.roster.names if user not in self._observer.seen]
        if self._looked_at in others:
            place = others.index(self._looked_at) + 1
            others = others[place:] + others[:place]
        for first in range(0, len(others), USERS_BY_ID_MAX):
            some = others[first : first + USERS_BY_ID_MAX]
            if self._clock.now_s() >= until_s:
                return
            try:
                await self._reader.look_at(some)
            except CloudError as error:
                self._log.debug("roster.not_shown", cause=str(error))
                return
            self._looked_at = some[-1]

    async def _read(self) -> None:
        began_s = self._clock.now_s()
        read = await self._reader.read(self._store.roster.names, self._on_found)
        if not read.names and (self._store.roster.names or not self._has_read):
            self._log.warning(
                "roster.empty", what="the OAuth client sees no active user; check its roles"
            )
        self._plan(read.names)
        self._profiles.end_read()
        self._has_read = True
        self._told_causes.clear()
        if read.pages_unread != self._pages_unread:
            self._log.warning("roster.pages_unread", pages=read.pages_unread)
        self._pages_unread = read.pages_unread
        if self._counters.get("phase") in (STARTING, LOADED):
            self._child.set_phase(RUNNING)
        self._counters.add("roster_reads")
        self._counters.set("roster_seconds", round(self._clock.now_s() - began_s))
        if read.missing != self._counters.get("ids_missing"):
            self._log.warning("roster.ids_missing", ids=read.missing)
        self._counters.set("ids_missing", read.missing)

    def _on_found(self, names: Mapping[str, str]) -> None:
        """A first read of a large organisation takes minutes: those whom we have found already need
        not wait for the others, nor for the budget of the next minute. Nobody is removed by it."""
        self._found = names
        self._plan_found()

    def _plan_found(self) -> None:
        is_due = self._clock.now_s() >= self._committed_s + PARTIAL_AFTER_S
        if self._found and not self._has_read and is_due:
            found, self._found = self._found, {}
            self._plan({**self._store.roster.names, **found})

    def _refuse_to_start(self, error: Exception) -> None:
        """Raises ConfigurationError for what should not even begin."""
        if self._has_read or self._child.generation > 1:
            return
        if isinstance(error, ForbiddenError):
            missing = ", ".join(error.missing_permissions)
            lacks = f"the roles of the OAuth client lack {missing or 'a permission'}"
            raise ConfigurationError(f"{error}: {lacks}") from None
        if isinstance(error, ConfigurationError):
            raise error

    def _retry_s(self, failures: int, asked_s: float | None) -> float:
        most_s = min(RETRY_MOST_S, self._arguments.roster_every_s)
        return wait_s(failures, self._rng, asked_s, first_s=RETRY_FIRST_S, most_s=most_s)

    async def _name_queues(self) -> None:
        """Only for people to read: without them nothing else is worse."""
        try:
            names = await self._reader.queue_names()
        except CloudError as error:
            if str(error) != self._queues_problem:
                self._log.warning("queues.names_unavailable", cause=str(error))
            self._queues_problem = str(error)
            return
        self._queues_problem = ""
        self._disk.until_done(lambda: self._store.name_queues(names))

    async def _sleep_until(self, due_s: float) -> None:
        """In steps: a suspended machine must not oversleep by as long as it slept."""
        while (left_s := due_s - self._clock.now_s()) > 0:
            await asyncio.sleep(min(left_s, 1.0))

    def _show(self) -> None:
        requests, refused = self._requests_before
        made = sum(rest.requests for rest in self._rests)
        self._counters.set("requests", requests + made)
        limited = sum(rest.rate_limited for rest in self._rests)
        self._counters.set("requests_refused", refused + limited)
        self._gauges.show()
        self._child.beat()

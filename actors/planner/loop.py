"""Owns the life of the planner: it reads the roster again and again, plans, tells the receivers.

It decides nothing: who is watched where is `channel_plan`'s, how often we may ask the budget's. It
needs no ring; whatever kills it, the file holds the last plan, and receivers go on with that.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Final

import structlog

from actors.genesys.agent_profile import parts_of
from actors.genesys.channel_plan import plan
from actors.genesys.cloud_errors import CloudError, ForbiddenError
from actors.genesys.cloud_rest import USERS_BY_ID_MAX
from actors.genesys.retry_after import wait_s
from actors.planner.arguments import PlannerArguments
from actors.planner.clients import Clients
from actors.planner.membership_keeper import MembershipKeeper
from actors.planner.observer import Observer
from actors.planner.profiles import ProfileNotes
from actors.planner.roster import RosterReader
from actors.planner.roster_calls import RetryPolicy, RosterCalls
from actors.planner.store import RosterStore
from actors.storage.disk_wait import DiskWait
from runtime import loop_child
from runtime.child import Child
from runtime.clock import Clock, SystemClock
from runtime.counters import DRAINING, LOADED, RUNNING, STARTING
from runtime.crash_point import crash_point
from runtime.errors import ConfigurationError

TICK_S: Final = 0.25
LATER_READ_MOST_S: Final = 30.0
"""At a later start: so long the first read gives way to the receivers' snapshots, which read the
same pages."""
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
        self._looked_at = ""  # last, of those whom a read does not show
        self._told_causes: set[tuple[int, str]] = set()
        """Of calls that are repeated, since the last whole read."""
        self._pages_unread = 0
        self._stopped: asyncio.Event
        self._loop: asyncio.AbstractEventLoop
        self._store: RosterStore
        self._clients: Clients
        self._observer: Observer
        self._profiles: ProfileNotes
        self._reader: RosterReader
        self._keeper: MembershipKeeper

    async def live(self) -> None:
        """Until it is stopped."""
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        loop_child.on_stop(self._child, self._on_stop)
        async with AsyncExitStack() as stack:
            self._store = self._disk.until_done(
                lambda: RosterStore(self._arguments.path, self._arguments.run)
            )
            stack.callback(self._store.close)
            self._clients = Clients(
                self._arguments,
                self._counters,
                clock=self._clock,
                rng=self._rng,
                log=self._log,
                is_borrowing=lambda: self._keeper.is_urgent,
            )
            await self._clients.open(stack)
            loop_child.on_reload(self._child, self._clients.renew_tokens)
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
                self._clients.first,
                self._arguments.watch,
                observer=self._observer,
                rng=self._rng,
                retry=self._retry,
                others=self._clients.others,
                tell=self._tell_failed_call,
                parts=parts_of(fields),
            )
            self._keeper = self._made_keeper()
            await self._work_until_stopped()

    def _made_keeper(self) -> MembershipKeeper:
        calls = RosterCalls(
            self._clients.first,
            self._clients.others,
            rng=self._rng,
            retry=self._retry,
            tell=self._tell_failed_call,
            is_modest=True,  # whom to watch is the first thing to know
        )
        return MembershipKeeper(
            calls,
            self._store,
            self._disk,
            names=self._reader.queue_names,
            keep=self._keep_memberships,
            keep_some=self._add_memberships,
            is_way_clear=self._are_receivers_current,
            every_s=self._arguments.queues_every_s,
            counters=self._counters,
            clock=self._clock,
            rng=self._rng,
            log=self._log,
        )

    def _tell_failed_call(self, error: CloudError, *, tries: int, wait_s: float) -> None:
        """At once, and once for each cause: a read that waits must not look like one that works."""
        if (cause := (error.status, error.code)) not in self._told_causes:
            self._told_causes.add(cause)
            told = {"cause": str(error), "tries": tries, "wait_s": round(wait_s, 1)}
            self._log.warning("roster.call_failed", **told)

    async def _work_until_stopped(self) -> None:
        self._begin()
        works = [
            self._loop.create_task(self._read_for_ever()),
            self._loop.create_task(self._keeper.keep()),
        ]
        tasks = [*works, self._loop.create_task(self._stopped.wait())]
        try:
            while not any(task.done() for task in tasks):
                self._show()
                self._plan_found()
                self._profiles.write()
                await asyncio.wait(tasks, timeout=TICK_S, return_when=asyncio.FIRST_COMPLETED)
            for work in works:
                if work.done():
                    work.result()  # it never returns
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._show()

    def _on_stop(self) -> None:
        self._child.set_phase(DRAINING)
        self._stopped.set()

    # What is planned

    def _begin(self) -> None:
        """With the roster that the file holds, for as many clients as there are today."""
        roster = self._store.roster
        self._tell_memberships()
        if roster.version and not self._plan(roster.names):
            self._tell_plan("plan.found")
            self._keeper.watch(roster.names.keys())

    def _keep_memberships(self, memberships: Mapping[str, Iterable[str]]) -> None:
        """Of all queues: makes durable who is a member of which, and tells the shards, who read it
        from the file when they see the new version on our page."""
        at_us = self._clock.wall_us()
        kept = self._disk.until_done(lambda: self._store.keep_memberships(memberships, at_us))
        self._tell_memberships()
        if kept.changed or kept.cut:
            self._log.info("queues.read", users=kept.changed, version=kept.version, cut=kept.cut)

    def _add_memberships(self, memberships: Mapping[str, Iterable[str]]) -> None:
        """Of some users: nobody else's change."""
        self._disk.until_done(lambda: self._store.add_memberships(memberships))
        self._tell_memberships()

    def _tell_memberships(self) -> None:
        self._counters.set("memberships_version", self._store.memberships_version)

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
        self._keeper.watch(self._store.roster.names.keys())
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
        await self._give_way()
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
            await self._keeper.name_queues()
            pause_s = min(PAUSE_LEAST_S, self._arguments.roster_every_s)
            due_s = began_s + self._arguments.roster_every_s
            await self._look_at_others(due_s)
            await self._sleep_until(max(due_s, self._clock.now_s() + pause_s))

    async def _give_way(self) -> None:
        """Who is watched stands in the file already: nothing waits for this read."""
        if not self._store.roster.version or not self._store.is_whole_for(self._selection):
            return
        if not self._are_receivers_current():
            self._child.set_phase(RUNNING)
        until_s = self._clock.now_s() + LATER_READ_MOST_S
        while not self._are_receivers_current() and self._clock.now_s() < until_s:
            await asyncio.sleep(TICK_S)

    def _are_receivers_current(self) -> bool:
        """Whether each has the snapshots of the newest plan."""
        version = self._store.roster.version
        return all(
            page.get("plan_version") >= version
            and page.get("channels_current") >= page.get("channels_planned")
            for page in self._arguments.receiver_counters
        )

    @property
    def _selection(self) -> str:
        watch = self._arguments.watch
        return f"{watch.kind} {sorted(watch.ids)} {watch.file or ''}"

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
        self._keeper.read_already(self._reader.members)
        if not read.names and (self._store.roster.names or not self._has_read):
            self._log.warning(
                "roster.empty", what="the OAuth client sees no active user; check its roles"
            )
        self._plan(read.names)
        self._profiles.end_read()
        self._disk.until_done(lambda: self._store.note_selection(self._selection))
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

    async def _sleep_until(self, due_s: float) -> None:
        """In steps: a suspended machine must not oversleep by as long as it slept."""
        while (left_s := due_s - self._clock.now_s()) > 0:
            await asyncio.sleep(min(left_s, 1.0))

    def _show(self) -> None:
        self._clients.show()
        self._child.beat()

"""Topology: which children there are, and which rings, doorbells and pages each of them gets.

In the wsp dialect there is one receiver; in the cloud dialect a planner tells several whom to
watch. Which rings run between them is the table `shared_memory.LINKS`.

Knows no process: it makes the specs that a supervisor starts, and the shared memory that all of
them inherit. Whatever must be true of the data directory before a child may touch it happens here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

from actors.app import preparation, shared_budgets
from actors.app.child_setup import ChildSetup
from actors.app.data_files import channels_path
from actors.app.file_watch import WatchedFile
from actors.app.shared_memory import SENDER, WEB, SharedMemory
from actors.genesys.cloud import COUNTED
from actors.planner.arguments import PlannerArguments, WatchSelection
from actors.planner.store import roster_path
from actors.receiver.cloud_arguments import CloudClientArguments, CloudReceiverArguments
from actors.receiver.loop import ReceiverArguments
from actors.sender.arguments import SenderArguments
from actors.settings.gateway_addresses import gateway_address, gateway_addresses
from actors.settings.model import ENVIRONMENT_PREFIX, Settings
from actors.shard.answering import AnsweringArguments
from actors.shard.arguments import ShardArguments
from actors.shard.feed import FeedArguments
from actors.sinks.arguments import SinksArguments
from actors.sinks.envelope import source_of
from actors.sinks.store import sinks_path
from actors.storage.data_dir import LOCK, META, DataDir, GatewayIdentity, sender_path
from actors.web.arguments import FeedEnds, OneTime, WebArguments
from runtime import crash_point, notify
from runtime.child_spec import ChildSpec
from runtime.counters import Counters
from runtime.log import LogArguments

GB: Final = 1_000_000_000
_SETUP: Final = "actors.app.child_setup:set_up"
_RELOAD: Final = "actors.app.child_setup:reload"
Arguments: TypeAlias = (
    WebArguments
    | SinksArguments
    | SenderArguments
    | ShardArguments
    | PlannerArguments
    | ReceiverArguments
    | CloudReceiverArguments
)
# Loading some 100,000 agents takes seconds; a shard beats meanwhile, but not while it imports.
_START_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Everything a supervisor needs, and the pages that others read."""

    specs: tuple[ChildSpec, ...]
    title: str  # of the supervisor
    environment: Mapping[str, str]  # of the children
    supervisor: Counters  # its own page
    web: Counters
    sender: Counters  # without a sender nobody writes it
    planner: Counters  # in the wsp dialect nobody writes it
    receivers: tuple[Counters, ...]
    shards: tuple[Counters, ...]
    data_dir: DataDir
    files: tuple[WatchedFile, ...]  # of the data directory

    @property
    def has_sender(self) -> bool:
        return any(spec.name == self.sender.name for spec in self.specs)

    @property
    def receiver(self) -> Counters:
        """The first one, which in the wsp dialect is the only one."""
        return self.receivers[0]

    @classmethod
    def assemble(
        cls, settings: Settings, log: LogArguments, *, one_time: OneTime | None = None
    ) -> Runtime:
        """Claims the data directory, gives its journals to this run, lays out the shared memory.

        Raises TemporaryError or ConfigurationError, and has then claimed nothing.
        """
        identity = GatewayIdentity(dialect=settings.dialect, gateway=settings.api_url)
        data_dir = DataDir.claim(
            settings.data_dir, identity, shards=settings.shards, journal=settings.journal
        )
        try:
            run = preparation.prepare(data_dir, settings)
            return build(settings, data_dir, run, log, one_time=one_time)
        except BaseException:
            data_dir.lock.release()
            raise


def build(
    settings: Settings,
    data_dir: DataDir,
    run: str,
    log: LogArguments,
    *,
    one_time: OneTime | None = None,
) -> Runtime:
    """The specs in the order in which they start: downstream first."""
    shared = SharedMemory.create(settings)
    if settings.journal == "full" and settings.dialect == "wsp":
        preparation.remember_epoch(shared.receivers[0], data_dir)
    setup = ChildSetup(log=log, lock=data_dir.lock, page=shared.supervisor)
    web = _web_arguments(settings, data_dir, shared, one_time)
    specs = [_spec(settings, "actors.web.server:run", web, shared.web, setup)]
    if settings.sinks:  # stopped behind the shards: it still delivers their last rows
        sinks = _sinks_arguments(settings, data_dir, run, shared)
        specs.append(_spec(settings, "actors.sinks.loop:run", sinks, shared.sinks, setup))
    if settings.sender.enabled:
        sender = _sender_arguments(settings, data_dir, run, shared)
        specs.append(_spec(settings, "actors.sender.actor:run", sender, shared.sender, setup))
    specs += [
        _spec(settings, "actors.shard.process:run", shard, page, setup)
        for shard, page in zip(
            _shard_arguments(settings, data_dir, run, shared), shared.shards, strict=True
        )
    ]
    specs += _receiving(settings, data_dir, run, shared, setup)
    return Runtime(
        specs=tuple(specs),
        title=title(settings, "supervisor"),
        environment=children_environment(os.environ),
        supervisor=shared.supervisor,
        web=shared.web,
        sender=shared.sender,
        planner=shared.planner,
        receivers=shared.receivers,
        shards=shared.shards,
        data_dir=data_dir,
        files=_files(settings, data_dir, shared),
    )


def _files(settings: Settings, data_dir: DataDir, shared: SharedMemory) -> tuple[WatchedFile, ...]:
    """Those that are there for as long as the runtime is, and who has them open."""
    path = data_dir.path
    owned: dict[Path, Counters | None] = {path / LOCK: None, path / META: None}
    if settings.journal == "full":
        owned |= {data_dir.shard_path(index): page for index, page in enumerate(shared.shards)}
        if settings.sinks:
            owned[sinks_path(path)] = shared.sinks
    if settings.sender.enabled:
        owned[sender_path(path)] = shared.sender
    if settings.dialect == "cloud":
        owned[roster_path(path)] = shared.planner
        owned |= {channels_path(path, index): page for index, page in enumerate(shared.receivers)}
    return tuple(WatchedFile(*each) for each in owned.items())


def _receiving(
    settings: Settings, data_dir: DataDir, run: str, shared: SharedMemory, setup: ChildSetup
) -> list[ChildSpec]:
    """Whatever brings events to the shards, so that it needs them."""
    needs = tuple(page.name for page in shared.shards)
    if settings.dialect == "wsp":
        entry, arguments = "actors.receiver.loop:run", _receiver_arguments(settings, shared)
        spec = _spec(settings, entry, arguments, shared.receivers[0], setup)
        return [replace(spec, needs=needs)]
    planner = _spec(
        settings,
        "actors.planner.loop:run",
        _planner_arguments(settings, data_dir, run, shared),
        shared.planner,
        setup,
    )
    # A receiver begins with the plan of this run: clients may have come or gone since the last.
    needs = (*needs, planner.name)
    receivers = [
        _spec(
            settings,
            "actors.receiver.cloud_loop:run",
            _cloud_receiver_arguments(settings, data_dir, run, shared, index),
            page,
            setup,
        )
        for index, page in enumerate(shared.receivers)
    ]
    return [planner, *(replace(spec, needs=needs) for spec in receivers)]


def _planner_arguments(
    settings: Settings, data_dir: DataDir, run: str, shared: SharedMemory
) -> PlannerArguments:
    cloud = settings.cloud
    address, *others = gateway_addresses(settings)
    return PlannerArguments(
        address=address,
        others=tuple(others),
        path=roster_path(data_dir.path),
        run=run,
        watch=WatchSelection(kind=cloud.watch, ids=cloud.watch_ids, file=cloud.watch_file),
        clients=len(settings.all_credentials),
        topics_per_agent=COUNTED[cloud.topics],
        limits=cloud.limits,
        requests_per_minute=cloud.requests_per_minute,
        sends=settings.sender.enabled,
        neighbours=shared_budgets.planner_neighbours(settings, shared),
        roster_every_s=cloud.roster_every_s,
        queues_every_s=cloud.queues_every_s,
        agent_fields=cloud.agent_fields,
        receiver_doorbells=shared.receiver_doorbells,
        receiver_counters=shared.receivers,
        shard_rings=shared.rosters,
        shard_doorbells=shared.shard_doorbells,
    )


def _cloud_receiver_arguments(
    settings: Settings, data_dir: DataDir, run: str, shared: SharedMemory, index: int
) -> CloudReceiverArguments:
    cloud = settings.cloud
    clients = [
        CloudClientArguments(
            number=number,
            address=address,
            planner=shared_budgets.planner_use(settings, shared, number),
            sender=shared_budgets.sender_use(settings, shared, number),
        )
        for number, address in enumerate(gateway_addresses(settings))
    ]
    return CloudReceiverArguments(
        clients=tuple(clients[index :: settings.receivers]),
        path=channels_path(data_dir.path, index),
        run=run,
        roster_path=roster_path(data_dir.path),
        planner_counters=shared.planner,
        rings=shared.events[index],
        shard_doorbells=shared.shard_doorbells,
        own_doorbell=shared.receiver_doorbells[index],
        shard_counters=shared.shards,
        topics=cloud.topics,
        requests_per_minute=cloud.requests_per_minute,
        rotate_after_s=cloud.rotate_after_s,
        backoff_most_s=settings.backoff_max_s,
    )


def _web_arguments(
    settings: Settings, data_dir: DataDir, shared: SharedMemory, one_time: OneTime | None
) -> WebArguments:
    return WebArguments(
        data_dir=data_dir.path,
        sender_enabled=settings.sender.enabled,
        dialect=settings.dialect,
        settings=settings.web,
        one_time=one_time,
        orders=shared.orders,
        outcomes=shared.outcomes,
        doorbell=shared.doorbells[WEB],
        sender_doorbell=shared.doorbells[SENDER],
        sender_counters=shared.sender,
        shard_counters=shared.shards,
        feeds=tuple(
            FeedEnds(feed=feed, wants=wants, doorbell=doorbell)
            for feed, wants, doorbell in zip(
                shared.feeds, shared.wants, shared.shard_doorbells, strict=True
            )
        ),
        pages=shared.pages(settings),
        rings=shared.rings,
        supervisor=shared.supervisor,
        name=settings.name,
    )


def _sinks_arguments(
    settings: Settings, data_dir: DataDir, run: str, shared: SharedMemory
) -> SinksArguments:
    return SinksArguments(
        settings=settings.sinks,
        data_dir=data_dir.path,
        run=run,
        source=source_of(settings.api_url, settings.name),
        address=gateway_address(settings),
        shard_counters=shared.shards,
    )


def _sender_arguments(
    settings: Settings, data_dir: DataDir, run: str, shared: SharedMemory
) -> SenderArguments:
    return SenderArguments(
        address=gateway_address(settings),
        settings=settings.sender,
        path=sender_path(data_dir.path),
        run=run,
        retention_days=settings.retention_days,
        orders=shared.orders,
        outcomes=shared.outcomes,
        questions=shared.questions,
        answers=shared.answers,
        doorbell=shared.doorbells[SENDER],
        web_doorbell=shared.doorbells[WEB],
        shard_doorbells=shared.shard_doorbells,
        dialect=settings.dialect,
        requests_per_minute=settings.cloud.requests_per_minute,
        planner=shared_budgets.planner_use(settings, shared),
        receiver=shared_budgets.receiver_use(settings, shared),
    )


def _receiver_arguments(settings: Settings, shared: SharedMemory) -> ReceiverArguments:
    return ReceiverArguments(
        address=gateway_address(settings),
        resource=settings.resource,
        appointments=settings.appointments,
        attempts_max=settings.attempts_max,
        backoff_most_s=settings.backoff_max_s,
        rings=shared.events[0],
        shard_doorbells=shared.shard_doorbells,
        own_doorbell=shared.receiver_doorbells[0],
        shard_counters=shared.shards,
    )


def _shard_arguments(
    settings: Settings, data_dir: DataDir, run: str, shared: SharedMemory
) -> Iterator[ShardArguments]:
    for index, doorbell in enumerate(shared.shard_doorbells):
        yield ShardArguments(
            index=index,
            shards=settings.shards,
            path=data_dir.shard_path(index),
            run=run,
            journalled=settings.journal == "full",
            rings=shared.events_to(index),
            doorbell=doorbell,
            producer_doorbells=shared.receiver_doorbells,
            retention_days=settings.retention_days,
            retention_bytes=int(settings.retention_gb * GB) // settings.shards,
            answering=_answering(settings, shared, index),
            feed=FeedArguments(feed=shared.feeds[index], wants=shared.wants[index]),
            roster=shared.rosters[index] if shared.rosters else None,
            roster_path=roster_path(data_dir.path) if shared.rosters else None,
            planner_counters=shared.planner if shared.rosters else None,
            dialect=settings.dialect,
        )


def _answering(settings: Settings, shared: SharedMemory, index: int) -> AnsweringArguments | None:
    if not settings.sender.enabled:
        return None
    return AnsweringArguments(
        questions=shared.questions[index],
        answers=shared.answers[index],
        doorbell=shared.doorbells[SENDER],
        presence_of_state=settings.sender.presence_of_state,
    )


def _spec(
    settings: Settings,
    entry: str,
    arguments: Arguments,
    counters: Counters,
    setup: ChildSetup,
) -> ChildSpec:
    return ChildSpec(
        name=counters.name,
        title=title(settings, counters.name),
        entry=entry,
        arguments=arguments,
        counters=counters,
        setup=_SETUP,
        setup_arguments=setup,
        reload=_RELOAD,
        intensity=settings.restart.intensity,
        period_s=settings.restart.period_s,
        start_timeout_s=_START_TIMEOUT_S,
    )


def title(settings: Settings, name: str) -> str:
    """What `ps` shows."""
    return f"presence-runtime: {name}" + (f" [{settings.name}]" if settings.name else "")


def children_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Ours without the settings: children get theirs as values, and the environment of a process
    can be read by whoever may read /proc, secrets included. Nor is any of them to speak to the
    service manager."""
    return {
        name: value
        for name, value in environment.items()
        if not (
            name.upper().startswith((ENVIRONMENT_PREFIX, "GENESYSCLOUD_"))
            or name in notify.VARIABLES
        )
        or name in crash_point.VARIABLES
    }

"""Topology: which children there are, and which rings, doorbells and pages run between them.

    receiver-0 ══ events ══▶ shard-0 … shard-(S-1)        one ring each
    sender ══ questions ══▶ shard-i ══ answers ══▶ sender
    web ══ orders ══▶ sender ══ outcomes ══▶ web

Knows no process: it makes the specs that a supervisor starts, and the shared memory that all of
them inherit. Whatever must be true of the data directory before a child may touch it happens here.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import apsw
import structlog

from actors.child_setup import ChildSetup
from actors.data_dir import DataDir, Identity, Journalling, as_fault, sender_path
from actors.genesys.http import GatewayAddress
from actors.log import LogArguments
from actors.receiver.loop import ReceiverArguments
from actors.sender import store
from actors.sender.arguments import SenderArguments
from actors.settings import ENVIRONMENT_PREFIX, Settings
from actors.shared_memory import SENDER, WEB, SharedMemory
from actors.sqlite import TRANSIENT_ERRORS
from actors.state import journal, reader, redistribute
from actors.state.actor import ShardArguments
from actors.state.answering import AnsweringArguments
from actors.web.arguments import WebArguments
from runtime import crash_point
from runtime.child_spec import ChildSpec
from runtime.counters import Counters
from runtime.errors import TemporaryError

GB: Final = 1_000_000_000
_SETUP: Final = "actors.child_setup:set_up"
# Loading some 100,000 agents takes seconds; a shard beats meanwhile, but not while it imports.
_START_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Everything a supervisor needs, and the pages that others read."""

    specs: tuple[ChildSpec, ...]
    title: str  # of the supervisor
    environment: Mapping[str, str]  # of the children
    web: Counters
    sender: Counters  # without a sender nobody writes it
    receivers: tuple[Counters, ...]
    shards: tuple[Counters, ...]
    data_dir: DataDir

    @property
    def receiver(self) -> Counters:
        """The first one, which in the wsp dialect is the only one."""
        return self.receivers[0]

    @classmethod
    def assemble(cls, settings: Settings, log: LogArguments) -> Runtime:
        """Claims the data directory, gives its journals to this run, lays out the shared memory.

        Raises TemporaryError or ConfigurationError, and has then claimed nothing.
        """
        identity = Identity(dialect=settings.dialect, gateway=settings.api_url)
        data_dir = DataDir.claim(
            settings.data_dir, identity, shards=settings.shards, journal=settings.journal
        )
        try:
            with _disk_named(data_dir.path):
                run = prepare(data_dir, settings.shards, settings.journal)
                if settings.has_sender:
                    store.prepare(sender_path(data_dir.path), run)
            return build(settings, data_dir, run, log)
        except BaseException:
            data_dir.lock.release()
            raise


def prepare(data_dir: DataDir, shards: int, journalling: Journalling) -> str:
    """Gives the journals this shard count and a new run id, which it returns: from now on no shard
    of an earlier run can commit anything."""
    before = data_dir.meta.shards
    _tell_missing(data_dir)
    if data_dir.meta.journal == "off":
        # States of the last clean stop, of no use to a start: nobody knows what happened since.
        for path in data_dir.path.glob("shard-*.db*"):
            path.unlink()
        data_dir.record(shards=shards, journal=journalling)
    elif redistribute.settle(data_dir, shards):
        structlog.get_logger().info("agents.redistributed", shards=shards, before=before)
    run = uuid.uuid4().hex
    for index in range(shards):
        journal.prepare(data_dir.shard_path(index), run)
    return run


def _tell_missing(data_dir: DataDir) -> None:
    """A journal that should be there and is not is begun anew, like those of a first start. But if
    others are there, somebody has deleted it, and nobody else will say so."""
    paths = [data_dir.shard_path(index) for index in range(data_dir.meta.shards)]
    missing = [path for path in paths if not path.exists()]
    is_moving = any(data_dir.path.glob("redistribution-*.ready"))  # it was interrupted
    if len(missing) == len(paths) or is_moving or data_dir.meta.journal == "off":
        return
    for path in missing:
        structlog.get_logger().warning(
            "journal.missing",
            path=str(path),
            what="its agents' past is gone; it begins empty, and the next history names them anew. "
            "To keep what it held: stop, put the file back from a backup, start",
        )


@contextmanager
def _disk_named(path: Path) -> Iterator[None]:
    """What a disk says while journals are made ready is a fault that names the directory."""
    try:
        yield
    except (*TRANSIENT_ERRORS, apsw.CantOpenError) as error:
        raise TemporaryError(f"{path}: its journals cannot be written: {error}") from None
    except OSError as error:
        raise as_fault(path, error) from None


def build(settings: Settings, data_dir: DataDir, run: str, log: LogArguments) -> Runtime:
    """The specs in the order in which they start: downstream first."""
    shared = SharedMemory.create(settings)
    if settings.journal == "full":
        _remember_epoch(shared.receivers[0], data_dir)
    setup = ChildSetup(log=log, lock=data_dir.lock)
    web = _web_arguments(settings, data_dir, shared)
    specs = [_spec(settings, "actors.web.server:run", web, shared.web, setup)]
    if settings.has_sender:
        sender = _sender_arguments(settings, data_dir, run, shared)
        specs.append(_spec(settings, "actors.sender.actor:run", sender, shared.sender, setup))
    specs += [
        _spec(settings, "actors.state.actor:run", shard, page, setup)
        for shard, page in zip(
            _shard_arguments(settings, data_dir, run, shared), shared.shards, strict=True
        )
    ]
    receiver = _spec(
        settings,
        "actors.receiver.loop:run",
        _receiver_arguments(settings, shared),
        shared.receivers[0],
        setup,
    )
    specs.append(replace(receiver, needs=tuple(page.name for page in shared.shards)))
    return Runtime(
        specs=tuple(specs),
        title=title(settings, "supervisor"),
        environment=children_environment(os.environ),
        web=shared.web,
        sender=shared.sender,
        receivers=shared.receivers,
        shards=shared.shards,
        data_dir=data_dir,
    )


def _web_arguments(settings: Settings, data_dir: DataDir, shared: SharedMemory) -> WebArguments:
    return WebArguments(
        data_dir=data_dir.path,
        sender_enabled=settings.has_sender,
        orders=shared.orders,
        outcomes=shared.outcomes,
        doorbell=shared.doorbells[WEB],
        sender_doorbell=shared.doorbells[SENDER],
        sender_counters=shared.sender,
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
    )


def _receiver_arguments(settings: Settings, shared: SharedMemory) -> ReceiverArguments:
    return ReceiverArguments(
        address=gateway_address(settings),
        resource=settings.resource,
        appointments=settings.appointments,
        attempts_max=settings.attempts_max,
        backoff_most_s=settings.backoff_most_s,
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
        )


def _answering(settings: Settings, shared: SharedMemory, index: int) -> AnsweringArguments | None:
    if not settings.has_sender:
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
    arguments: WebArguments | SenderArguments | ShardArguments | ReceiverArguments,
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
        intensity=settings.restart.intensity,
        period_s=settings.restart.period_s,
        start_timeout_s=_START_TIMEOUT_S,
    )


def title(settings: Settings, name: str) -> str:
    """What `ps` shows."""
    return f"presence-runtime: {name}" + (f" [{settings.name}]" if settings.name else "")


def gateway_address(settings: Settings) -> GatewayAddress:
    return GatewayAddress(
        api_url=settings.api_url,
        credentials=settings.credentials,
        ca_file=settings.ca_file,
        proxy=settings.proxy,
    )


def children_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Ours without the settings: children get theirs as values, and the environment of a process
    can be read by whoever may read /proc, secrets included."""
    return {
        name: value
        for name, value in environment.items()
        if not name.upper().startswith((ENVIRONMENT_PREFIX, "GENESYSCLOUD_"))
        or name in crash_point.VARIABLES
    }


def _remember_epoch(receiver: Counters, data_dir: DataDir) -> None:
    """Which numbering of the gateway the marks in the journals belong to: a receiver that knows it
    resumes behind them, one that does not begins anew."""
    scopes = [scope for shard in reader.summary(data_dir.path) for scope in shard.scopes.values()]
    if scopes:
        newest = max(scopes, key=lambda scope: int(scope["epoch"]))
        receiver.set("gateway_epoch", newest["epoch"])
        receiver.note = newest["epoch_name"]

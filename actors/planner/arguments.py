"""Owns what the supervisor hands to the planner, and the words of its page. Knows no loop."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias

from actors.genesys.agent_profile import USUAL_FIELDS, ProfileField
from actors.genesys.channel_plan import Limits
from actors.genesys.http import GatewayAddress
from actors.genesys.pacer import BUDGET_WORDS, Neighbour
from actors.genesys.rate_budget import REQUESTS_PER_MINUTE
from actors.genesys.token_gauges import TOKEN_WORDS
from runtime.block import Block
from runtime.counters import Counters
from runtime.doorbell import Doorbell

ROSTER_EVERY_S: Final = 300.0
QUEUES_EVERY_S: Final = 3_600.0
CLIENTS_MAX: Final = 64


def budget_words(client: int) -> tuple[str, str]:
    """Of the planner's page: what it uses of that client, and when that was."""
    return BUDGET_WORDS if client == 0 else (f"budget_used_{client}", f"budget_used_ns_{client}")


PLANNER_WORDS: Final = (
    "plan_version",  # of the file: grows with every change of the plan
    "agents_watched",
    "agents_unmonitored",
    "channels_planned",
    "clients_needed",
    "roster_reads",
    "roster_failures",
    "roster_seconds",  # that the last whole read took
    "ids_missing",  # of the file, that are no active user's
    "memberships_version",  # of the file: who is a member of which queue; 0: not read yet
    "commit_failures",
    "agents_queues_unknown",  # of the watched ones
    "queue_reads",  # of the members of all queues
    "queue_read_failures",
    "queue_read_seconds",  # that the last whole one took
    "requests",
    "requests_refused",  # by 429
    "budget_used",
    "budget_used_ns",  # when that was
    *(word for client in range(1, CLIENTS_MAX) for word in budget_words(client)),
    *TOKEN_WORDS,
)

WatchKind: TypeAlias = Literal["all", "queues", "groups", "divisions", "file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSelection:
    """Who is watched: all active users, those of named queues, groups or divisions (by id or by
    name), or those whose ids stand in a file, one a line."""

    kind: WatchKind = "all"
    ids: tuple[str, ...] = ()  # of queues, groups, divisions
    file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannerArguments:
    """What one planner needs; it serves all receivers."""

    address: GatewayAddress  # with the credentials of the first OAuth client
    others: tuple[GatewayAddress, ...] = ()  # with those of the others, who help to read
    path: Path  # of cloud.db
    run: str
    watch: WatchSelection
    clients: int  # how many OAuth clients there are
    topics_per_agent: Literal[1, 2] = 1
    limits: Limits = field(default_factory=Limits)
    requests_per_minute: int = REQUESTS_PER_MINUTE  # of the client; the planner takes its share
    sends: bool = True  # whether there is a sender; its share of the first client is ours, if not
    neighbours: tuple[tuple[Neighbour, ...], ...] = ()  # by client: who else has a share of it
    roster_every_s: float = ROSTER_EVERY_S
    queues_every_s: float = QUEUES_EVERY_S
    agent_fields: tuple[ProfileField, ...] = USUAL_FIELDS  # of who an agent is, that are kept
    receiver_doorbells: tuple[Doorbell, ...] = ()  # rung when the plan has changed
    receiver_counters: tuple[Counters, ...] = ()  # with how many channels are planned and current
    shard_rings: tuple[Block, ...] = ()  # what the roster shows goes to the agent's owner
    shard_doorbells: tuple[Doorbell, ...] = ()

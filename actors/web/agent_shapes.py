"""Shapes of what is read: agents, queues, histories, audit, quarantine, as OpenAPI tells of them.

Knows no route and no table. These answers are encoded without pydantic, so they are not checked
by it at run time; tests hold them to these shapes.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from actors.web.shapes import When

Counts = dict[str, int]
Cursor = str
_FORMER = "deprecated: one of `queues`, or null"
_LAST = "value of `after` for the next page; null: last page"


class _Shown(BaseModel):
    """Nothing stands in an answer that is not told of."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class HealthShown(_Shown):
    """Whether the states shown are current."""

    live: bool = Field(description="all states are confirmed")
    lagging: bool = Field(description="the page is still reading from a shard")
    stale_since: When | None = Field(
        description="not confirmed since then; null: confirmed, or never confirmed"
    )
    stale_agents: int
    reasons: list[str] = Field(
        description="human-readable reasons why it is not live, and warnings"
    )


class MinuteShown(_Shown):
    """The counts at one minute."""

    at: When
    by_state: Counts


class Summary(_Shown):
    """Numbers of agents."""

    at: When
    dialect: Literal["wsp", "cloud"]
    name: str = Field(description="name of this runtime")
    agents: int
    by_state: Counts
    stale: int = Field(description="agents whose state is not confirmed")
    queues: int
    queues_unknown: int = Field(
        description="agents whose queues are not known yet; until it is 0, counts of queues are "
        "too low"
    )
    transitions: int = Field(description="transitions since the web process started")
    transitions_per_s: float
    health: HealthShown
    history: list[MinuteShown] = Field(description="counts per minute of the last hour")
    thresholds: dict[str, tuple[float, float]] = Field(
        description="seconds in a state after which it is shown as long, and as too long"
    )
    may_write: bool = Field(description="whether this client may change presences")
    who: str | None = Field(description="name of this client; null: anonymous")


class NativePresence(_Shown):
    system_presence: str | None
    definition: str | None
    message: str
    since: When | None


class NativeShown(_Shown):
    """The values of Genesys Cloud itself."""

    presence: NativePresence
    routing_status: str | None
    routing_since: When | None
    queues: list[str]
    queues_since: When | None
    out_of_office: bool
    out_of_office_since: When | None


class DivisionShown(_Shown):
    id: str
    name: str | None


class ManagerShown(_Shown):
    id: str
    name: str | None


class SkillShown(_Shown):
    name: str
    proficiency: float | None


class ProfileShown(_Shown):
    """Who an agent is, from the roster; null: not known, or left out by `cloud.agent_fields`."""

    user_name: str | None
    email: str | None
    division: DivisionShown | None
    manager: ManagerShown | None
    title: str | None
    skills: list[SkillShown] | None


class AgentShown(_Shown):
    """The current state of an agent."""

    id: str
    name: str | None
    state: str
    since: When | None
    seconds_in_state: int
    queues: list[str] = Field(description="ids; the agent counts in each of them")
    queue_names: list[str | None]
    queues_known: bool = Field(description="false: `queues` may be a part of them")
    queue: str | None = Field(description=_FORMER)
    queue_name: str | None
    presence: str | None
    stale: bool = Field(description="the state is not confirmed and may be outdated")
    stale_since: When | None = Field(
        description="not confirmed since then; null: confirmed, or never confirmed"
    )
    native: NativeShown | None
    profile: ProfileShown | None = Field(
        description="null: the roster does not have this agent (always in dialect wsp)"
    )


class Position(_Shown):
    epoch: int
    sequence: int


class OneAgent(AgentShown):
    """An agent with its position in the event stream."""

    position: Position | None


class Agents(_Shown):
    agents: list[AgentShown]
    total: int = Field(description="number of agents on all pages")
    next: Cursor | None = Field(description=_LAST)


class TransitionShown(_Shown):
    """One row of a journal."""

    row: int
    from_state: str | None = Field(alias="from")
    to_state: str = Field(alias="to")
    at: When | None = Field(description="time of the event according to the gateway")
    received_at: When | None
    queues: list[str] = Field(description="ids of the agent's queues at that time")
    queue_names: list[str | None]
    queue: str | None = Field(description=_FORMER)
    queue_name: str | None
    presence: str | None
    cause: str = Field(examples=["live", "history", "late", "lost", "gap", "roster"])
    correlation: str | None = Field(description="correlation id of the command that caused it")


class History(_Shown):
    """Results, newest first."""

    transitions: list[TransitionShown]
    next: Cursor | None = Field(description="value of `before` for the next page; null: last page")


class QueueShown(_Shown):
    id: str
    name: str | None
    agents: int
    by_state: Counts


class Queues(_Shown):
    """Queues that have agents, sorted by name. An agent counts in each of its queues."""

    queues: list[QueueShown]


class Snapshot(_Shown):
    """All agents in a compact form. Times are in ms since 1970."""

    id: str = Field(description="`last_event_id` from which the stream continues")
    at: int
    states: list[str]
    queues: list[tuple[str, str | None]] = Field(description="[id, name]")
    last: list[tuple[str, str | None, str, int, str | None, str, list[str]]] = Field(
        description="last transitions: [agent, from, to, at, queue (deprecated), cause, queues], "
        "newest last"
    )
    agents: list[tuple[str, str | None, int, int, int, str | None, int, list[int]]] = Field(
        description="[id, name, index of the state, since, index of one of the queues or -1 "
        "(deprecated), presence, stale, indexes of the queues]"
    )
    summary: Summary


class AuditShown(_Shown):
    """One step of a command."""

    row: int
    at: When
    command: str
    step: str
    user_id: str | None = Field(description="null: this person was forgotten")
    detail: dict[str, Any] = Field(description="the request, and the state of the command")


class Audit(_Shown):
    """Results, newest first."""

    audit: list[AuditShown]
    next: int | None = Field(description="value of `before` for the next page; null: last page")


class QuarantinedShown(_Shown):
    """A frame that could not be processed."""

    shard: int
    key: str
    reason: str
    size: int = Field(description="size in bytes")
    count: int = Field(description="how often it was received")
    first_at: When
    last_at: When


class QuarantinedWhole(QuarantinedShown):
    """A quarantined frame with its bytes."""

    is_whole: bool = Field(description="false: only the first bytes were kept")
    text: str | None = Field(description="null: not valid text")
    base64: str


class QuarantineList(_Shown):
    """Quarantined frames, the last received first."""

    quarantine: list[QuarantinedShown]


class FedFrame(_Shown):
    """The result of processing a frame again."""

    outcome: str | None = Field(
        description="one of the outcomes of presence_shard_events_total; null: no response in time"
    )
    reason: str | None = Field(description="why it was quarantined again")


class Ready(_Shown):
    ready: bool
    reasons: list[str] = Field(description="why it is not ready")

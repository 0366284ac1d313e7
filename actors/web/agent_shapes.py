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
_LAST = "what to give as `after` for the next page; null: this is the last one"


class _Shown(BaseModel):
    """Nothing stands in an answer that is not told of."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class HealthShown(_Shown):
    """Whether what is shown is how things are."""

    live: bool = Field(description="all that is shown is confirmed now")
    lagging: bool = Field(description="some shard has not told everything yet")
    stale_since: When | None = Field(description="not confirmed since; null also if it never was")
    stale_agents: int
    reasons: list[str] = Field(description="for people: why it is not live, and what to mend")


class MinuteShown(_Shown):
    """The counts at one minute."""

    at: When
    by_state: Counts


class Summary(_Shown):
    """All agents, counted."""

    at: When
    dialect: Literal["wsp", "cloud"]
    name: str = Field(description="of this runtime")
    agents: int
    by_state: Counts
    stale: int = Field(description="agents whose state is not confirmed now")
    queues: int
    transitions: int = Field(description="seen since the web child began")
    transitions_per_s: float
    health: HealthShown
    history: list[MinuteShown] = Field(description="of the last hour")
    thresholds: dict[str, tuple[float, float]] = Field(
        description="seconds in a state that are long, and too long"
    )
    may_write: bool = Field(description="whether whoever asks may change presences")
    who: str | None = Field(description="who asks; null: nobody in particular")


class NativePresence(_Shown):
    system_presence: str | None
    definition: str | None
    message: str
    since: When | None


class NativeShown(_Shown):
    """What the cloud platform says itself."""

    presence: NativePresence
    routing_status: str | None
    routing_since: When | None
    queues: list[str]
    queues_since: When | None
    out_of_office: bool
    out_of_office_since: When | None


class AgentShown(_Shown):
    """An agent as it is now."""

    id: str
    name: str | None
    state: str
    since: When | None
    seconds_in_state: int
    queue: str | None
    queue_name: str | None
    presence: str | None
    stale: bool = Field(description="not confirmed now: the state is an old one")
    stale_since: When | None = Field(description="null also if it never was confirmed")
    native: NativeShown | None


class Position(_Shown):
    epoch: int
    sequence: int


class OneAgent(AgentShown):
    """An agent, and how far its gateway has told of it."""

    position: Position | None


class Agents(_Shown):
    agents: list[AgentShown]
    total: int = Field(description="of all pages")
    next: Cursor | None = Field(description=_LAST)


class TransitionShown(_Shown):
    """One row of a journal."""

    row: int
    from_state: str | None = Field(alias="from")
    to_state: str = Field(alias="to")
    at: When | None = Field(description="when it happened, as the gateway says")
    received_at: When | None
    queue: str | None
    queue_name: str | None
    presence: str | None
    cause: str = Field(examples=["live", "history", "late", "lost", "gap"])
    correlation: str | None = Field(description="of the command that caused it")


class History(_Shown):
    """The newest first."""

    transitions: list[TransitionShown]
    next: Cursor | None = Field(description="what to give as `before` for the next page")


class QueueShown(_Shown):
    id: str
    name: str | None
    agents: int
    by_state: Counts


class Queues(_Shown):
    """Those that have agents, sorted by name."""

    queues: list[QueueShown]


class Snapshot(_Shown):
    """All agents in little room. Times are ms since 1970."""

    id: str = Field(description="from here the stream goes on: `last_event_id`")
    at: int
    states: list[str]
    queues: list[tuple[str, str | None]] = Field(description="[id, name]")
    last: list[tuple[str, str | None, str, int, str | None, str]] = Field(
        description="[agent, from, to, at, queue, cause], the newest last"
    )
    agents: list[tuple[str, str | None, int, int, int, str | None, int]] = Field(
        description="[id, name, number of the state, since, number of the queue or -1, presence, "
        "stale]"
    )
    summary: Summary


class AuditShown(_Shown):
    """One step of a command."""

    row: int
    at: When
    command: str
    step: str
    user_id: str | None = Field(description="null: this person was forgotten")
    detail: dict[str, Any] = Field(description="who asked for what, and how the command stands")


class Audit(_Shown):
    """The newest first."""

    audit: list[AuditShown]
    next: int | None = Field(description="what to give as `before` for the next page")


class QuarantinedShown(_Shown):
    """A frame that nobody could use."""

    shard: int
    key: str
    reason: str
    size: int = Field(description="bytes that it had")
    count: int = Field(description="how often it came")
    first_at: When
    last_at: When


class QuarantinedWhole(QuarantinedShown):
    """With its bytes."""

    is_whole: bool = Field(description="false: only its first bytes were kept")
    text: str | None = Field(description="null: it is no text")
    base64: str


class QuarantineList(_Shown):
    """What came last comes first."""

    quarantine: list[QuarantinedShown]


class FedFrame(_Shown):
    """What became of a frame that was fed again."""

    outcome: str | None = Field(
        description="as in the shard's counts; null: the shard has not said in time"
    )
    reason: str | None = Field(description="why it is in quarantine once more")


class Ready(_Shown):
    ready: bool
    reasons: list[str] = Field(description="why not")

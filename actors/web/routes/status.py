"""Status: the route that tells how every process does, for people and their tools.

GET /api/status
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from actors.genesys.times import iso_ms
from actors.web.instruments import Instruments
from actors.web.parts import WebParts
from actors.web.problems import documented
from actors.web.read_model import Health
from actors.web.shapes import When

STATUS: Final = "/api/status"


class Process(BaseModel):
    """The supervisor, or one of its children."""

    name: str = Field(examples=["shard-0"])
    pid: int | None
    phase: Literal[
        "not started", "starting", "loaded", "running", "waiting", "draining", "stopped"
    ] = Field(description="waiting: for the disk or the gateway")
    generation: int = Field(description="number of starts")
    beat_age_s: float | None = Field(description="seconds since its last heartbeat")
    cpu_s: float = Field(description="CPU time over all starts")
    cpu_percent: float | None = Field(
        description="recent CPU use of one core; null: not enough samples yet"
    )
    rss_bytes: int | None = Field(
        description="resident memory, shared rings included; null: no process"
    )


class Ring(BaseModel):
    """What one process hands to another."""

    producer: Annotated[str, Field(alias="from")]
    consumer: Annotated[str, Field(alias="to")]
    used_bytes: int
    capacity_bytes: int


class Status(BaseModel):
    """All of it, as of one moment."""

    at: When
    clock_s: float = Field(description="the same moment on the monotonic clock")
    name: str
    dialect: Literal["wsp", "cloud"]
    since: When | None = Field(description="when this runtime was started")
    live: bool = Field(description="all states are confirmed")
    reasons: list[str] = Field(description="why it is not live")
    processes: list[Process]
    rings: list[Ring]
    rates: dict[str, float] = Field(
        description="recent rates per second; empty: not enough samples yet"
    )
    lag_ms: float | None = Field(
        description="mean time from the receipt of an event to its commit; null: no events"
    )
    counters: dict[str, dict[str, int]] = Field(description="all counters of all processes")


def routes(parts: WebParts) -> APIRouter:
    router = APIRouter()

    @router.get(
        STATUS,
        summary="Get the status of all processes",
        response_model=Status,
        responses=documented(500),
    )
    async def get_status() -> dict[str, Any]:
        now_us = parts.clock.wall_us()
        return body(parts.instruments, parts.model.health(now_us), now_us)

    return router


def body(instruments: Instruments, health: Health, at_us: int) -> dict[str, Any]:
    """As `Status` describes it."""
    look, paced = instruments.look()
    since_us = instruments.since_us
    lag_ms = paced.lag_ms if paced is not None else None
    return {
        "at": iso_ms(at_us),
        "clock_s": look.at_s,
        "name": instruments.name,
        "dialect": instruments.dialect,
        "since": iso_ms(since_us) if since_us is not None else None,
        "live": health.is_live,
        "reasons": [*health.reasons, *health.warnings],
        "processes": instruments.processes(look, paced),
        "rings": instruments.rings(),
        "rates": {name: round(rate, 1) for name, rate in paced.per_s.items()} if paced else {},
        "lag_ms": round(lag_ms, 3) if lag_ms is not None else None,
        "counters": look.counters,
    }

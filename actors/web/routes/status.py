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
    ] = Field(description="waiting: for a disk or a peer")
    generation: int = Field(description="lives so far")
    beat_age_s: float | None = Field(description="since its last sign of life")
    cpu_s: float = Field(description="of all its lives")
    cpu_percent: float | None = Field(description="of one core, lately; null: asked too early")
    rss_bytes: int | None = Field(description="shared rings included; null: there is no process")


class Ring(BaseModel):
    """What one process hands to another."""

    producer: Annotated[str, Field(alias="from")]
    consumer: Annotated[str, Field(alias="to")]
    used_bytes: int
    capacity_bytes: int


class Status(BaseModel):
    """All of it, as of one moment."""

    at: When
    clock_s: float = Field(description="the same moment on a clock that never jumps")
    name: str
    dialect: Literal["wsp", "cloud"]
    since: When | None = Field(description="when this runtime was started")
    live: bool = Field(description="all that is shown is confirmed now")
    reasons: list[str] = Field(description="why it is not")
    processes: list[Process]
    rings: list[Ring]
    rates: dict[str, float] = Field(description="a second, lately; empty: asked too early")
    lag_ms: float | None = Field(
        description="from the receipt of an event to its commit, on average; null: there was none"
    )
    counters: dict[str, dict[str, int]] = Field(description="every word of every page")


def routes(parts: WebParts) -> APIRouter:
    router = APIRouter()

    @router.get(
        STATUS,
        summary="How every process does",
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
        "reasons": list(health.reasons),
        "processes": instruments.processes(look, paced),
        "rings": instruments.rings(),
        "rates": {name: round(rate, 1) for name, rate in paced.per_s.items()} if paced else {},
        "lag_ms": round(lag_ms, 3) if lag_ms is not None else None,
        "counters": look.counters,
    }

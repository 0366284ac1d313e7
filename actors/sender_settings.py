"""Settings of the presence sender, with their defaults and bounds (protocol.md §1.3)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from actors.presences import PRESENCE_OF_STATE, PRESENCES, Presence

_FROZEN: Final = ConfigDict(frozen=True, extra="forbid")


class QueueLimits(BaseModel):
    """What a change that takes an agent out of *available* must leave of their queue."""

    model_config = _FROZEN

    minimum_available: int = Field(default=0, ge=0, le=1_000_000)
    maximum_utilisation: float = Field(default=1.0, ge=0, le=1)


class CapacitySettings(BaseModel):
    """Limits of every queue, and of those that are named."""

    model_config = _FROZEN

    default: QueueLimits = QueueLimits()
    queues: dict[str, QueueLimits] = Field(default_factory=dict)


def _webhook_url(url: str) -> str:
    if url and not url.startswith(("https://", "http://127.0.0.1", "http://localhost")):
        raise ValueError("must be https, or http on loopback")
    return url


class WebhookSettings(BaseModel):
    """Who is told of each change that took."""

    model_config = _FROZEN

    url: Annotated[str, AfterValidator(_webhook_url)] = Field(default="", max_length=2000)
    secret: SecretStr = SecretStr("")  # whsec_…; empty: not signed
    secret_file: Path | None = None
    give_up_after_s: float = Field(default=86_400.0, gt=0, le=30 * 86_400)
    backoff_most_s: float = Field(default=300.0, gt=0, le=86_400)


DEFAULT_TRANSITIONS: Final[dict[Presence, tuple[Presence, ...]]] = {
    "available": ("available", "busy", "offline"),
    "busy": ("available", "break", "offline"),
    "break": ("available", "busy", "offline"),
    "offline": ("available", "busy", "break"),
}


class SenderSettings(BaseModel):
    """How presences are changed."""

    model_config = _FROZEN

    enabled: bool = True
    updates_per_s: float = Field(default=5.0, gt=0, le=1000)
    in_flight_max: int = Field(default=10, ge=1, le=1000)
    permit_wait_s: float = Field(default=0.1, ge=0, le=10)
    ack_timeout_s: float = Field(default=5.0, gt=0, le=60)
    settle_s: float = Field(default=5.0, gt=0, le=60)
    confirm_s: float = Field(default=10.0, gt=0, le=600)
    give_up_after_s: float = Field(default=30.0, gt=0, le=600)
    tries_max: int = Field(default=5, ge=1, le=100)
    user_check: bool = True
    transitions: dict[Presence, tuple[Presence, ...]] = Field(
        default_factory=lambda: dict(DEFAULT_TRANSITIONS)
    )
    presence_of_state: dict[str, Presence] = Field(default_factory=lambda: dict(PRESENCE_OF_STATE))
    capacity: CapacitySettings = CapacitySettings()
    webhook: WebhookSettings = WebhookSettings()

    @model_validator(mode="after")
    def _names_every_presence(self) -> Self:
        if missing := [presence for presence in PRESENCES if presence not in self.transitions]:
            raise ValueError(f"transitions says nothing of {', '.join(missing)}")
        return self

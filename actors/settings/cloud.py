"""Settings of the cloud dialect: OAuth clients, who is watched, and how much of the API is used.

Defaults and bounds only (protocol.md §2.2); knows no process and no request.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from actors.genesys.channel_plan import (
    CHANNELS_OF_A_CLIENT,
    CHANNELS_PER_CLIENT_MAX,
    TOPICS_PER_CHANNEL_MAX,
    Limits,
)
from actors.genesys.cloud import COUNTED, TopicsSetting
from actors.genesys.credentials import Credentials
from actors.genesys.rate_budget import REQUESTS_PER_MINUTE

_FROZEN: Final = ConfigDict(frozen=True, extra="forbid")
CLIENTS_MAX: Final = 64
CLIENTS_OF_A_RECEIVER_MAX: Final = 16
TOPICS_OF_A_CHANNEL: Final = 1000
ROTATE_AFTER_S: Final = 82_800.0
"""Of the 24 h that a channel lives: one is left to try again."""

WatchKind: TypeAlias = Literal["all", "queues", "groups", "divisions", "file"]


def _is_printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must hold no control characters")
    return text


Printable = Annotated[str, AfterValidator(_is_printable)]
_Named = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_is_printable)]


class ClientSettings(BaseModel):
    """One more OAuth client, for the channels that do not fit on those before it."""

    model_config = _FROZEN

    client_id: Printable = Field(default="", max_length=500, description="one of the two …")
    client_id_file: Path | None = Field(default=None, description="… is needed")
    client_secret: SecretStr = Field(default=SecretStr(""), description="likewise")
    client_secret_file: Path | None = Field(default=None, description="likewise")

    @model_validator(mode="after")
    def _says_each_thing_once(self) -> Self:
        if bool(self.client_id) == (self.client_id_file is not None):
            raise ValueError("needs either client_id or client_id_file")
        if bool(self.client_secret.get_secret_value()) == (self.client_secret_file is not None):
            raise ValueError("needs either client_secret or client_secret_file")
        return self

    @property
    def credentials(self) -> Credentials:
        """Called, it gives client id and secret as they stand at that moment."""
        return Credentials(
            client_id=self.client_id,
            client_id_file=self.client_id_file,
            client_secret=self.client_secret.get_secret_value(),
            client_secret_file=self.client_secret_file,
        )


class CloudSettings(BaseModel):
    """Who is watched, and how. Ids of queues, groups and divisions may be their names as well."""

    model_config = _FROZEN

    watch: WatchKind = Field(
        default="all", description="all active users, or those of queues, groups, …, or of a file"
    )
    watch_ids: tuple[_Named, ...] = Field(
        default=(), description="ids or names of these queues, groups or divisions"
    )
    watch_file: Path | None = Field(
        default=None, description="ids of users, one a line; `#` begins a comment"
    )
    topics: TopicsSetting = Field(
        default="activity",
        description="activity: one topic an agent; combined: presence and routing status, which "
        "count for two",
    )
    topics_per_channel_max: int = Field(
        default=TOPICS_PER_CHANNEL_MAX,
        ge=max(COUNTED.values()),
        le=TOPICS_OF_A_CHANNEL,
        description=f"of the {TOPICS_OF_A_CHANNEL} that the platform allows",
    )
    channels_per_client_max: int = Field(
        default=CHANNELS_PER_CLIENT_MAX,
        ge=1,
        le=CHANNELS_OF_A_CLIENT - 1,  # a rotation needs one more
        description=f"of the {CHANNELS_OF_A_CLIENT} that the platform allows; a rotation needs one "
        "more",
    )
    roster_every_s: float = Field(
        default=300.0, ge=10, le=86_400, description="how often the roster is read"
    )
    rotate_after_s: float = Field(
        default=ROTATE_AFTER_S,
        ge=60,
        le=ROTATE_AFTER_S,
        description="age at which a channel is replaced; at most 23 h of its 24",
    )
    requests_per_minute: int = Field(
        default=REQUESTS_PER_MINUTE,
        ge=20,
        le=100_000,
        description="of each client: 15 % for the planner, 45 % for the receiver, 40 % for the "
        "sender, never borrowed",
    )

    @model_validator(mode="after")
    def _names_whom_it_watches(self) -> Self:
        if (self.watch in {"queues", "groups", "divisions"}) != bool(self.watch_ids):
            if self.watch_ids:
                raise ValueError(f"watch = {self.watch} needs no watch_ids: drop one of them")
            raise ValueError(f"watch = {self.watch} needs watch_ids: their ids or names")
        if (self.watch == "file") != (self.watch_file is not None):
            if self.watch_file is not None:
                raise ValueError(f"watch = {self.watch} needs no watch_file: drop one of them")
            raise ValueError("watch = file needs watch_file: user ids, one a line")
        return self

    @property
    def limits(self) -> Limits:
        return Limits(
            topics_per_channel_max=self.topics_per_channel_max,
            channels_per_client_max=self.channels_per_client_max,
        )

"""Settings of the cloud dialect: OAuth clients, who is watched, and how much of the API is used.

Defaults and bounds only (protocol.md §2.2); knows no process and no request.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from actors.genesys.agent_profile import PROFILE_FIELDS, USUAL_FIELDS, ProfileField
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
        raise ValueError("must not contain control characters")
    return text


Printable = Annotated[str, AfterValidator(_is_printable)]
_Named = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_is_printable)]


class ClientSettings(BaseModel):
    """One more OAuth client, for the channels that do not fit on those before it."""

    model_config = _FROZEN

    client_id: Printable = Field(
        default="",
        max_length=500,
        description="Id of this OAuth client; required unless `client_id_file` is set.",
    )
    client_id_file: Path | None = Field(
        default=None,
        description="File that contains the id of this OAuth client; required unless `client_id` "
        "is set.",
    )
    client_secret: SecretStr = Field(
        default=SecretStr(""),
        description="Secret of this OAuth client; required unless `client_secret_file` is set.",
    )
    client_secret_file: Path | None = Field(
        default=None,
        description="File that contains the secret of this OAuth client; required unless "
        "`client_secret` is set.",
    )

    @model_validator(mode="after")
    def _says_each_thing_once(self) -> Self:
        if bool(self.client_id) == (self.client_id_file is not None):
            raise ValueError("requires either client_id or client_id_file")
        if bool(self.client_secret.get_secret_value()) == (self.client_secret_file is not None):
            raise ValueError("requires either client_secret or client_secret_file")
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
        default="all",
        description="Users to monitor: `all` active users, the members of the `queues`, `groups` "
        "or `divisions` in `cloud.watch_ids`, or the users listed in a `file`.",
    )
    watch_ids: tuple[_Named, ...] = Field(
        default=(),
        description="Ids or names of the queues, groups or divisions to monitor; required if "
        "`cloud.watch` is one of these.",
    )
    watch_file: Path | None = Field(
        default=None, description="File of user ids to monitor, one per line; `#` starts a comment."
    )
    topics: TopicsSetting = Field(
        default="activity",
        description="Topics subscribed to per agent: `activity` is one topic; `combined` is "
        "presence and routing status, and counts as one as well.",
    )
    topics_per_channel_max: int = Field(
        default=TOPICS_PER_CHANNEL_MAX,
        ge=max(COUNTED.values()),
        le=TOPICS_OF_A_CHANNEL,
        description="Maximum number of topics per channel; the platform allows "
        f"{TOPICS_OF_A_CHANNEL}.",
    )
    channels_per_client_max: int = Field(
        default=CHANNELS_PER_CLIENT_MAX,
        ge=1,
        le=CHANNELS_OF_A_CLIENT - 1,  # a rotation needs one more
        description="Maximum number of channels per OAuth client; the platform allows "
        f"{CHANNELS_OF_A_CLIENT}, and a rotation needs a spare one.",
    )
    roster_every_s: float = Field(
        default=300.0,
        ge=10,
        le=86_400,
        description="Interval, in seconds, at which the roster is read.",
    )
    queues_every_s: float = Field(
        default=3_600.0,
        ge=60,
        le=86_400,
        description="Interval, in seconds, at which the members of all queues are read; changes "
        "of who belongs to which queue are seen after that long at most.",
    )
    agent_fields: tuple[ProfileField, ...] = Field(
        default=USUAL_FIELDS,
        description="What is kept of who an agent is, beside id and name: "
        + ", ".join(f"`{each}`" for each in PROFILE_FIELDS)
        + "; what is left out is removed at the next start, and an empty list keeps nothing.",
    )
    rotate_after_s: float = Field(
        default=ROTATE_AFTER_S,
        ge=60,
        le=ROTATE_AFTER_S,
        description="Age, in seconds, at which a channel is replaced; at most 23 of the 24 hours "
        "that a channel lives.",
    )
    requests_per_minute: int = Field(
        default=REQUESTS_PER_MINUTE,
        ge=20,
        le=100_000,
        description="API requests per minute of each OAuth client: 15 % are reserved for the "
        "planner, 45 % for the receiver and 40 % for the sender; of every client but the "
        "first, and of that one without a sender, the planner uses the sender's share as well. "
        "Until the queues of all agents are known, the planner uses up to 70 % of each client, as "
        "far as receiver and sender leave it.",
    )

    @model_validator(mode="after")
    def _names_whom_it_watches(self) -> Self:
        if (self.watch in {"queues", "groups", "divisions"}) != bool(self.watch_ids):
            if self.watch_ids:
                raise ValueError(
                    f"watch_ids is not used with watch = {self.watch}; remove one of them"
                )
            raise ValueError(
                f"watch = {self.watch} requires watch_ids, the ids or names of these {self.watch}"
            )
        if (self.watch == "file") != (self.watch_file is not None):
            if self.watch_file is not None:
                raise ValueError(
                    f"watch_file is not used with watch = {self.watch}; remove one of them"
                )
            raise ValueError("watch = file requires watch_file, a file of user ids, one per line")
        return self

    @property
    def limits(self) -> Limits:
        return Limits(
            topics_per_channel_max=self.topics_per_channel_max,
            channels_per_client_max=self.channels_per_client_max,
        )

"""Settings of the presence sender, with their defaults and bounds (protocol.md §1.3)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from actors.genesys.credentials import read_secret
from actors.genesys.presences import PRESENCE_OF_STATE, Presence
from actors.genesys.proxy import LOOPBACK
from runtime.errors import ConfigurationError

_FROZEN: Final = ConfigDict(frozen=True, extra="forbid")


class QueueLimits(BaseModel):
    """What a change that takes an agent out of *available* must leave of each of their queues."""

    model_config = _FROZEN

    minimum_available: int = Field(
        default=0,
        ge=0,
        le=1_000_000,
        description="Number of agents of the queue that must remain available when an agent leaves "
        "*available*.",
    )
    maximum_utilisation: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Highest allowed share of busy agents among the available and busy ones of "
        "the queue when an agent leaves *available*.",
    )


class CapacitySettings(BaseModel):
    """Limits of every queue, and of those that are named."""

    model_config = _FROZEN

    default: QueueLimits = QueueLimits()
    queues: dict[str, QueueLimits] = Field(
        default_factory=dict,
        description="Limits of individual queues, by queue id; a limit that is not set is taken "
        "from `sender.capacity.default`.",
    )

    @model_validator(mode="before")
    @classmethod
    def _inherit(cls, given: Any) -> Any:
        """What a named queue does not say, the default says for it."""
        match given:
            case {"default": Mapping() as default, "queues": Mapping() as queues}:
                inherited = {
                    name: {**default, **limits} if isinstance(limits, Mapping) else limits
                    for name, limits in queues.items()
                }
                return {**given, "queues": inherited}
        return given


def _webhook_url(url: str) -> str:
    if not url:
        return url
    try:
        parts = urlsplit(url)
        is_usable = parts.port != 0 and url.isprintable() and " " not in url
    except ValueError:  # brackets without an address, a port that is no number
        is_usable = False
    if not is_usable or not parts.hostname:
        raise ValueError("invalid webhook URL; expected a URL such as https://wfm.example/presence")
    if parts.scheme != "https" and (parts.scheme != "http" or parts.hostname not in LOOPBACK):
        raise ValueError("must be https, or http on loopback")
    if parts.username or parts.password or parts.fragment:
        raise ValueError("must not contain a user, password or fragment")
    return url


def _signing_secret(secret: SecretStr) -> SecretStr:
    if not _is_signing_secret(secret.get_secret_value()):
        raise ValueError(_SIGNING_HINT)
    return secret


WebhookUrl = Annotated[str, AfterValidator(_webhook_url)]
SigningSecret = Annotated[SecretStr, AfterValidator(_signing_secret)]
_SIGNING_HINT: Final = (
    "must be whsec_ followed by base64, as defined by https://www.standardwebhooks.com"
)


def _is_signing_secret(secret: str) -> bool:
    if not secret:
        return True
    text = secret.removeprefix("whsec_")
    try:
        return bool(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
    except (binascii.Error, ValueError):
        return False


def signing_secret_of(key: str, secret: SecretStr, secret_file: Path | None) -> str:
    """Of these two the one that is given. ConfigurationError names the setting `key`."""
    if secret_file is None:
        return secret.get_secret_value()
    held = read_secret(key, secret_file)
    if not _is_signing_secret(held):
        raise ConfigurationError(f"{key} = {secret_file}: {_SIGNING_HINT}")
    return held


class WebhookSettings(BaseModel):
    """Who is told of each change that took."""

    model_config = _FROZEN

    url: WebhookUrl = Field(
        default="",
        max_length=2000,
        description="URL that receives a message for every applied presence change; `https`, or "
        "`http` for this machine. Empty: no webhook.",
    )
    secret: SigningSecret = Field(
        default=SecretStr(""),
        description="Secret (`whsec_…`) that signs the messages as defined by Standard Webhooks; "
        "empty: messages are not signed.",
    )
    secret_file: Path | None = Field(
        default=None,
        description="File that contains the signing secret, read again for each message.",
    )
    give_up_after_s: float = Field(
        default=86_400.0,
        gt=0,
        le=30 * 86_400,
        description="Age, in seconds, at which an undelivered message becomes dead-lettered.",
    )
    backoff_max_s: float = Field(
        default=300.0,
        gt=0,
        le=86_400,
        description="Longest wait, in seconds, between two delivery attempts.",
    )

    def signing_secret(self) -> str:
        """The secret as it stands now; "": nothing is signed. A file is read again at every call.
        Raises ConfigurationError for a file that cannot be read or holds none."""
        return signing_secret_of("sender.webhook.secret_file", self.secret, self.secret_file)


DEFAULT_TRANSITIONS: Final[dict[Presence, tuple[Presence, ...]]] = {
    "available": ("available", "busy", "offline"),
    "busy": ("available", "break", "offline"),
    "break": ("available", "busy", "offline"),
    "offline": ("available", "busy", "break"),
}


def over(default: Mapping[Any, Any]) -> BeforeValidator:
    """A table that says only what differs from the default."""

    def complete(given: Any) -> Any:
        return {**default, **given} if isinstance(given, Mapping) else given

    return BeforeValidator(complete)


_DefinitionName = Annotated[str, Field(min_length=1, max_length=200)]


class SenderSettings(BaseModel):
    """How presences are changed."""

    model_config = _FROZEN

    enabled: bool = Field(
        default=True,
        description="Whether presences can be changed; if `false`, the OAuth scopes for it are not "
        "needed.",
    )
    updates_per_s: float = Field(
        default=5.0,
        gt=0,
        le=1000,
        description="Commands sent to the gateway per second; excess commands wait, then are "
        "rejected.",
    )
    in_flight_max: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="Commands that may await an acknowledgement at the same time; excess "
        "commands wait, then are rejected.",
    )
    permit_wait_s: float = Field(
        default=0.1,
        ge=0,
        le=10,
        description="How long, in seconds, a command waits for `sender.updates_per_s` and "
        "`sender.in_flight_max` before it is rejected.",
    )
    ack_timeout_s: float = Field(
        default=5.0,
        gt=0,
        le=60,
        description="How long, in seconds, to wait for the acknowledgement of a command.",
    )
    settle_s: float = Field(
        default=5.0,
        gt=0,
        le=60,
        description="How long, in seconds, to wait for the state stream to show the change if no "
        "acknowledgement arrives within `sender.ack_timeout_s`.",
    )
    confirm_s: float = Field(
        default=10.0,
        gt=0,
        le=600,
        description="How long, in seconds, after the acknowledgement to wait for the transition "
        "that confirms the command.",
    )
    confirm_stale_s: float = Field(
        default=60.0,
        ge=0,
        le=600,
        description="How many seconds `sender.confirm_s` is extended by, at most, while the "
        "state stream is down.",
    )
    pending_s: float = Field(
        default=3600.0,
        gt=0,
        le=86_400,
        description="Dialect `cloud`: how long, in seconds, to wait for a change that the gateway "
        "applies only when the agent's interaction ends.",
    )
    take_primary: bool = Field(
        default=False,
        description="Dialect `cloud`: with each change, make `PURECLOUD` the primary presence "
        "source of the agent; if `false`, the change is rejected where another source is primary.",
    )
    give_up_after_s: float = Field(
        default=30.0,
        gt=0,
        le=600,
        description="Time, in seconds, after which a command without an answer becomes *unknown*.",
    )
    tries_max: int = Field(
        default=5, ge=1, le=100, description="Maximum number of times one command is sent."
    )
    user_check: bool = Field(
        default=True,
        description="Dialect `wsp`: check with the gateway that the user exists; the answer is "
        "cached for 5 minutes.",
    )
    transitions: Annotated[dict[Presence, tuple[Presence, ...]], over(DEFAULT_TRANSITIONS)] = Field(
        default_factory=lambda: dict(DEFAULT_TRANSITIONS),
        description="Dialect `wsp`: allowed transitions, as a presence and the list of presences "
        "that may follow it; presences that are not listed keep their defaults.",
    )
    cloud_transitions: dict[_DefinitionName, tuple[_DefinitionName, ...]] = Field(
        default_factory=dict,
        description="Dialect `cloud`: allowed transitions, as a presence and the list of those "
        "that may follow it, by name, label or id of the presence definition; a "
        "presence that is not listed may be followed by any other. Changing an agent "
        "who is INTERACTING requires `--force`.",
    )
    presence_of_state: Annotated[dict[str, Presence], over(PRESENCE_OF_STATE)] = Field(
        default_factory=lambda: dict(PRESENCE_OF_STATE),
        description="Dialect `wsp`: presence that is assumed for a state if the event contains "
        "none.",
    )
    capacity: CapacitySettings = CapacitySettings()
    webhook: WebhookSettings = WebhookSettings()

"""Settings: what a person may choose, with its defaults and bounds. Knows no process, no actor,
and not where a value comes from (`layers`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from actors.genesys.credentials import Credentials
from actors.genesys.proxy import LOOPBACK, problem, without_password
from actors.genesys.regions import domain_of, environment_of, region_domain_in
from actors.messages.control import Dialect
from actors.settings.cloud import (
    CLIENTS_MAX,
    CLIENTS_OF_A_RECEIVER_MAX,
    ClientSettings,
    CloudSettings,
    Printable,
)
from actors.settings.sender import SenderSettings
from actors.settings.sinks import SINKS_MAX, SinkSettings
from actors.settings.web import WebSettings
from runtime.errors import ConfigurationError
from runtime.log import LINES_PER_MINUTE, MASK

ENVIRONMENT_PREFIX: Final = "PRESENCE_"
CONFIG_DEFAULT: Final = Path("presence-runtime.toml")
DEMO_HINT: Final = "To try it without any settings, run: presence-runtime demo"


def _is_host_url(url: str) -> str:
    url = _with_scheme(url.strip())
    try:
        parts = urlsplit(url)
        is_usable = parts.port != 0 and url.isprintable() and " " not in url
    except ValueError:  # brackets without an address, a port that is no number
        raise ValueError("must be a URL such as https://api.mypurecloud.com") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not is_usable:
        raise ValueError("must be a URL such as https://api.mypurecloud.com")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must not contain a user, password, query or fragment")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError("must be https; otherwise the client's secret would be sent in clear text")
    return url.rstrip("/")


def _with_scheme(url: str) -> str:
    """Of a host that was pasted without one: what is safe to this host."""
    if "://" in url or (not (is_loopback := _names_loopback(url)) and "." not in url):
        return url
    return f"{'http' if is_loopback else 'https'}://{url}"


def _names_loopback(url: str) -> bool:
    try:
        return urlsplit(f"//{url}").hostname in LOOPBACK
    except ValueError:
        return False


def _is_region(text: str) -> str:
    if text:
        domain_of(text)  # raises for what means none
    return text.strip()


def _is_proxy_url(url: str) -> str:
    if wrong := problem(url):
        raise ValueError(wrong)
    return url


def _is_power_of_two(number: int) -> int:
    if number & (number - 1):
        raise ValueError("must be a power of two")
    return number


def _is_name(text: str) -> str:
    if not re.fullmatch(r"[\w.-]{0,32}", text):
        raise ValueError("must consist of up to 32 letters, digits, `_ . -`")
    return text


_Name = Annotated[str, AfterValidator(_is_name)]


class LogSettings(BaseModel):
    """How and how much is logged; always to stderr."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["auto", "json", "console"] = Field(
        default="auto",
        description="Format of the log lines; `auto` means `console` on a terminal and `json` "
        "otherwise.",
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lowest level that is logged."
    )
    lines_per_minute: int = Field(
        default=LINES_PER_MINUTE,
        ge=0,
        le=1_000_000,
        description="Lines that one process logs per event and minute; more are counted and left "
        "out. 0: no bound.",
    )


class RestartSettings(BaseModel):
    """When a child that keeps dying stops everything."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    intensity: int = Field(
        default=20,
        ge=0,
        le=1000,
        description="How often a child process may end within `restart.period_s`; one more stops "
        "the runtime with exit code 1.",
    )
    period_s: float = Field(
        default=60.0,
        gt=0,
        le=86_400,
        description="Length, in seconds, of the period in which the ends of a child process are "
        "counted for `restart.intensity`.",
    )


class Settings(BaseSettings):
    """Everything a person may choose. Frozen; `load` is the way to get one from the world."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=ENVIRONMENT_PREFIX, env_nested_delimiter="__"
    )

    name: _Name = Field(
        default="",
        description="Name shown in the process titles: up to 32 letters, digits, `_ . -`.",
    )
    dialect: Dialect = Field(
        default="wsp",
        description="Protocol of the gateway; `cloud` is the platform API of Genesys Cloud.",
    )
    environment: Annotated[str, AfterValidator(environment_of)] = Field(
        default="",
        max_length=200,
        description="Dialect `wsp`: the gateway is `https://api.{environment}.mypurecloud.com`.",
    )
    region: Annotated[str, AfterValidator(_is_region)] = Field(
        default="",
        max_length=500,
        description="Region of Genesys Cloud, as a code such as `eu-central-1`, its city or its "
        "domain; replaces `environment`.",
    )
    region_file: Path | None = Field(default=None, description="File that contains the region.")
    base_url: Annotated[str, AfterValidator(_is_host_url)] | None = Field(
        default=None,
        description="URL or host of the gateway; overrides `environment`, `region` and "
        "`region_file`. `http` is accepted only for this machine.",
    )
    client_id: Printable = Field(default="", max_length=500, description="Id of the OAuth client.")
    client_id_file: Path | None = Field(
        default=None, description="File that contains the id of the OAuth client."
    )
    client_secret: SecretStr = Field(
        default=SecretStr(""),
        description="Secret of the OAuth client; prefer `client_secret_file`.",
    )
    client_secret_file: Path | None = Field(
        default=None,
        description="File that contains the secret of the OAuth client, read again for every "
        "token. Like every secret file, it must be a regular file of at most 64 KiB.",
    )
    clients: tuple[ClientSettings, ...] = Field(
        default=(),
        max_length=CLIENTS_MAX - 1,
        description="Dialect `cloud`: additional OAuth clients, as `[[clients]]` tables, or a "
        "JSON list in a variable. The channel plan uses their order: append new ones.",
    )
    receivers: int = Field(
        default=1,
        ge=1,
        le=CLIENTS_MAX,
        description="Dialect `cloud`: number of processes that hold the channels. The OAuth "
        f"clients are distributed in turn, from 1 to {CLIENTS_OF_A_RECEIVER_MAX} per "
        "process.",
    )
    ca_file: Path | None = Field(
        default=None,
        description="PEM file of certificates that are trusted in addition to the system's.",
    )
    proxy: Annotated[str, AfterValidator(_is_proxy_url)] | None = Field(
        default=None,
        description="URL of the `http` or `https` proxy for all connections to the gateway; if "
        "unset, HTTPS_PROXY, ALL_PROXY and NO_PROXY apply. In a password, write `/ ? "
        "# @` as `%2F %3F %23 %40`; passwords are masked in all output.",
    )
    resource: str | None = Field(
        default=None,
        max_length=500,
        description="Dialect `wsp`: filter of the subscription; if unset, everything is "
        "subscribed to.",
    )
    appointments: bool = Field(
        default=False, description="Dialect `wsp`: also subscribe to the agents' next appointments."
    )
    data_dir: Path = Field(
        default=Path("presence-data"),
        description="Directory of the journals, the lock file and the Unix socket.",
    )
    shards: int = Field(
        default=2,
        ge=1,
        le=64,
        description="Number of processes that hold the states of the agents.",
    )
    journal: Literal["full", "off"] = Field(
        default="full",
        description="`full` records every transition; `off` stores only the states, at a clean "
        "stop, and is meant for measurements, not for production.",
    )
    # 8 MiB hold some 30,000 events: 15 times what 5,000 seats need (2,000 events).
    ring_bytes: Annotated[int, AfterValidator(_is_power_of_two)] = Field(
        default=8 << 20,
        ge=64 << 10,
        le=1 << 30,
        description="Size, in bytes, of the buffer between a receiver and each shard; a power of "
        "two.",
    )
    retention_days: float = Field(
        default=7.0,
        gt=0,
        le=36_500,
        description="Age, in days, after which rows are deleted from the journals.",
    )
    retention_gb: float = Field(
        default=20.0,
        gt=0,
        le=1_000_000,
        description="Total size of the journals, in units of 10^9 bytes over all shards and "
        "without archives, above which the oldest rows are deleted.",
    )
    attempts_max: int = Field(
        default=10,
        ge=0,
        le=1_000_000,
        description="Dialect `wsp`: consecutive failed attempts to connect after which all "
        "agents become Unknown; 0 means no limit.",
    )
    backoff_max_s: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="Longest wait, in seconds, between two attempts to connect.",
    )
    cloud: CloudSettings = CloudSettings()
    sender: SenderSettings = SenderSettings()
    web: WebSettings = WebSettings()
    sinks: tuple[SinkSettings, ...] = Field(
        default=(),
        max_length=SINKS_MAX,
        description="Destinations that transitions are delivered to, as `[[sinks]]` tables, or a "
        "JSON list in a variable.",
    )
    restart: RestartSettings = RestartSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *sources: Any, **named: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # Nothing is read behind the caller's back: the layers are merged in settings_layers.
        assert settings_cls is cls
        assert not sources
        return (named["init_settings"],)

    @model_validator(mode="after")
    def _says_each_thing_once(self) -> Self:
        if self.environment and self.region:
            raise ValueError("environment and region both select the gateway; remove one of them")
        return self

    @model_validator(mode="after")
    def _says_what_its_dialect_knows(self) -> Self:
        if self.dialect == "wsp":
            alien = {"clients": self.clients, "receivers": self.receivers > 1}
            alien["cloud"] = self.cloud != CloudSettings()
        else:
            alien = {"environment": self.environment, "resource": self.resource is not None}
            alien["appointments"] = self.appointments
        if strangers := [key for key, is_given in alien.items() if is_given]:
            others, is_one = ", ".join(strangers), len(strangers) == 1
            are, it = ("is", "it") if is_one else ("are", "them")
            raise ValueError(
                f"{others} {are} not supported with dialect = {self.dialect}; remove {it}"
            )
        if self.receivers > 1 + len(self.clients):
            raise ValueError(
                f"receivers = {self.receivers}, but there are {1 + len(self.clients)} OAuth "
                "clients, and each client belongs to one receiver; configure fewer receivers or "
                "more clients"
            )
        if 1 + len(self.clients) > self.receivers * CLIENTS_OF_A_RECEIVER_MAX:
            raise ValueError(
                f"receivers = {self.receivers}, but there are {1 + len(self.clients)} OAuth "
                f"clients, and a receiver serves at most {CLIENTS_OF_A_RECEIVER_MAX}; configure "
                "more receivers"
            )
        return self

    @model_validator(mode="after")
    def _has_rows_for_its_sinks(self) -> Self:
        if self.sinks and self.journal == "off":
            raise ValueError(
                "sinks read the journals, which journal = off does not write; set journal = full, "
                "or remove the sinks"
            )
        names = [sink.name for sink in self.sinks]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"sinks: the name {', '.join(twice)} is used more than once; names must be unique"
            )
        paths = [sink.path for sink in self.sinks if sink.path is not None]
        if twice := sorted({str(path) for path in paths if paths.count(path) > 1}):
            raise ValueError(
                f"sinks: more than one sink writes to {', '.join(twice)}; use a separate file for "
                "each"
            )
        return self

    @property
    def api_url(self) -> str:
        """The gateway's own URL, without a trailing slash."""
        if self.base_url is not None:
            of_platform = region_domain_in(urlsplit(self.base_url).hostname or "")
            is_region = of_platform is not None and self.dialect == "cloud"
            return f"https://api.{of_platform}" if is_region else self.base_url
        if self.region:
            return f"https://api.{domain_of(self.region)}"
        return f"https://api.{self.environment + '.' if self.environment else ''}mypurecloud.com"

    @property
    def credentials(self) -> Credentials:
        """Called, it gives client id and secret as they stand at that moment."""
        return Credentials(
            client_id=self.client_id,
            client_id_file=self.client_id_file,
            client_secret=self.client_secret.get_secret_value(),
            client_secret_file=self.client_secret_file,
        )

    @property
    def all_credentials(self) -> tuple[Credentials, ...]:
        """Of every OAuth client; the plan of channels numbers them in this order."""
        return (self.credentials, *(client.credentials for client in self.clients))

    @property
    def secrets(self) -> tuple[str, ...]:
        """Those that stand in the settings of clients and sinks: never to be seen in a log."""
        given = (
            self.client_secret,
            *(client.client_secret for client in self.clients),
            *(sink.secret for sink in self.sinks),
        )
        return tuple(secret.get_secret_value() for secret in given)


def unusable(problems: list[str], *, is_first_try: bool = False) -> ConfigurationError:
    """`is_first_try`: nobody has set anything yet, so there is a demo to see first."""
    lines = "".join(f"\n  {problem}" for problem in problems)
    hint = f"\n{DEMO_HINT}" if is_first_try else ""
    return ConfigurationError(f"invalid settings:{lines}{hint}")


def shown(key: str, value: object) -> str:
    """A value as people may see it."""
    if isinstance(value, SecretStr):
        return MASK if value.get_secret_value() else ""
    if key == "proxy" and value is not None:
        return without_password(str(value))
    if key == "sender.webhook.url" or (key.startswith("sinks.") and key.endswith(".url")):
        url, _, query = str(value).partition("?")
        return f"{url}?{MASK}" if query else url
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)

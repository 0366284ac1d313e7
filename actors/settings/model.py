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
from runtime.log import MASK

ENVIRONMENT_PREFIX: Final = "PRESENCE_"
CONFIG_DEFAULT: Final = Path("presence-runtime.toml")
DEMO_HINT: Final = "To see it work without any settings: presence-runtime demo"


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
        raise ValueError("must hold no user, password, query or fragment")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError("must be https: the client's secret would travel in clear text")
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
        raise ValueError("must be letters, digits, `_ . -`, at most 32")
    return text


_Name = Annotated[str, AfterValidator(_is_name)]


class LogSettings(BaseModel):
    """How and how much is logged; always to stderr."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["auto", "json", "console"] = Field(
        default="auto", description="auto: console on a terminal, else json"
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="the least that is told"
    )


class RestartSettings(BaseModel):
    """When a child that keeps dying stops everything."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    intensity: int = Field(default=20, ge=0, le=1000, description="a child may end this often …")
    period_s: float = Field(
        default=60.0,
        gt=0,
        le=86_400,
        description="… within this time; once more stops everything with exit 1",
    )


class Settings(BaseSettings):
    """Everything a person may choose. Frozen; `load` is the way to get one from the world."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=ENVIRONMENT_PREFIX, env_nested_delimiter="__"
    )

    name: _Name = Field(
        default="",
        description="shown in the titles of the processes: letters, digits, `_ . -`, at most 32",
    )
    dialect: Dialect = Field(
        default="wsp",
        description="how the gateway speaks; cloud: the platform API of Genesys Cloud",
    )
    environment: Annotated[str, AfterValidator(environment_of)] = Field(
        default="",
        max_length=200,
        description="dialect wsp: the gateway is `https://api.{environment}.mypurecloud.com`",
    )
    region: Annotated[str, AfterValidator(_is_region)] = Field(
        default="",
        max_length=500,
        description="instead of it: a region such as `eu-central-1`, its city, or its domain",
    )
    region_file: Path | None = Field(default=None, description="a file that holds the region")
    base_url: Annotated[str, AfterValidator(_is_host_url)] | None = Field(
        default=None,
        description="the gateway's URL, or its host; wins over the three above. `http` only to "
        "this machine",
    )
    client_id: Printable = Field(default="", max_length=500, description="of the OAuth client")
    client_id_file: Path | None = Field(default=None, description="a file that holds it")
    client_secret: SecretStr = Field(
        default=SecretStr(""), description="of the OAuth client; better as a file"
    )
    client_secret_file: Path | None = Field(
        default=None,
        description="read again for every token; a regular file of 64 KiB at most, like all these",
    )
    clients: tuple[ClientSettings, ...] = Field(
        default=(),
        max_length=CLIENTS_MAX - 1,
        description="dialect cloud: more OAuth clients, as `[[clients]]`; as a variable a JSON "
        "list. Their order is that of the channel plan: append",
    )
    receivers: int = Field(
        default=1,
        ge=1,
        le=CLIENTS_MAX,
        description="dialect cloud: processes that hold the channels; clients are dealt to them "
        f"in turn, at least one to each and {CLIENTS_OF_A_RECEIVER_MAX} at most",
    )
    ca_file: Path | None = Field(
        default=None, description="certificates trusted beside the system's (PEM)"
    )
    proxy: Annotated[str, AfterValidator(_is_proxy_url)] | None = Field(
        default=None,
        description="for tokens and sockets alike, `http` or `https`; else HTTPS_PROXY, ALL_PROXY "
        "and NO_PROXY. In a password write `/ ? # @` as `%2F %3F %23 %40`; it is shown nowhere",
    )
    resource: str | None = Field(
        default=None,
        max_length=500,
        description="dialect wsp: the filter of the subscription; absent: all",
    )
    appointments: bool = Field(
        default=False, description="dialect wsp: subscribe to agents' next appointments as well"
    )
    data_dir: Path = Field(default=Path("presence-data"), description="journals and lock")
    shards: int = Field(default=2, ge=1, le=64, description="processes that hold the agents")
    journal: Literal["full", "off"] = Field(
        default="full",
        description="off: states only, written at a clean stop; for measurements, not for service",
    )
    # 8 MiB hold some 30,000 events: 15 times what 5,000 seats need (2,000 events).
    ring_bytes: Annotated[int, AfterValidator(_is_power_of_two)] = Field(
        default=8 << 20,
        ge=64 << 10,
        le=1 << 30,
        description="room between a receiver and each shard; a power of two",
    )
    retention_days: float = Field(
        default=7.0, gt=0, le=36_500, description="older rows are dropped"
    )
    retention_gb: float = Field(
        default=20.0,
        gt=0,
        le=1_000_000,
        description="so are the oldest rows beyond this size: 10^9 bytes, all shards together, "
        "archives apart",
    )
    attempts_max: int = Field(
        default=10,
        ge=0,
        le=1_000_000,
        description="dialect wsp: tries to connect in a row before all agents become Unknown; "
        "0: for ever",
    )
    backoff_most_s: float = Field(
        default=30.0, gt=0, le=3600, description="longest wait before a try to connect"
    )
    cloud: CloudSettings = CloudSettings()
    sender: SenderSettings = SenderSettings()
    web: WebSettings = WebSettings()
    sinks: tuple[SinkSettings, ...] = Field(
        default=(), max_length=SINKS_MAX, description="what transitions are handed on to"
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
            raise ValueError("environment and region name the gateway twice: keep one of them")
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
            others = ", ".join(strangers)
            raise ValueError(f"dialect = {self.dialect} knows nothing of {others}: drop that")
        if self.receivers > 1 + len(self.clients):
            raise ValueError(
                f"receivers = {self.receivers}, but there are {1 + len(self.clients)} OAuth "
                "clients, and each belongs to one receiver: give fewer receivers or more clients"
            )
        if 1 + len(self.clients) > self.receivers * CLIENTS_OF_A_RECEIVER_MAX:
            raise ValueError(
                f"receivers = {self.receivers}, but there are {1 + len(self.clients)} OAuth "
                f"clients, and a receiver serves {CLIENTS_OF_A_RECEIVER_MAX}: give more receivers"
            )
        return self

    @model_validator(mode="after")
    def _has_rows_for_its_sinks(self) -> Self:
        if self.sinks and self.journal == "off":
            raise ValueError(
                "sinks read the journals, and journal = off writes none: put journal = full, or "
                "drop the sinks"
            )
        names = [sink.name for sink in self.sinks]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"sinks: the name {', '.join(twice)} is given twice")
        paths = [sink.path for sink in self.sinks if sink.path is not None]
        if twice := sorted({str(path) for path in paths if paths.count(path) > 1}):
            raise ValueError(f"sinks: two write to {', '.join(twice)}: give each its own file")
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
    return ConfigurationError(f"the settings are not usable:{lines}{hint}")


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

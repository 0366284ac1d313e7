"""Settings of the web child, with their defaults and bounds. Knows no socket and no request."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Final, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from actors.settings.sender import over

OFF: Final = "off"
LISTEN_DEFAULT: Final = "127.0.0.1:8321"
THRESHOLDS_MAX: Final = 100
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_-]+)*\.?")

# An hour of talking is a long one; after a call three minutes are usual.
DEFAULT_THRESHOLDS: Final[dict[str, tuple[float, float]]] = {
    "Talking": (600.0, 1200.0),
    "Wrapped Up": (120.0, 300.0),
    "Reserved": (15.0, 30.0),
    "Not Available": (1800.0, 3600.0),
}


class ListenAddress(NamedTuple):
    """Where the page is served; `port` 0 is the kernel's choice."""

    host: str  # a name or an address, without brackets
    port: int

    @property
    def is_loopback(self) -> bool:
        return is_loopback(self.host)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine can be meant."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def parsed(text: str) -> ListenAddress:
    """Raises ValueError for what is no `host:port`."""
    host, colon, port = text.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65_535:
        raise ValueError(
            "must be host:port, such as 127.0.0.1:8321, or off to serve only the Unix socket"
        )
    if host.startswith("[") and host.endswith("]"):
        host = str(ipaddress.IPv6Address(host[1:-1]))  # ValueError says what is wrong with it
    elif ":" in host:
        raise ValueError("must have an IPv6 address in brackets, such as [::1]:8321")
    elif not _is_host(host):
        raise ValueError("must contain a host name or an address, such as 127.0.0.1 or 0.0.0.0")
    return ListenAddress(host, int(port))


def _is_host(host: str) -> bool:
    return len(host) <= 253 and _HOST_NAME.fullmatch(host) is not None


def _listen(text: str) -> str:
    # A variable that is empty was not given, so there is a word for "nowhere".
    return str(parsed(text)) if text not in {"", OFF} else ""


def _allowed_host(host: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        return f"[{ipaddress.IPv6Address(host[1:-1])}]"
    if not _is_host(host):
        raise ValueError("must be a host name without a port, such as wall.example.com")
    return host.lower().rstrip(".")


_Seconds = Annotated[float, Field(gt=0, le=604_800, allow_inf_nan=False)]
_State = Annotated[str, Field(min_length=1, max_length=200)]


class WebSettings(BaseModel):
    """Where and to whom the API and the page are served."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    listen: Annotated[str, AfterValidator(_listen)] = Field(
        default=LISTEN_DEFAULT,
        max_length=300,
        description="Address that serves page and API, as host:port; port 0 lets the kernel "
        "choose, `off` serves only the Unix socket in `data_dir`.",
    )
    probes_listen: Annotated[str, AfterValidator(_listen)] = Field(
        default="",
        max_length=300,
        description="Address, as host:port, that serves only `/livez`, `/readyz` and `/metrics`, "
        "without a token and under any name; `off` or unset: none.",
    )
    tokens_file: Path | None = Field(
        default=None, description="File of access tokens, with lines `read|write NAME TOKEN`."
    )
    allowed_hosts: tuple[Annotated[str, AfterValidator(_allowed_host)], ...] = Field(
        default=(),
        max_length=100,
        description="Host names under which the page is reached, in addition to loopback and "
        "`web.listen`.",
    )
    requests_per_s: float = Field(
        default=50.0,
        ge=0,
        le=100_000,
        allow_inf_nan=False,
        description="Requests per second of one token or address; bursts may be twice as large. "
        "0 means no limit.",
    )
    connections_max: int = Field(
        default=2_000,
        ge=1,
        le=60_000,
        description="Maximum number of open connections to `web.listen`.",
    )
    readers_max: int = Field(
        default=500,
        ge=1,
        le=60_000,
        description="Maximum number of open event streams (`/api/stream`).",
    )
    session_hours: float = Field(
        default=12.0,
        gt=0,
        le=8_760,
        allow_inf_nan=False,
        description="How long, in hours, a browser stays signed in.",
    )
    tick_ms: int = Field(
        default=100,
        ge=20,
        le=5_000,
        description="Interval, in milliseconds, at which the page's view of the agents is "
        "refreshed.",
    )
    names_file: Path | None = Field(
        default=None,
        description="CSV file `id,name` with the names of agents and queues; not needed in the "
        "dialect `cloud`, which provides them.",
    )
    thresholds: Annotated[dict[_State, tuple[_Seconds, _Seconds]], over(DEFAULT_THRESHOLDS)] = (
        Field(
            default_factory=lambda: dict(DEFAULT_THRESHOLDS),
            max_length=THRESHOLDS_MAX,
            description="By state, the time in seconds after which it is shown as long, and as "
            "too long.",
        )
    )

    @model_validator(mode="after")
    def _addresses_differ(self) -> Self:
        page, probes = self.address, self.probes_address
        if page is not None and page == probes and page.port != 0:
            raise ValueError(
                f"probes_listen: {probes} is the address of web.listen, too; give another port"
            )
        return self

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        for state, (long, too_long) in self.thresholds.items():
            if long > too_long:
                raise ValueError(
                    f"thresholds: {state} is long after {long:g} s and too long after {too_long:g} "
                    "s; the first number must not be greater than the second"
                )
        return self

    @property
    def address(self) -> ListenAddress | None:
        """None: only the Unix socket."""
        return parsed(self.listen) if self.listen else None

    @property
    def probes_address(self) -> ListenAddress | None:
        """None: probes are served with the page alone."""
        return parsed(self.probes_listen) if self.probes_listen else None

    @property
    def needs_token_to_read(self) -> bool:
        """Whether every request over TCP needs a token, from this machine too. What a proxy here
        hands on may look like a local request, so loopback is open only while nothing says that
        anybody else is to be served."""
        is_local = self.address is None or self.address.is_loopback
        return not is_local or self.tokens_file is not None or bool(self.allowed_hosts)

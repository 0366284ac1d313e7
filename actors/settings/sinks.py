"""Settings of the sinks, each a table of the list `[[sinks]]`, with their defaults and bounds.

Knows no file, no request and no row.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from actors.settings.sender import SigningSecret, WebhookUrl, signing_secret_of

SINKS_MAX: Final = 8
STDOUT: Final = Path("-")

Cause: TypeAlias = Literal["live", "history", "late", "lost", "gap", "roster"]
_Named = Annotated[str, Field(min_length=1, max_length=200)]

_OF_KIND: Final = {
    "jsonl": ("path", "rotate_mb", "keep"),
    "webhook": (
        "url", "secret", "secret_file", "batch_max", "linger_ms", "timeout_s", "backoff_max_s",
        "pause_s",
    ),
}  # fmt: skip


def _is_name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,31}", text):
        raise ValueError(
            "must consist of up to 32 lower-case letters, digits, `_` and `-`, and start with a "
            "letter or digit"
        )
    return text


class SinkSettings(BaseModel):
    """One place that every committed transition is handed on to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, AfterValidator(_is_name)] = Field(
        description="Name of the sink; its position is stored under this name, so that a new "
        "name starts a new sink.",
    )
    kind: Literal["jsonl", "webhook"] = Field(
        description="Type of the sink: `jsonl` writes lines to a file, `webhook` sends HTTP POST "
        "requests."
    )
    begin: Literal["oldest", "newest"] = Field(
        default="oldest",
        description="Where a new sink starts: at the `oldest` row in the journals, or with the "
        "`newest`, the next row that is written.",
    )
    causes: tuple[Cause, ...] = Field(
        default=(), description="Deliver only rows with these causes; empty: all causes."
    )
    states: tuple[_Named, ...] = Field(
        default=(),
        max_length=100,
        description="Deliver only transitions that enter or leave one of these states; empty: "
        "all states.",
    )
    queues: tuple[_Named, ...] = Field(
        default=(),
        max_length=10_000,
        description="Deliver only rows of agents in one of these queue ids; empty: all.",
    )
    path: Path | None = Field(
        default=None,
        description="Kind `jsonl`: file to write; `-` is the runtime's standard output.",
    )
    rotate_mb: float = Field(
        default=100.0,
        ge=0,
        le=1_000_000,
        allow_inf_nan=False,
        description="Kind `jsonl`: size in MB at which the file is renamed to FILE.1, and older "
        "files are shifted; 0 means never.",
    )
    keep: int = Field(
        default=10,
        ge=1,
        le=10_000,
        description="Kind `jsonl`: number of rotated files that are kept; the oldest is deleted.",
    )
    url: WebhookUrl = Field(
        default="", max_length=2000, description="Kind `webhook`: URL to send to."
    )
    secret: SigningSecret = Field(
        default=SecretStr(""),
        description="Kind `webhook`: secret (`whsec_…`) that signs the requests as defined by "
        "Standard Webhooks; empty: requests are not signed.",
    )
    secret_file: Path | None = Field(
        default=None,
        description="Kind `webhook`: file that contains the signing secret, read again for each "
        "attempt.",
    )
    batch_max: int = Field(
        default=100,
        ge=1,
        le=1_000,
        description="Kind `webhook`: maximum number of events per request.",
    )
    linger_ms: int = Field(
        default=200,
        ge=0,
        le=60_000,
        description="Kind `webhook`: how long, in milliseconds, to wait for a batch to fill.",
    )
    timeout_s: float = Field(
        default=10.0,
        gt=0,
        le=300,
        description="Kind `webhook`: time limit, in seconds, of one request including its "
        "response.",
    )
    backoff_max_s: float = Field(
        default=60.0,
        gt=0,
        le=3_600,
        description="Kind `webhook`: longest wait, in seconds, before a failed batch is sent "
        "again.",
    )
    pause_s: float = Field(
        default=300.0,
        gt=0,
        le=86_400,
        description="Kind `webhook`: wait, in seconds, before a refused batch is sent again.",
    )

    @model_validator(mode="after")
    def _says_what_its_kind_knows(self) -> Self:
        for kind, keys in _OF_KIND.items():
            strangers = [key for key in keys if key in self.model_fields_set]
            if kind != self.kind and strangers:
                are, them = ("is", "it") if len(strangers) == 1 else ("are", "them")
                raise ValueError(
                    f"{', '.join(strangers)} {are} not supported with kind = {self.kind}; remove "
                    f"{them}"
                )
        if self.kind == "jsonl" and self.path is None:
            raise ValueError("kind = jsonl requires path: a file, or - for standard output")
        if self.kind == "webhook" and not self.url:
            raise ValueError("kind = webhook requires url")
        if self.secret.get_secret_value() and self.secret_file is not None:
            raise ValueError("secret and secret_file are both set; remove one of them")
        return self

    @property
    def to_stdout(self) -> bool:
        return self.path == STDOUT

    @property
    def target(self) -> str:
        """Where to, as people may see it: what follows a `?` may be a secret."""
        if self.kind == "webhook":
            url, _, query = self.url.partition("?")
            return f"{url}?…" if query else url
        return "standard output" if self.to_stdout else str(self.path)

    def signing_secret(self) -> str:
        """The secret as it stands now; "": nothing is signed. Raises ConfigurationError for a file
        that cannot be read or holds none."""
        return signing_secret_of(f"sinks ({self.name}): secret_file", self.secret, self.secret_file)

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

Cause: TypeAlias = Literal["live", "history", "late", "lost", "gap"]
_Named = Annotated[str, Field(min_length=1, max_length=200)]

_OF_KIND: Final = {
    "jsonl": ("path", "rotate_mb", "keep"),
    "webhook": (
        "url", "secret", "secret_file", "batch_max", "linger_ms", "timeout_s", "backoff_most_s",
        "pause_s",
    ),
}  # fmt: skip


def _is_name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,31}", text):
        raise ValueError("must be lower-case letters, digits, `_` and `-`, at most 32, one of the "
                         "first two in front")  # fmt: skip
    return text


class SinkSettings(BaseModel):
    """One place that every committed transition is handed on to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, AfterValidator(_is_name)] = Field(
        description="its position is kept under this name: another name is another sink",
    )
    kind: Literal["jsonl", "webhook"] = Field(description="lines in a file, or HTTP POST")
    begin: Literal["oldest", "newest"] = Field(
        default="oldest",
        description="where a new sink begins: with all that the journals hold, or what comes next",
    )
    causes: tuple[Cause, ...] = Field(default=(), description="only rows of these; empty: all")
    states: tuple[_Named, ...] = Field(
        default=(), max_length=100, description="only what enters or leaves one of these"
    )
    queues: tuple[_Named, ...] = Field(
        default=(), max_length=10_000, description="only rows of these queues, by id"
    )
    path: Path | None = Field(
        default=None, description="jsonl: the file; -: the runtime's standard output"
    )
    rotate_mb: float = Field(
        default=100.0,
        ge=0,
        le=1_000_000,
        allow_inf_nan=False,
        description="jsonl: a file of this size becomes FILE.1, and so on; 0: never",
    )
    keep: int = Field(
        default=10, ge=1, le=10_000, description="jsonl: so many rotated files, the oldest is lost"
    )
    url: WebhookUrl = Field(default="", max_length=2000, description="webhook: where to")
    secret: SigningSecret = Field(
        default=SecretStr(""), description="webhook: whsec_ and base64; empty: nothing is signed"
    )
    secret_file: Path | None = Field(
        default=None, description="webhook: a file that holds the secret; read at every attempt"
    )
    batch_max: int = Field(
        default=100, ge=1, le=1_000, description="webhook: events of one request at most"
    )
    linger_ms: int = Field(
        default=200, ge=0, le=60_000, description="webhook: waits so long for a batch to fill"
    )
    timeout_s: float = Field(
        default=10.0, gt=0, le=300, description="webhook: of one request, until it is answered"
    )
    backoff_most_s: float = Field(
        default=60.0,
        gt=0,
        le=3_600,
        description="webhook: longest wait before a failed batch is repeated",
    )
    pause_s: float = Field(
        default=300.0, gt=0, le=86_400, description="webhook: likewise, of one that was refused"
    )

    @model_validator(mode="after")
    def _says_what_its_kind_knows(self) -> Self:
        for kind, keys in _OF_KIND.items():
            strangers = [key for key in keys if key in self.model_fields_set]
            if kind != self.kind and strangers:
                raise ValueError(f"kind = {self.kind} knows nothing of {', '.join(strangers)}")
        if self.kind == "jsonl" and self.path is None:
            raise ValueError("kind = jsonl needs path: a file, or - for standard output")
        if self.kind == "webhook" and not self.url:
            raise ValueError("kind = webhook needs url")
        if self.secret.get_secret_value() and self.secret_file is not None:
            raise ValueError("secret and secret_file are both given: keep one of them")
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

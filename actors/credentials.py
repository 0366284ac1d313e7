"""Credentials: where client id and secret come from. Knows no gateway and no token.

Travels to the receiver, which asks again whenever the gateway refuses what it has: a rotated secret
is found in its file without a restart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from runtime.errors import ConfigurationError

SECRET_BYTES_MAX: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Each of the two stands here or in a file."""

    client_id: str = ""
    client_id_file: Path | None = None
    client_secret: str = field(default="", repr=False)
    client_secret_file: Path | None = None

    def __call__(self) -> tuple[str, str]:
        """Client id and secret as they stand now: files are read again at every call. Raises
        ConfigurationError for a file that cannot be read or says nothing."""
        client_id, secret = self.client_id, self.client_secret
        if self.client_id_file is not None:
            client_id = read_secret("client_id_file", self.client_id_file)
        if self.client_secret_file is not None:
            secret = read_secret("client_secret_file", self.client_secret_file)
        return client_id, secret


def read_secret(key: str, path: Path) -> str:
    """The text of a small file; never part of an error."""
    try:
        with path.open("rb") as file:
            text = file.read(SECRET_BYTES_MAX).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigurationError(f"{key} = {path}: {reason}") from None
    if not text:
        raise ConfigurationError(f"{key} = {path}: the file is empty")
    return text

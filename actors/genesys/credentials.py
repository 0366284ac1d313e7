"""Credentials: where client id and secret come from. Knows no gateway and no token.

Travels to the receiver, which asks again whenever the gateway refuses what it has: a rotated secret
is found in its file without a restart.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from actors.storage.text_file import read_text, secret_of
from runtime.errors import ConfigurationError

SECRET_BYTES_MAX: Final = 65_536
_MOUNTED: Final = Path("/run")


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
            if not client_id.isprintable():
                raise ConfigurationError(
                    f"client_id_file = {self.client_id_file}: the file contains control characters"
                )
        if self.client_secret_file is not None:
            secret = read_secret("client_secret_file", self.client_secret_file)
        return client_id, secret


def read_secret(key: str, path: Path) -> str:
    """The one line of a file that says something; never part of an error."""
    text = read_small_file(key, path)
    try:
        return secret_of(text)
    except ValueError as error:
        raise ConfigurationError(f"{key} = {path}: {error}") from None


def read_small_file(key: str, path: Path) -> str:
    """The text of a small file; never part of an error."""
    try:
        return read_text(path, SECRET_BYTES_MAX)
    except OSError as error:
        raise ConfigurationError(f"{key} = {path}: {error.strerror}") from None
    except ValueError as error:  # its content, or a NUL in the path
        shown = repr(str(path)) if "\0" in str(path) else path
        raise ConfigurationError(f"{key} = {shown}: {error}") from None


def is_exposed(path: Path) -> bool:
    """Whether every user of this machine may read it. Below /run it is for whoever has mounted it
    there to say: Docker's secrets are 0444 within a container of one user."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return bool(mode & stat.S_IROTH) and _MOUNTED not in path.absolute().parents

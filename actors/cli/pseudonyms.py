"""Pseudonyms: names for people that are always the same and tell nobody who they are.

Keyed: without the key nobody can find out by trying whose a pseudonym is; with it, the same person
has the same one in every export. The key stands in the data directory, for its owner only.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final

from actors.genesys.credentials import read_secret
from runtime.errors import ConfigurationError, LocalError

FILE: Final = "pseudonym.key"
KEY_BYTES: Final = 32
HEX_DIGITS: Final = 32  # 128 bits: no two people meet
KEPT_MAX: Final = 100_000


class Pseudonyms:
    """Of one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.person = lru_cache(KEPT_MAX)(lambda user_id: self._of("person", user_id))

    def command(self, command_id: str) -> str:
        """Ids of commands lead to people, too."""
        return self._of("command", command_id)

    def _of(self, kind: str, name: str) -> str:
        message = f"{kind}:{name}".encode("utf-8", "surrogatepass")
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()[:HEX_DIGITS]


def open_pseudonyms(data_dir: Path) -> Pseudonyms:
    """With the key of this directory, which is made if there is none yet."""
    path = data_dir / FILE
    try:
        if not path.exists():
            _make(path)
        key = bytes.fromhex(read_secret(FILE, path))
    except OSError as error:
        raise LocalError(f"{path}: {error.strerror}") from None
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigurationError(
            f"{path} does not contain a key of {KEY_BYTES} bytes; restore it from a backup, or "
            "delete it, in which case all pseudonyms change"
        )
    return Pseudonyms(key)


def _make(path: Path) -> None:
    """Whole or not at all; of two who make it at once, both use the first one's."""
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(f"{secrets.token_hex(KEY_BYTES)}\n")
        file.flush()
        os.fsync(file.fileno())
    with suppress(FileExistsError):
        path.hardlink_to(new)
    new.unlink()

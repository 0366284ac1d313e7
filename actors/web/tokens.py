"""Tokens: who may read and who may write, as a file says. Knows no request.

# scope, name, secret
read  wallboard  Zx0v…
write ops        8hQq…
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from actors.genesys.credentials import read_small_file
from actors.web.identity import AccessScope, CallerIdentity
from runtime.errors import ConfigurationError

KEY: Final = "web.tokens_file"
SECRET_CHARS_MIN: Final = 20
SECRET_CHARS_MAX: Final = 500
TOKENS_MAX: Final = 1_000
NAME: Final = re.compile(r"[A-Za-z0-9._@+-]{1,64}")
DEMO: Final = "demo"
"""Of the one-time token; no line of a file may bear it."""
_SECRET: Final = re.compile(r"[\x21-\x7e]+")


class ApiToken(NamedTuple):
    """What a secret stands for. The secret itself is not kept."""

    name: str
    scope: AccessScope
    digest: bytes

    @property
    def identity(self) -> CallerIdentity:
        return CallerIdentity(f"token:{self.name}", self.scope)


def token(name: str, scope: AccessScope, secret: str) -> ApiToken:
    return ApiToken(name, scope, _digest(secret))


def line(name: str, scope: AccessScope, secret: str) -> str:
    """As it stands in the file. Raises ValueError for what cannot stand there."""
    _assert_name(name)
    return f"{scope} {name} {secret}"


class Tokens:
    """Those of a file, as it was when it was read last."""

    def __init__(self, known: Iterable[ApiToken] = ()) -> None:
        self._known = tuple(known)

    def replace(self, known: Iterable[ApiToken]) -> bool:
        """From now on only these; what another token has signed in ends with it. True: there was
        such a one."""
        before, self._known = self._known, tuple(known)
        return not set(before) <= set(self._known)

    def find(self, secret: str) -> ApiToken | None:
        """All are compared, each in the same time: how long it took tells nothing."""
        digest = _digest(secret)
        found = None
        for each in self._known:
            if hmac.compare_digest(each.digest, digest):
                found = each
        return found

    def named(self, name: str) -> ApiToken | None:
        return next((each for each in self._known if each.name == name), None)

    def __len__(self) -> int:
        return len(self._known)


def read(path: Path) -> tuple[ApiToken, ...]:
    """Raises ConfigurationError, which names the line and shows no secret. A file that holds none
    is a way to take all of them back."""
    try:
        return parse(read_small_file(KEY, path))
    except ValueError as error:
        raise ConfigurationError(f"{KEY} = {path}: {error}") from None


def is_exposed(path: Path) -> bool:
    """Whether others than its owner may read it."""
    try:
        return bool(path.stat().st_mode & 0o077)
    except OSError:
        return False


def parse(text: str) -> tuple[ApiToken, ...]:
    """Raises ValueError."""
    found: list[ApiToken] = []
    for number, written in enumerate(text.split("\n"), 1):
        words = written.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            found.append(_parsed(words, found))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
    if len(found) > TOKENS_MAX:
        raise ValueError(f"{len(found):,} tokens, at most {TOKENS_MAX:,}")
    return tuple(found)


def _parsed(words: list[str], before: list[ApiToken]) -> ApiToken:
    if len(words) != 3 or words[0] not in set(AccessScope):
        raise ValueError("must be `read NAME TOKEN` or `write NAME TOKEN`")
    scope, name, secret = words
    _assert_name(name)
    if not SECRET_CHARS_MIN <= len(secret) <= SECRET_CHARS_MAX or not _SECRET.fullmatch(secret):
        raise ValueError(
            f"the token of {name} must have {SECRET_CHARS_MIN} to {SECRET_CHARS_MAX} printable "
            f"ASCII characters; make one with: presence-runtime token {name} --{scope}"
        )
    made = token(name, AccessScope(scope), secret)
    for other in before:
        if other.name == name:
            raise ValueError(f"{name} is named twice: each token has a name of its own")
        if other.digest == made.digest:
            raise ValueError(f"{other.name} and {name} have the same token")
    return made


def _assert_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise ValueError("a name has 1 to 64 letters, digits and . _ @ + -")
    if name == DEMO:
        raise ValueError(f"the name {DEMO} is the demo's own")


def _digest(secret: str) -> bytes:
    # "surrogateescape": what came in a header may be anything.
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()

"""Sessions: a browser that has shown a token, and needs not show it again. Knows no route.

A session is its cookie: until when, a number of its own, under which name, and a code that only we
can make. The code covers the token, too; so a session survives a restart and ends with its token.
Of those that were signed out only the numbers are kept (`ended_sessions.py`).

    1795000000.<number>.<code>.<name>
"""

from __future__ import annotations

import base64
import hmac
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from actors.web.ended_sessions import NUMBER_BYTES, EndedSessions
from actors.web.identity import AccessScope
from actors.web.tokens import DEMO, ApiToken, Tokens, token
from runtime.counters import Counters

COOKIE: Final = "presence_session"
COOKIES_LOOKED_AT_MAX: Final = 8
"""Another program on the same host may have set some of the same name."""
USED: Final = "one_time_used"
"""The word of our page."""
KEY_FILE: Final = "web.key"
KEY_BYTES: Final = 32
_CODE_CHARS_MAX: Final = 64


class Session(NamedTuple):
    """One that a cookie has shown to be good."""

    holder: ApiToken
    number: str
    until_s: int


class OneTimeToken:
    """Signs one browser in. That it has is written into our page, which outlives us."""

    def __init__(self, secret: str, page: Counters) -> None:
        self.token = token(DEMO, AccessScope.WRITE, secret)
        self._page = page

    def spend(self, secret: str) -> bool:
        """Whether this was it, for the first and only time."""
        is_it = hmac.compare_digest(
            self.token.digest, token(DEMO, AccessScope.WRITE, secret).digest
        )
        if not is_it or self._page.get(USED):
            return False
        self._page.set(USED, 1)  # before anybody is told: twice is never, also if we die here
        return True


class BrowserSessions:
    """Signs browsers in, and knows them again."""

    def __init__(
        self,
        key: bytes,
        tokens: Tokens,
        *,
        lives_s: float,
        one_time: OneTimeToken | None = None,
        ended: EndedSessions | None = None,
    ) -> None:
        self._ended = EndedSessions() if ended is None else ended
        self._key = key
        self._tokens = tokens
        self._lives_s = lives_s
        self._one_time = one_time

    def open(self, secret: str) -> ApiToken | None:
        """Whose secret it is; the one-time token is nobody's ever after."""
        if (found := self._tokens.find(secret)) is not None:
            return found
        return self.spend(secret)

    def spend(self, secret: str) -> ApiToken | None:
        """The one-time token if it is that, and was not used yet."""
        if self._one_time is None or not self._one_time.spend(secret):
            return None
        return self._one_time.token

    def cookie(self, holder: ApiToken, now_s: float, *, is_secure: bool) -> str:
        """The header that signs a browser in."""
        until, number = int(now_s + self._lives_s), secrets.token_hex(NUMBER_BYTES)
        value = f"{until}.{number}.{self._code(holder, until, number)}.{holder.name}"
        return _header(value, int(self._lives_s), is_secure=is_secure)

    def session(self, cookie_header: str, now_s: float) -> Session | None:
        """The first that one of these cookies has opened, and that is not over."""
        return next(self._sessions(cookie_header, now_s), None)

    def holder(self, cookie_header: str, now_s: float) -> ApiToken | None:
        """Who was signed in by one of these cookies."""
        found = self.session(cookie_header, now_s)
        return None if found is None else found.holder

    def sign_out(self, cookie_header: str, now_s: float) -> list[str]:
        """The sessions of these cookies are over, whoever kept a copy. Gives their numbers."""
        found = list(self._sessions(cookie_header, now_s))
        for each in found:
            self._ended.end(each.number, each.until_s, now_s)
        return [each.number for each in found]

    def _sessions(self, cookie_header: str, now_s: float) -> Iterator[Session]:
        for value in _values(cookie_header)[:COOKIES_LOOKED_AT_MAX]:
            parts = value.split(".", 3)
            if (
                len(parts) != 4
                or len(parts[2]) > _CODE_CHARS_MAX
                or len(parts[1]) > _CODE_CHARS_MAX
            ):
                continue
            until, number, code, name = parts
            if not until.isascii() or not until.isdigit() or len(until) > 12:
                continue
            known = self._named(name)
            if known is None or int(until) <= now_s:
                continue
            expected = self._code(known, int(until), number)
            is_ours = hmac.compare_digest(code.encode(), expected.encode())
            if is_ours and not self._ended.has(number, int(until)):
                yield Session(known, number, int(until))

    def _named(self, name: str) -> ApiToken | None:
        if name == DEMO:
            return None if self._one_time is None else self._one_time.token
        return self._tokens.named(name)

    def _code(self, holder: ApiToken, until: int, number: str) -> str:
        told = f"{until}\n{number}\n{holder.scope}\n{holder.name}\n".encode() + holder.digest
        return base64.urlsafe_b64encode(hmac.digest(self._key, told, "sha256")).decode().rstrip("=")


def ended(*, is_secure: bool) -> str:
    """The header that signs a browser out."""
    return _header("", 0, is_secure=is_secure)


def _header(value: str, lives_s: int, *, is_secure: bool) -> str:
    # Strict: no link and no form elsewhere makes a browser send it.
    secure = "; Secure" if is_secure else ""
    return f"{COOKIE}={value}; Max-Age={lives_s}; Path=/; HttpOnly; SameSite=Strict{secure}"


def _values(cookie_header: str) -> list[str]:
    pairs = (each.partition("=") for each in cookie_header.split(";"))
    return [value.strip() for name, _, value in pairs if name.strip() == COOKIE]


def load_key(data_dir: Path) -> bytes:
    """What cookies are signed with; made at the first call. Raises OSError."""
    path = data_dir / KEY_FILE
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        key = b""
    if len(key) == KEY_BYTES:
        return key
    key = secrets.token_bytes(KEY_BYTES)
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, key)
        os.fsync(fd)
    finally:
        os.close(fd)
    new.replace(path)
    return key

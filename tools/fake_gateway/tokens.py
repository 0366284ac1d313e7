"""Tokens: who may do what, until when (protocol.md §1.1). Pure: times are arguments; no HTTP."""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass

NOTIFICATION_SCOPES = frozenset(("notifications:read", "notifications:subscribe"))
PRESENCE_SCOPE, USER_SCOPE = "presence:write", "user:read"
ALL_SCOPES = NOTIFICATION_SCOPES | {PRESENCE_SCOPE, USER_SCOPE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    scopes: frozenset[str]
    expires_s: float


class Tokens:
    """One client, any number of tokens. A token that ran out is told from one that never was."""

    def __init__(
        self, client_id: str, client_secret: str, life_s: float, scopes: frozenset[str] = ALL_SCOPES
    ) -> None:
        self._basic = f"{client_id}:{client_secret}".encode()
        self._life_s = life_s
        self._scopes = scopes
        self._grants: dict[str, Grant] = {}
        self.issued = 0

    def is_client(self, authorization: str) -> bool:
        """Of an `Authorization: Basic …` header."""
        scheme, _, encoded = authorization.partition(" ")
        try:
            said = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            return False
        return scheme.lower() == "basic" and secrets.compare_digest(said, self._basic)

    def issue(self, asked: str, now_s: float) -> tuple[str, Grant]:
        """A token for those of the scopes asked for that the client has; all of them if none."""
        scopes = self._scopes & set(asked.split()) if asked.strip() else self._scopes
        self._grants = {
            token: grant for token, grant in self._grants.items() if grant.expires_s > now_s
        }
        token = secrets.token_urlsafe(24)
        self._grants[token] = Grant(scopes=scopes, expires_s=now_s + self._life_s)
        self.issued += 1
        return token, self._grants[token]

    def grant(self, token: str, now_s: float) -> Grant | None:
        """None: unknown or expired."""
        grant = self._grants.get(token)
        return grant if grant is not None and grant.expires_s > now_s else None

    def rotate(self, client_secret: str) -> None:
        """The client has another secret from now on; its tokens serve until they run out."""
        self._basic = self._basic.partition(b":")[0] + f":{client_secret}".encode()

    def expire_all(self) -> None:
        self._grants.clear()

"""OAuth: the clients of a cloud organisation, their tokens and their budgets (protocol.md §2.1).

Pure: times are arguments. Roles, not scopes, decide what a client may do; here each may do all.
"""

from __future__ import annotations

from dataclasses import dataclass

from tools.fake_gateway.cloud.rate_window import CALLS_MAX, RateWindow
from tools.fake_gateway.tokens import Grant, Tokens

TOKEN_LIFE_S = 86400.0


@dataclass(slots=True, kw_only=True, eq=False)
class OAuthClient:
    number: int
    id: str
    secret: str
    tokens: Tokens
    window: RateWindow


class OAuth:
    def __init__(
        self, count: int, *, token_life_s: float = TOKEN_LIFE_S, calls_max: int = CALLS_MAX
    ) -> None:
        self.clients = tuple(
            _client(number, token_life_s=token_life_s, calls_max=calls_max)
            for number in range(count)
        )

    def client_of(self, authorization: str) -> OAuthClient | None:
        """Of an `Authorization: Basic …` header."""
        return next((one for one in self.clients if one.tokens.is_client(authorization)), None)

    def bearer_of(self, token: str, now_s: float) -> tuple[OAuthClient, Grant] | None:
        """None: unknown or expired."""
        for client in self.clients:
            grant = client.tokens.grant(token, now_s)
            if grant is not None:
                return client, grant
        return None


def _client(number: int, *, token_life_s: float, calls_max: int) -> OAuthClient:
    name, secret = f"fake-client-{number}", f"fake-secret-{number}"
    return OAuthClient(
        number=number,
        id=name,
        secret=secret,
        tokens=Tokens(name, secret, token_life_s),
        window=RateWindow(calls_max),
    )

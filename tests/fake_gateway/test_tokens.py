"""Tokens: scopes, life, and that a secret is compared whole."""

from __future__ import annotations

import base64

from tools.fake_gateway.tokens import ALL_SCOPES, NOTIFICATION_SCOPES, Tokens


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_only_the_client_with_its_secret_is_the_client() -> None:
    tokens = Tokens("id", "secret", 3600)
    assert tokens.is_client(basic("id:secret"))
    for wrong in (basic("id:wrong"), basic("id"), "Bearer x", "Basic %%%", "", basic("id:secret ")):
        assert not tokens.is_client(wrong)


def test_a_token_lives_until_it_expires() -> None:
    tokens = Tokens("id", "secret", life_s=10)
    token, grant = tokens.issue("", now_s=100)
    assert (grant.scopes, grant.expires_s) == (ALL_SCOPES, 110)
    assert tokens.grant(token, now_s=109.9) == grant
    assert tokens.grant(token, now_s=110) is None
    assert tokens.grant("unknown", now_s=100) is None


def test_only_scopes_that_are_asked_for_and_allowed_are_granted() -> None:
    tokens = Tokens("id", "secret", 10, scopes=frozenset(("notifications:read", "user:read")))
    _, grant = tokens.issue("notifications:read notifications:subscribe", now_s=0)
    assert grant.scopes == {"notifications:read"}
    assert not grant.scopes >= NOTIFICATION_SCOPES


def test_all_tokens_can_be_expired_at_once() -> None:
    tokens = Tokens("id", "secret", 10)
    token, _ = tokens.issue("", now_s=0)
    tokens.expire_all()
    assert tokens.grant(token, now_s=0) is None


def test_a_rotated_secret_is_the_only_one_and_tokens_outlive_it() -> None:
    tokens = Tokens("id", "old", 10)
    token, grant = tokens.issue("", now_s=0)
    tokens.rotate("new")
    assert [tokens.is_client(basic(f"id:{secret}")) for secret in ("old", "new")] == [False, True]
    assert tokens.grant(token, now_s=1) == grant

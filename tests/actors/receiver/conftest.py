"""Receivers of tests do not wait before they try again."""

from __future__ import annotations

import pytest

from actors.receiver.line import ReceiverPolicy


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back-off in milliseconds: what it should be is tested in test_session."""

    def hasty(*, attempts_max: int, **_: float) -> ReceiverPolicy:
        return ReceiverPolicy(
            attempts_max=attempts_max,
            backoff_first_s=0.001,
            backoff_most_s=0.002,
            replace_gap_s=0.0,
        )

    monkeypatch.setattr("actors.receiver.loop.ReceiverPolicy", hasty)

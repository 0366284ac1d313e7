"""Answers to a change of presence that are a success in name only: none of them is *done*.

In an interaction the platform may answer 200 with the presence as it was, and the wanted one as
`futurePresenceDefinition`; or the source that was changed is not the primary one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from actors.genesys.cloud_rest import NewPresence
from actors.sender.changing import Changing
from actors.sender.signals import Acknowledged, Signal
from actors.sender.words import LOOP_WORDS
from runtime.clock import SystemClock
from runtime.counters import Counters
from tests.actors.sender.test_changing import patch
from tests.actors.sender.test_cloud_dialect import DEFINITIONS

OLD = {"id": "d-queue", "systemPresence": "On Queue"}
NEW = {"id": "d-meal", "systemPresence": "Meal"}
AT = {"modifiedDate": "2026-11-21T22:00:10.000Z"}
PRIMARY = {"id": "u1", "source": "PURECLOUD", "primary": True}


class Platform:
    """Answers every call so."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self._answer = answer

    async def presence(self, user_id: str) -> Mapping[str, Any]:
        return self._answer

    async def patch_presence(
        self, user_id: str, definition_id: str, message: str | None = None
    ) -> Mapping[str, Any]:
        return self._answer

    async def put_presences(self, presences: Sequence[NewPresence]) -> Sequence[Mapping[str, Any]]:
        return [{**self._answer, "id": each.user_id} for each in presences]


def told(answer: Mapping[str, Any], *users: str) -> list[Signal]:
    """What is said of a change to Meal of each."""
    signals: list[Signal] = []
    changing = Changing(
        Platform(answer),
        tell=signals.append,
        counters=Counters.create("sender", LOOP_WORDS),
        clock=SystemClock(),
        on_no_token=lambda _: None,
        on_doubt=lambda: None,
    )
    asyncio.run(changing.make([patch(user, "Meal") for user in users or ("u1",)], DEFINITIONS))
    return signals


def done(signals: Sequence[Signal]) -> list[Signal]:
    return [each for each in signals if isinstance(each, Acknowledged) and each.success]


def test_the_wanted_presence_of_the_primary_source_is_done() -> None:
    signals = told({**PRIMARY, "presenceDefinition": NEW, **AT})
    assert len(done(signals)) == len(signals) == 1


FUTURE_ANSWER = {"presenceDefinition": OLD, "futurePresenceDefinition": NEW, **AT}
NOT_DONE = [
    pytest.param({**PRIMARY, **FUTURE_ANSWER}, id="future presence"),
    pytest.param({**PRIMARY, "presenceDefinition": OLD, **AT}, id="old presence"),
    pytest.param(
        {**PRIMARY, "primary": False, "presenceDefinition": NEW, **AT}, id="source not primary"
    ),
    pytest.param({"id": "u1", "presenceDefinition": NEW}, id="no date"),
]


@pytest.mark.parametrize("answer", NOT_DONE)
def test_any_other_answer_is_not(answer: Mapping[str, Any]) -> None:
    signals = told(answer)
    assert signals, "each change is told of"
    assert done(signals) == []


def test_a_future_presence_in_a_bulk_is_not_either() -> None:
    signals = told(FUTURE_ANSWER, "u1", "u2")
    assert len(signals) == 2
    assert done(signals) == []

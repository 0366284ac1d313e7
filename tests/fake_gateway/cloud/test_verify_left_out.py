"""Verification of who was left out, and of what was refused or damaged: what may be kept of it
passes, and what a runtime must not make of it is found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fake_gateway.cloud.scene import Scene
from tools.fake_gateway.cloud.definitions import (
    IDLE,
    INTERACTING,
    OFF_QUEUE,
    OFFLINE,
    ON_QUEUE,
)


def leave_out_for_good(scene: Scene) -> None:
    agents = [0, 1, 2]
    scene.line("topics", channel=1, client=0, agents=agents, masks=[1] * len(agents))


def test_whoever_was_always_there_is_watched_at_the_end(scene: Scene) -> None:
    leave_out_for_good(scene)
    assert scene.found() == {"state_mismatches"}


@pytest.mark.parametrize(
    "goes",
    [
        lambda scene: scene.organisation.set_state(3, "deleted", 0),
        lambda scene: scene.varied("page-shift", agent=3, how="on none"),
    ],
)
def test_whoever_was_away_may_be_left_out(scene: Scene, goes: Callable[[Scene], None]) -> None:
    goes(scene)
    leave_out_for_good(scene)
    assert scene.found() == set(), scene.result["examples"]


def lose_the_channel(scene: Scene) -> None:
    scene.line("closed", channel=1, socket=1, reason="result 410")
    scene.line("topics", channel=2, client=0, agents=[0, 1, 2], masks=[1] * 3)
    scene.line("opened", channel=2, socket=2)
    scene.happens(3, ON_QUEUE, IDLE)
    scene.happens(3, ON_QUEUE, INTERACTING)
    scene.line("topics", channel=2, client=0, agents=[0, 1, 2, 3], masks=[1] * 4)
    scene.keep(3, cause="history")


def test_whose_topic_was_refused_as_invalid_misses_nothing_until_it_is_taken(scene: Scene) -> None:
    scene.organisation.set_state(3, "deleted", 0)
    scene.varied("invalid-topic", agent=3, topics=4)
    lose_the_channel(scene)
    scene.happens(3, OFFLINE, OFF_QUEUE)
    scene.keep(3)
    assert scene.found() == set(), scene.result["examples"]


def test_whose_topic_was_left_out_without_a_refusal_has_missed_what_happened(scene: Scene) -> None:
    lose_the_channel(scene)
    scene.happens(3, OFFLINE, OFF_QUEUE)
    scene.keep(3)
    assert scene.found() == {"lost"}


def test_queues_that_could_not_be_read_are_not_asked_for(scene: Scene) -> None:
    at_ms = scene.happens(1, ON_QUEUE, INTERACTING)
    scene.varied("odd-part", agent=1, at_ms=at_ms, part="activeQueueIds")
    scene.keep(1).queue = None
    scene.happens(2, ON_QUEUE, INTERACTING)
    scene.keep(2)
    assert scene.found() == set(), scene.result["examples"]


def test_an_id_in_another_case_is_the_same_agent_and_never_a_second_one(scene: Scene) -> None:
    for row in scene.rows:
        row.user = row.user.upper() if row.user == scene.users[1] else row.user
    scene.users = tuple(user.upper() if n == 1 else user for n, user in enumerate(scene.users))
    assert scene.found() == set(), scene.result["examples"]


# Texts


def test_a_broken_message_is_held_in_any_form_but_no_other_message_is(scene: Scene) -> None:
    for agent in range(scene.agents):
        scene.varied("broken-message", agent=agent, at_ms=0)
    assert scene.found(message="\N{REPLACEMENT CHARACTER}") == set(), scene.result["examples"]


def test_another_message_than_the_one_told_is_found(scene: Scene) -> None:
    assert scene.found(message="\N{REPLACEMENT CHARACTER}") == {"state_mismatches"}

"""The verdict on queues: what a page showed of them is held against who is a member of which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.fake_gateway.cloud.scene import Scene
from tools.fake_gateway.cloud.expectation import CloudExpectation, fact_of
from tools.fake_gateway.cloud.queue_verifier import KIND, QueueVerifier
from tools.fake_gateway.findings import Findings

AGENTS = 200
Shown = dict[str, Any]


@pytest.fixture
def scene(tmp_path: Any) -> Scene:
    return Scene(tmp_path, agents=AGENTS)


def counted(agents: list[list[Any]]) -> list[Shown]:
    """As a page counts those whom it shows."""
    by_queue: dict[str, Counter[str]] = {}
    for _, state, queues in agents:
        for queue in queues:
            by_queue.setdefault(queue, Counter())[state] += 1
    return [
        {"id": queue, "agents": states.total(), "by_state": dict(states)}
        for queue, states in by_queue.items()
    ]


def shown_by(scene: Scene, leaving_out: int = 0) -> list[list[Any]]:
    """What is right, by the organisation itself."""
    organisation, script = scene.organisation, scene.organisation.script
    members = {
        script.users[agent]: [
            queue
            for number, queue in enumerate(script.queues)
            if agent in organisation.queue_members(number)
        ]
        for agent in range(leaving_out, AGENTS)
    }
    shown = []
    for user, queues in members.items():
        held = organisation.activity.held(organisation.agents[user])
        shown.append([user, fact_of(held.presence, held.routing).state, queues])
    return shown


def found(scene: Scene, agents: list[list[Any]], **more: Any) -> set[str]:
    """What was found, in words."""
    scene.ledger.close()
    findings = Findings((KIND,))
    verifier = QueueVerifier(CloudExpectation(scene.directory / "ledger"), findings)
    verifier.check({"queues": counted(agents), "agents": agents, "unknown": 0, **more})
    assert bool(findings.counts[KIND]) == bool(findings.examples[KIND])
    return {each["what"] for each in findings.examples[KIND]}


def test_each_agent_in_each_queue_that_it_is_a_member_of_is_right(scene: Scene) -> None:
    agents = shown_by(scene)
    assert {len(queues) for _, _, queues in agents} == {2}
    assert found(scene, agents) == set()


def test_whoever_is_not_watched_is_not_asked_for(scene: Scene) -> None:
    assert found(scene, shown_by(scene, leaving_out=50)) == set()


def test_an_agent_whose_queues_are_unknown_at_the_end_is_found(scene: Scene) -> None:
    assert found(scene, shown_by(scene), unknown=1) == {
        "agents whose queues are not known at the end"
    }


def one_queue_each(agents: list[list[Any]]) -> None:
    for each in agents:
        del each[2][1:]


def one_too_many(agents: list[list[Any]]) -> None:
    agents[0][2].append(next(q for _, _, queues in agents for q in queues if q not in agents[0][2]))


def none(agents: list[list[Any]]) -> None:
    agents[0][2].clear()


@pytest.mark.parametrize("spoil", [one_queue_each, one_too_many, none])
def test_an_agent_that_counts_in_other_queues_is_found(
    scene: Scene, spoil: Callable[[list[list[Any]]], None]
) -> None:
    agents = shown_by(scene)
    spoil(agents)
    assert "counts of a queue" in found(scene, agents)


def test_an_available_agent_that_is_none_is_found(scene: Scene) -> None:
    agents = shown_by(scene)
    next(each for each in agents if each[1] != "Available")[1] = "Available"
    assert found(scene, agents) == {"state of an agent as shown", "counts of a queue"}


def test_counts_that_do_not_agree_with_the_agents_are_found(scene: Scene) -> None:
    agents = shown_by(scene)
    first = counted([[user, state, queues[:1]] for user, state, queues in agents])
    assert found(scene, agents, queues=first) == {"counts of a queue"}


def test_of_whoever_was_inactive_for_a_while_nothing_is_asked(scene: Scene) -> None:
    scene.organisation.set_state(7, "inactive", 0)
    scene.organisation.set_state(7, "active", 0)
    agents = shown_by(scene)
    agents[7][1:] = ["Available", []]
    assert found(scene, agents) == set()

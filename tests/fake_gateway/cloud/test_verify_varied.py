"""Verification of what was told otherwise than it happened: a ledger and rows by hand. What may be
kept of it passes, and what a runtime must not make of it is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from tests.fake_gateway.cloud.keeper import Held, Keeper, Row
from tools.fake_gateway.cloud.definitions import (
    AVAILABLE,
    DEFINITIONS,
    IDLE,
    INTERACTING,
    OFF_QUEUE,
    OFFLINE,
    ON_QUEUE,
    ROUTING_STATUSES,
)
from tools.fake_gateway.cloud.expectation import CloudExpectation, fact_of
from tools.fake_gateway.cloud.organisation import CloudOrganisation
from tools.fake_gateway.findings import KINDS
from tools.fake_gateway.ledger import Ledger
from tools.fake_gateway.script import ScriptSettings
from tools.fake_gateway.verify import verify

ORIGIN_MS = 1_790_000_000_000
HOUR_US = 3600 * 1_000_000
MEAL = 6


@dataclass
class Scene:
    """A gateway's ledger as it is written, and what a runtime keeps of it, one row after the other:
    one channel, whose socket stands to the end."""

    directory: Path
    agents: int = 4
    now_ms: int = ORIGIN_MS
    rows: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.directory / "ledger")
        script = ScriptSettings(seed=7, agents=self.agents, origin_ms=ORIGIN_MS, quiet_every=0)
        self.organisation = CloudOrganisation(script, self.ledger)
        self.users = self.organisation.script.users
        self.ledger.write("variations", names=["tie", "deaf"])
        self.topics()
        self.line("opened", channel=1, socket=1)
        for agent in range(self.agents):
            self.keep(agent, cause="history")

    def line(self, kind: str, **more: Any) -> None:
        head = self.organisation.activity.head
        self.ledger.write(kind, **{"head": head, "at_us": self.now_ms * 1000, **more})

    def topics(self) -> None:
        agents = list(range(self.agents))
        self.line("topics", channel=1, client=0, agents=agents, masks=[1] * len(agents))

    def varied(self, what: str, **more: Any) -> None:
        self.ledger.write("varied", what=what, **more, on_us=self.now_ms * 1000)

    def happens(self, agent: int, presence: int, routing: int) -> int:
        """An event; its time in ms."""
        self.now_ms += 1000
        now_ns = self.now_ms * 1_000_000
        return self.organisation.change(
            agent, now_ns, by="walk", presence=presence, routing=routing
        )

    def keep(
        self,
        agent: int,
        *,
        cause: str = "live",
        at_us: int | None = None,
        told: tuple[int, int] | None = None,
    ) -> Row:
        """How the agent stands, or how it was told."""
        held = self.organisation.activity.held(agent)
        presence, routing = told or (held.presence, held.routing)
        fact = fact_of(presence, routing)
        newest_us = max(held.presence_ms, held.routing_ms) * 1000
        script = self.organisation.script
        queue = script.queues[script.homes[agent]] if cause == "live" else None
        row = Row(
            self.users[agent],
            fact.state,
            newest_us if at_us is None else at_us,
            queue,
            fact.presences[0],
            cause,
        )
        self.rows.append(row)
        return row

    def found(self, **natives: Any) -> set[str]:
        """The kinds of finding, when it has ended. `natives`: what is held of all otherwise."""
        self.ledger.close()
        keeper = Keeper(cast("Any", None), list(self.users))  # the gateway has ended
        keeper.rows = list(self.rows)
        for agent, user in enumerate(self.users):
            held, kept = self.organisation.activity.held(agent), Held()
            kept.presence_us, kept.routing_us = held.presence_ms * 1000, held.routing_ms * 1000
            definition = DEFINITIONS[held.presence]
            kept.presence = definition.event_presence.replace("_", "")
            kept.definition, kept.message = definition.id, held.message
            kept.routing = ROUTING_STATUSES[held.routing]
            kept.away = (held.is_away, held.away_ms * 1000)
            for name, value in natives.items():
                setattr(kept, name, value)
            keeper.held[user] = kept
        count = sum(row.cause != "roster" for row in self.rows)  # what it shows is not received
        keeper.counts["received"] = keeper.counts["applied"] = count
        keeper.counts["late"] = sum(row.cause == "late" for row in self.rows)
        keeper.counts["applied"] -= keeper.counts["late"]
        data = keeper.write(self.directory / "data")
        self.result = verify(self.directory / "ledger", data, to_newest=True)
        return {kind for kind in KINDS if self.result[kind]}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_what_varies_is_told_with_its_counts(scene: Scene) -> None:
    scene.varied("large-entity", agent=1)
    scene.ledger.refused("rest", 429, 0)
    scene.ledger.refused("rest", 503, 0)
    assert scene.found() == set(), scene.result["examples"]
    assert scene.result["variations"] == {"tie": 0, "deaf": 0, "large-entity": 1}
    assert (scene.result["injected_429"], scene.result["over_budget"]) == (1, 0)


# Ties


def tied(scene: Scene) -> tuple[int, int]:
    """Two changes in one millisecond, of which the last one sent makes the agent offline."""
    at_ms = scene.happens(1, OFFLINE, OFF_QUEUE)
    before = (ON_QUEUE, INTERACTING)
    scene.varied("tie", agent=1, at_ms=at_ms, presence=before[0], routing=before[1])
    return before


@pytest.mark.parametrize("is_first_kept", [True, False])
def test_of_a_tie_the_last_one_sent_holds(scene: Scene, is_first_kept: bool) -> None:
    before = tied(scene)
    if is_first_kept:
        scene.keep(1, told=before)
    scene.keep(1)
    assert scene.found() == set(), scene.result["examples"]


def test_a_tie_whose_last_one_is_ignored_is_found(scene: Scene) -> None:
    scene.keep(1, told=tied(scene))
    assert "state_mismatches" in scene.found()


def test_a_tie_whose_first_one_comes_back_is_found(scene: Scene) -> None:
    before = tied(scene)
    scene.keep(1)
    scene.keep(1, told=before)
    assert scene.found() >= {"duplicate_effects"}


def test_a_tie_is_kept_twice_at_most(scene: Scene) -> None:
    before = tied(scene)
    scene.keep(1, told=before)
    scene.keep(1)
    scene.keep(1)
    assert scene.found() == {"duplicate_effects"}


def copied(patch: pytest.MonkeyPatch) -> None:
    """Every event's frame is sent twice, as under faults; what varies is the second one."""
    begin = CloudExpectation.__init__

    def patched(self: CloudExpectation, ledger: Path) -> None:
        begin(self, ledger)
        self.copied.update(range(self.head))

    patch.setattr(CloudExpectation, "__init__", patched)


@pytest.mark.parametrize("is_event_kept", [True, False])
def test_of_a_tie_in_a_second_frame_the_event_holds_again(
    is_event_kept: bool, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied(monkeypatch)
    before = tied(scene)
    scene.keep(1)
    scene.keep(1, told=before)
    if is_event_kept:
        scene.keep(1)
    assert ("state_mismatches" in scene.found()) is not is_event_kept, scene.result["examples"]


@pytest.mark.parametrize(("rows", "found"), [(1, set()), (2, {"phantom"})])
def test_a_second_frame_may_bear_another_time_once(
    rows: int, found: set[str], scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied(monkeypatch)
    at_ms = scene.happens(2, ON_QUEUE, INTERACTING)
    scene.varied("odd-time", agent=2, at_ms=at_ms, form="ahead")
    scene.keep(2)
    for row in range(1, rows + 1):
        scene.keep(2, at_us=at_ms * 1000 + row * HOUR_US)
    scene.happens(2, AVAILABLE, OFF_QUEUE)
    scene.keep(2)
    assert scene.found() == found, scene.result["examples"]


# Times


def test_an_event_without_its_time_is_kept_at_any(scene: Scene) -> None:
    at_ms = scene.happens(2, ON_QUEUE, INTERACTING)
    scene.varied("odd-time", agent=2, at_ms=at_ms, form="missing")
    scene.keep(2, at_us=at_ms * 1000 + 77)
    scene.happens(2, AVAILABLE, OFF_QUEUE)
    scene.keep(2)
    assert scene.found() == set(), scene.result["examples"]


def test_an_event_that_was_ignored_for_its_time_is_lost(scene: Scene) -> None:
    at_ms = scene.happens(2, ON_QUEUE, INTERACTING)
    scene.varied("odd-time", agent=2, at_ms=at_ms, form="missing")
    scene.happens(2, AVAILABLE, OFF_QUEUE)
    scene.keep(2)
    assert scene.found() == {"lost"}


def test_whoever_calls_late_what_follows_a_time_ahead_is_found(scene: Scene) -> None:
    at_ms = scene.happens(2, ON_QUEUE, INTERACTING)
    scene.varied("odd-time", agent=2, at_ms=at_ms, form="ahead")
    scene.keep(2, at_us=at_ms * 1000 + HOUR_US)
    scene.happens(2, AVAILABLE, OFF_QUEUE)
    scene.keep(2, cause="late")
    assert "state_mismatches" in scene.found()


def test_a_row_at_another_time_needs_a_reason(scene: Scene) -> None:
    scene.happens(2, ON_QUEUE, INTERACTING)
    scene.keep(2, at_us=scene.now_ms * 1000 + 77)
    assert "phantom" in scene.found()


# Parts


def test_an_answer_that_tells_a_part_may_leave_a_mixture_until_the_rest_is_told(
    scene: Scene,
) -> None:
    """Idle as of now, on queue as of before."""
    scene.happens(3, ON_QUEUE, INTERACTING)
    scene.keep(3)
    scene.varied("presence-left-out", agent=3)
    scene.varied("deaf", channel=1, agents=[3], head=scene.organisation.activity.head)
    scene.happens(3, MEAL, IDLE)
    scene.keep(3, cause="history", told=(ON_QUEUE, IDLE))
    scene.keep(3, cause="history")
    assert scene.found() == set(), scene.result["examples"]


def test_a_mixture_that_stays_is_found(scene: Scene) -> None:
    scene.happens(3, ON_QUEUE, INTERACTING)
    scene.keep(3)
    scene.varied("presence-left-out", agent=3)
    scene.varied("deaf", channel=1, agents=[3], head=scene.organisation.activity.head)
    scene.happens(3, MEAL, IDLE)
    scene.keep(3, cause="history", told=(ON_QUEUE, IDLE))
    assert scene.found() == {"state_mismatches"}


def test_a_part_that_nobody_told_is_found_where_nothing_was_left_out(scene: Scene) -> None:
    scene.happens(3, ON_QUEUE, INTERACTING)
    scene.keep(3)
    scene.varied("deaf", channel=1, agents=[3], head=scene.organisation.activity.head)
    scene.happens(3, MEAL, IDLE)
    scene.keep(3, cause="history", told=(ON_QUEUE, IDLE))
    scene.keep(3, cause="history")
    assert "state_mismatches" in scene.found()


def test_an_event_of_which_one_part_cannot_be_read_leaves_that_part_as_it_was_held(
    scene: Scene,
) -> None:
    scene.happens(3, ON_QUEUE, INTERACTING)
    scene.keep(3)
    scene.varied("deaf", channel=1, agents=[3], head=scene.organisation.activity.head)
    scene.happens(3, ON_QUEUE, IDLE)
    scene.topics()
    at_ms = scene.happens(3, MEAL, IDLE)
    scene.varied("odd-part", agent=3, at_ms=at_ms, part="routingStatus")
    scene.keep(3, told=(MEAL, INTERACTING))
    scene.happens(3, OFFLINE, OFF_QUEUE)
    scene.keep(3)
    assert scene.found() == set(), scene.result["examples"]


def test_an_event_of_which_one_part_cannot_be_read_is_not_lost(scene: Scene) -> None:
    at_ms = scene.happens(3, MEAL, IDLE)
    scene.varied("odd-part", agent=3, at_ms=at_ms, part="routingStatus")
    scene.happens(3, OFFLINE, OFF_QUEUE)
    scene.keep(3)
    assert scene.found() == {"lost"}


def test_a_roster_may_prove_one_part_alone(scene: Scene) -> None:
    scene.happens(3, OFFLINE, OFF_QUEUE)
    scene.keep(3)
    scene.varied("deaf", channel=1, agents=[3], head=scene.organisation.activity.head)
    scene.happens(3, ON_QUEUE, IDLE)
    scene.keep(3, cause="roster", told=(ON_QUEUE, OFF_QUEUE))
    scene.happens(3, ON_QUEUE, INTERACTING)
    scene.keep(3, cause="roster")
    assert scene.found() == set(), scene.result["examples"]


def test_an_answer_may_repeat_what_is_held_beside_something_that_no_call_dates(
    scene: Scene,
) -> None:
    scene.happens(3, ON_QUEUE, INTERACTING)
    scene.keep(3)
    scene.keep(3, cause="history", at_us=scene.now_ms * 1000 - 7)
    assert scene.found() == set(), scene.result["examples"]


# Topics lost without a word


def test_events_of_lost_topics_need_no_rows_but_the_state_must_come_right(scene: Scene) -> None:
    scene.varied("deaf", channel=1, agents=[0, 2], head=0)
    scene.happens(0, ON_QUEUE, INTERACTING)
    scene.happens(0, OFFLINE, OFF_QUEUE)
    scene.keep(0, cause="history")
    assert scene.found() == set(), scene.result["examples"]
    assert scene.result["deaf"] == 1


def test_whoever_is_never_told_of_lost_topics_is_wrong_at_the_end(scene: Scene) -> None:
    scene.varied("deaf", channel=1, agents=[0], head=0)
    scene.happens(0, ON_QUEUE, INTERACTING)
    assert scene.found() == {"state_mismatches"}


def test_topics_that_are_subscribed_anew_are_heard_again(scene: Scene) -> None:
    scene.varied("deaf", channel=1, agents=[0], head=0)
    scene.topics()
    scene.happens(0, ON_QUEUE, INTERACTING)
    scene.happens(0, OFFLINE, OFF_QUEUE)
    scene.keep(0)
    assert scene.found() == {"lost"}


# People


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

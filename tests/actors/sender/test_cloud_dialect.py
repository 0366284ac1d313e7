"""The rule of the cloud dialect: any change but to what is held, and what a change is known by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from actors.genesys.definitions import Definition, Definitions
from actors.messages.queries import AgentRecord
from actors.sender.cloud_dialect import CloudDialect, changed_since, shown_as
from actors.sender.commands import Code, Command, CommandStep, Refusal
from actors.sender.signals import Acknowledged, Patch, StatesKnown
from actors.sender.transitions import AgentStatus
from actors.settings.sender import SenderSettings

AT_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z


def entity(id_: str, presence: str, kind: str = "System", **labels: str) -> dict[str, Any]:
    return {"id": id_, "type": kind, "systemPresence": presence, "languageLabels": labels}


DEFINITIONS = Definitions(
    [
        entity("d-available", "Available", en_US="Available", de="Verfügbar"),
        entity("d-queue", "OnQueue", en_US="On Queue", de="In Warteschlange"),
        entity("d-meal", "Meal", en_US="Meal", de="Mahlzeit"),
        entity("d-break", "Break", en_US="Break", de="Pause"),
        entity("d-coffee", "Break", "User", en_US="Coffee", de="Kaffee"),
        entity("d-old", "Meal", "User", en_US="Old Lunch") | {"deactivated": True},
    ]
)
COMMAND = Command(
    id="c1", key="c1", who="uid:1", user_id="ann", to_state="Meal", reason="", expected=None,
    forced=False, step=CommandStep.ACCEPTED, code="", detail="", held=None, queue=None, tries=0,
    accepted_us=AT_US, first_sent_us=None, last_sent_us=None, acknowledged_us=None,
    confirmed_us=None, ended_us=None,
)  # fmt: skip
ON_QUEUE = AgentRecord(1, "ann", "Available", "available", "q1", AT_US, None, "d-queue", "IDLE")


def dialect(**settings: Any) -> CloudDialect:
    made = CloudDialect(SenderSettings(**settings))
    made.learn(StatesKnown(DEFINITIONS))
    return made


@pytest.mark.parametrize("text", ["Meal", "meal", " MAHLZEIT ", "d-meal", "D-MEAL"])
def test_a_presence_is_named_by_its_name_a_label_or_its_id(text: str) -> None:
    command = replace(COMMAND, to_state=text)
    assert dialect().malformed(command) is None
    assert dialect().judge(command, ON_QUEUE) == AgentStatus("On Queue", "q1", ())


def test_what_names_no_presence_is_refused_by_name() -> None:
    wrong = {
        "Lunch": "unknown presence definition 'Lunch'",
        "Old Lunch": "the presence definition 'Old Lunch' is deactivated",
        "d-old": "the presence definition 'd-old' is deactivated",
        "  ": "the name of a presence must have 1 to 200 characters",
        "x" * 201: "the name of a presence must have 1 to 200 characters",
    }
    for text, why in wrong.items():
        for command in (replace(COMMAND, to_state=text), replace(COMMAND, expected=text)):
            refusal = dialect().malformed(command)
            assert refusal is not None
            assert refusal.code is Code.NO_SUCH_STATE
            assert refusal.detail.startswith(why)
            assert dialect().judge(command, ON_QUEUE) == refusal, "accepted before it was known"


def test_a_reason_has_no_more_characters_than_a_message() -> None:
    assert dialect().malformed(replace(COMMAND, reason="x" * 250)) is None
    refusal = dialect().malformed(replace(COMMAND, reason="x" * 251))
    assert refusal == Refusal(
        Code.REASON_TOO_LONG, "the reason is too long: 251 characters, at most 250"
    )


def test_any_change_is_allowed_but_to_the_presence_that_is_held() -> None:
    ids = ["d-available", "d-queue", "d-meal", "d-break", "d-coffee"]
    for held in ids:
        told = ON_QUEUE._replace(definition=held.upper())
        for wanted in ids:
            judged = dialect().judge(replace(COMMAND, to_state=wanted), told)
            assert isinstance(judged, Refusal) == (held == wanted), (held, wanted)
    judged = dialect().judge(COMMAND, ON_QUEUE._replace(definition="d-meal"))
    assert judged == Refusal(Code.TRANSITION, "the agent is already in Meal")
    forced = dialect().judge(replace(COMMAND, forced=True), ON_QUEUE._replace(definition="d-meal"))
    assert forced == AgentStatus("Meal", "q1", ("the agent is already in Meal",))


@pytest.mark.parametrize(
    ("routing", "state", "needs_force"),
    [
        ("INTERACTING", "Talking", True),
        ("COMMUNICATING", "Talking", False),
        ("NOT_RESPONDING", "Not Available", False),
        ("OFF_QUEUE", "Not Available", False),
        (None, "Talking", True),
        (None, "Available", False),
    ],
)
def test_who_is_in_an_interaction_is_moved_by_force_only(
    routing: str | None, state: str, needs_force: bool
) -> None:
    told = ON_QUEUE._replace(routing=routing, state=state)
    judged = dialect().judge(COMMAND, told)
    why = "the agent is in an interaction; use force to change the presence anyway"
    assert judged == (
        Refusal(Code.TRANSITION, why) if needs_force else AgentStatus("On Queue", "q1", ())
    )
    forced = dialect().judge(replace(COMMAND, forced=True), told)
    assert forced == AgentStatus("On Queue", "q1", (why,) if needs_force else ())


def test_settings_may_allow_less_and_name_presences_as_people_do() -> None:
    table = {"On Queue": ("Pause", "d-coffee"), "Mahlzeit": ()}
    strict = dialect(cloud_transitions=table)
    to_break = replace(COMMAND, to_state="Break")
    assert isinstance(strict.judge(to_break, ON_QUEUE), AgentStatus)
    assert isinstance(strict.judge(replace(COMMAND, to_state="Kaffee"), ON_QUEUE), AgentStatus)
    why = "transition from On Queue to Meal is not allowed; allowed from On Queue: Pause, d-coffee"
    assert strict.judge(COMMAND, ON_QUEUE) == Refusal(Code.TRANSITION, why)
    why = "transition from Meal to Break is not allowed; allowed from Meal: none"
    at_meal = ON_QUEUE._replace(definition="d-meal")
    assert strict.judge(to_break, at_meal) == Refusal(Code.TRANSITION, why)
    assert isinstance(strict.judge(COMMAND, ON_QUEUE._replace(definition="d-break")), AgentStatus)


def test_a_pin_names_a_presence_too_and_force_does_not_override_it() -> None:
    for pin in ("On Queue", "on_queue", "In Warteschlange", "d-queue"):
        assert isinstance(dialect().judge(replace(COMMAND, expected=pin), ON_QUEUE), AgentStatus)
    pinned = replace(COMMAND, expected="Break", forced=True)
    why = "expected Break, but the agent's presence is "
    assert dialect().judge(pinned, ON_QUEUE) == Refusal(Code.NOT_AS_EXPECTED, why + "On Queue")
    unknown = ON_QUEUE._replace(definition=None, presence=None)
    assert dialect().judge(pinned, unknown) == Refusal(Code.NOT_AS_EXPECTED, why + "unknown")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"state": None, "presence": None, "definition": None}, Code.NEVER_SEEN),
        ({"stale_since_us": 0}, Code.STALE),
        ({"stale_since_us": AT_US}, Code.STALE),
        ({"state": "Unknown"}, Code.UNKNOWN_AGENT_STATE),
        ({"definition": None, "presence": None}, Code.UNKNOWN_AGENT_STATE),
    ],
)
def test_whose_state_is_not_known_is_changed_by_force_only(
    fields: dict[str, Any], code: Code
) -> None:
    told = ON_QUEUE._replace(**fields)
    refusal = dialect().judge(COMMAND, told)
    assert isinstance(refusal, Refusal)
    assert refusal.code is code
    forced = dialect().judge(replace(COMMAND, forced=True), told)
    assert isinstance(forced, AgentStatus)
    assert forced.overridden == (refusal.detail,)


def test_whoever_is_on_queue_leaves_it_for_anything_else() -> None:
    knowing, unknowing = dialect(), CloudDialect(SenderSettings())
    for each in (knowing, unknowing):
        assert each.leaves("On Queue", "Meal")
        assert not each.leaves("On Queue", "on queue")
        assert not each.leaves("Break", "Meal")
        assert not each.leaves(None, "Meal")
    assert not knowing.leaves("On Queue", "In Warteschlange")
    assert unknowing.leaves("On Queue", "In Warteschlange"), "one too many, never one too few"


def test_only_an_acknowledged_command_says_by_what_it_is_shown() -> None:
    acknowledged = replace(COMMAND, step=CommandStep.ACKNOWLEDGED, detail="presence@17")
    assert dialect().awaited(acknowledged) == "presence@17"
    in_a_bulk = replace(acknowledged, detail="presence@17 in a bulk of 9")
    assert dialect().awaited(in_a_bulk) == "presence@17"
    assert dialect().awaited(replace(acknowledged, detail="")) is None
    assert dialect().awaited(replace(acknowledged, step=CommandStep.SENT)) is None


def test_a_try_behind_one_that_may_have_taken_says_since_when() -> None:
    sent = replace(COMMAND, reason="lunch", first_sent_us=AT_US)
    assert dialect().change(sent, 3, is_in_doubt=False) == Patch(
        3, "c1", "ann", "Meal", "lunch", None
    )
    assert dialect().change(sent, 3, is_in_doubt=True) == Patch(
        3, "c1", "ann", "Meal", "lunch", AT_US
    )


@pytest.mark.parametrize(
    ("modified", "name"),
    [
        ("2026-01-01T00:00:17Z", "presence@1767225617000000"),
        ("2026-01-01T00:00:17.067Z", "presence@1767225617067000"),
        ("yesterday", ""),
        (None, ""),
    ],
)
def test_a_change_is_known_by_its_modified_date_in_microseconds(
    modified: str | None, name: str
) -> None:
    assert shown_as({"modifiedDate": modified}) == name


@pytest.mark.parametrize(
    ("definition", "modified", "why"),
    [
        ("d-break", "2026-01-01T00:00:01Z", "the agent was changed to BREAK at "),
        ("d-break", "2025-12-31T23:59:59Z", "the agent was changed to BREAK at "),  # clocks differ
        ("d-break", "2025-12-31T23:59:57Z", ""),  # it has stood there since before
        ("D-MEAL", "2026-01-01T00:00:01Z", "by this command or manually"),
        ("D-MEAL", "2025-12-31T23:59:57Z", ""),
        (None, "2026-01-01T00:00:01Z", "the agent was changed to BREAK at "),
        ("d-break", "odd", ""),
    ],
)
def test_only_what_is_as_it_was_before_may_be_changed_again(
    definition: str | None, modified: str, why: str
) -> None:
    meal = DEFINITIONS.meant("Meal")
    assert isinstance(meal, Definition)
    presence = {
        "presenceDefinition": {"id": definition, "systemPresence": "Break"},
        "modifiedDate": modified,
    }
    said = changed_since(presence, meal, AT_US)
    assert why in said
    assert bool(said) == bool(why)
    assert changed_since({"modifiedDate": "2026-01-01T00:00:01Z"}, meal, AT_US).startswith(
        "the agent was changed to another presence at 2026-01-01T00:00:01.000Z"
    )


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (400, Code.BAD_REQUEST, "malformed"),
        (401, Code.UNAUTHORISED, "token"),
        (403, Code.SCOPE, "presence:userPresence:edit"),
        (404, Code.NO_SUCH_USER, "does not know this user"),
        (429, Code.GATEWAY_RATE, "limits the rate"),
        (409, Code.NOT_AS_EXPECTED, "changed since"),
    ],
)
def test_every_refusal_of_the_platform_has_its_code(status: int, code: Code, words: str) -> None:
    said = "changed since" if status == 409 else "so it is"
    refusal = dialect().refusal_of(Acknowledged("c1", False, status, "", said, None))
    assert refusal.code is code
    assert words in refusal.detail
    assert said in refusal.detail

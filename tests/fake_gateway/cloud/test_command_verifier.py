"""A sender's commands against the presences that calls have changed: a run by hand, in which each
test breaks one thing and sees it found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
import orjson
import pytest

from tests.fake_gateway.sent import SCHEMA, Command, link, sha256
from tools.fake_gateway.cloud.command_verifier import CloudCommandVerifier, meant
from tools.fake_gateway.cloud.definitions import DEFINITIONS
from tools.fake_gateway.cloud.expectation import CloudExpectation
from tools.fake_gateway.cloud.organisation import CloudOrganisation
from tools.fake_gateway.ledger import Ledger
from tools.fake_gateway.script import ScriptSettings
from tools.fake_gateway.sender_store import open_store

ORIGIN_MS = 1_790_000_000_000
S = 1_000_000
SENT_US = (ORIGIN_MS + 10_000) * 1000
WAY = ("accepted", "validated", "admitted", "sent")


@dataclass
class Run:
    """A ledger that is being written, and a sender's commands; `shown`: by command, in µs."""

    organisation: CloudOrganisation
    ledger: Ledger
    commands: list[Command] = field(default_factory=list)
    shown: dict[str, int] = field(default_factory=dict)

    def order(self, agent: int, state: str, *steps: str, **more: Any) -> Command:
        number = len(self.commands) + 1
        command = Command(
            f"{number:08x}-0000-4000-8000-000000000000",
            self.organisation.script.users[agent],
            state,
            [*WAY, *steps],
            first_sent_us=SENT_US + number * S,
            **more,
        )
        self.commands.append(command)
        return command

    def change(self, agent: int, label: str, after_us: int, by: str = "client 0") -> int:
        """As a call does it; its modifiedDate in µs."""
        presence = [one.label for one in DEFINITIONS].index(label)
        now_ns = after_us * 1000
        return self.organisation.change(agent, now_ns, by=by, presence=presence) * 1000

    def succeed(self, agent: int, state: str, label: str) -> Command:
        command = self.order(agent, state, "acknowledged", "confirmed")
        assert command.first_sent_us is not None
        command.acknowledged_us = command.first_sent_us + 5_000
        self.shown[command.id] = self.change(agent, label, command.first_sent_us + 2_000)
        return command

    def verified(self, directory: Path) -> dict[str, Any] | None:
        self.ledger.close()
        data = directory / "data"
        data.mkdir()
        self._write(data / "sender.db")
        return CloudCommandVerifier(
            CloudExpectation(directory / "ledger"), open_store(data)
        ).verify()

    def _write(self, path: Path) -> None:
        connection = apsw.Connection(str(path))
        connection.pragma("synchronous", "OFF")  # nothing of it must outlive the test
        connection.execute(SCHEMA)
        head, rows = "", 0
        with connection:
            for number, one in enumerate(self.commands, start=1):
                connection.execute("INSERT INTO subjects VALUES (?, ?)", (number, one.user))
                connection.execute(
                    "INSERT INTO commands VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        one.id, one.user, one.state, one.step, one.tries, SENT_US,
                        one.first_sent_us, one.acknowledged_us, one.ended_us,
                    ),
                )  # fmt: skip
                for step in one.steps:
                    rows += 1
                    shown = self.shown.get(one.id) if step == "acknowledged" else None
                    text = "" if shown is None else f"presence@{shown}"
                    detail = orjson.dumps({"user": one.user, "detail": text}).decode()
                    fields = [rows, SENT_US, one.id, step, number, sha256(detail)]
                    head = link(head, fields)
                    connection.execute(
                        "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                        [*fields, head, detail],
                    )
            connection.execute("INSERT INTO progress VALUES (1, '', ?, ?)", (rows, head))
        connection.close()


def begun(directory: Path) -> Run:
    ledger = Ledger(directory / "ledger")
    script = ScriptSettings(seed=7, agents=20, origin_ms=ORIGIN_MS, quiet_every=0)
    organisation = CloudOrganisation(script, ledger)
    organisation.begin_stretch(0, ORIGIN_MS * 1_000_000, 1_000_000)
    organisation.run(100, ORIGIN_MS * 1000)
    return Run(organisation, ledger)


def lived(directory: Path) -> Run:
    """A command of each end, by a name in each of its spellings."""
    run = begun(directory)
    run.succeed(3, "Meal", "Meal")
    run.succeed(4, "on queue", "On Queue")
    run.succeed(5, "Teamrunde", "Team Huddle")
    run.succeed(6, DEFINITIONS[9].id, "Break")
    run.order(7, "Busy", "refused")
    run.order(8, "Busy", "unanswered", "unknown", ended_us=SENT_US + 90 * S)
    run.change(9, "Away", SENT_US, by="control")
    return run


def test_a_run_in_which_all_is_right_is_clean(tmp_path: Path) -> None:
    told = lived(tmp_path).verified(tmp_path)
    assert told is not None
    assert told["by_end"] == {"confirmed": 4, "refused": 1, "unknown": 1}
    assert (told["commands"], told["applied"], told["acknowledged"]) == (6, 4, 4)
    assert told["acknowledged_ms"]["max"] == 5.0
    assert not any(told["examples"].values()), told["examples"]


def confirm_what_was_not_done(run: Run) -> None:
    run.shown[run.commands[0].id] += 1


def do_something_else(run: Run) -> None:
    run.commands[0].state = "Away"


def do_it_twice(run: Run) -> None:
    run.change(3, "Meal", SENT_US + 5 * S)


def do_what_nobody_ordered(run: Run) -> None:
    run.change(15, "Meal", SENT_US)


def do_it_before_it_was_sent(run: Run) -> None:
    run.commands[0].first_sent_us = SENT_US + 30 * S


def never_end(run: Run) -> None:
    run.commands[4].steps.pop()
    run.commands[4].ended_us = None


def give_up_too_early(run: Run) -> None:
    run.commands[5].ended_us = SENT_US + 20 * S


def confirm_without_a_word(run: Run) -> None:
    del run.shown[run.commands[1].id]


@pytest.mark.parametrize(
    ("spoil", "kinds"),
    [
        (confirm_what_was_not_done, {"acknowledged_not_applied", "confirmed_not_applied"}),
        (do_something_else, {"changed_otherwise", "updates_of_nobody"}),
        (do_it_twice, {"applied_twice"}),
        (do_what_nobody_ordered, {"updates_of_nobody"}),
        (do_it_before_it_was_sent, {"updates_of_nobody"}),
        (never_end, {"without_end"}),
        (give_up_too_early, {"unknown_too_early"}),
        (confirm_without_a_word, {"confirmed_not_applied"}),
    ],
)
def test_what_is_wrong_is_found(
    spoil: Callable[[Run], None], kinds: set[str], tmp_path: Path
) -> None:
    run = lived(tmp_path)
    spoil(run)
    told = run.verified(tmp_path)
    assert told is not None
    assert {kind for kind, examples in told["examples"].items() if examples} == kinds


def test_without_a_sender_calls_may_change_nobody(tmp_path: Path) -> None:
    run = begun(tmp_path)
    run.change(3, "Meal", SENT_US)
    run.ledger.close()
    told = CloudCommandVerifier(CloudExpectation(tmp_path / "ledger"), None).verify()
    assert told is not None
    assert told["updates_of_nobody"] == 1


def test_without_sender_and_changes_there_is_nothing_to_say(tmp_path: Path) -> None:
    run = begun(tmp_path)
    run.change(9, "Away", SENT_US, by="control")
    run.ledger.close()
    assert CloudCommandVerifier(CloudExpectation(tmp_path / "ledger"), None).verify() is None


def test_a_presence_is_meant_by_its_id_and_by_its_name_in_any_spelling() -> None:
    for text in ("On Queue", "ON_QUEUE", "onqueue", "In Warteschlange", DEFINITIONS[5].id):
        assert meant(text) == {5}, text
    assert meant("Coffee") == {10}
    assert meant("Nowhere") == set()


# Changes that a call was told of before they were made, or that never were


def hold_back(run: Run, what: str, end: str) -> Command:
    """An answer with the presence as it was, and its modifiedDate."""
    command = run.order(10, "Meal", "acknowledged", end)
    assert command.first_sent_us is not None
    command.acknowledged_us = command.first_sent_us + 5_000
    command.ended_us = command.first_sent_us + 8 * S
    run.shown[command.id] = 1
    meal = [one.label for one in DEFINITIONS].index("Meal")
    on_us = command.first_sent_us + 2_000
    run.ledger.write("varied", what=what, agent=10, presence=meal, by="client 0", on_us=on_us)
    return command


def first_sent(command: Command) -> int:
    assert command.first_sent_us is not None
    return command.first_sent_us


def test_a_pending_change_that_came_may_be_confirmed(tmp_path: Path) -> None:
    run = begun(tmp_path)
    command = hold_back(run, "pending", "confirmed")
    run.change(10, "Meal", first_sent(command) + 4 * S)
    told = run.verified(tmp_path)
    assert told is not None
    assert not any(told["examples"].values()), told["examples"]
    assert (told["held_back"], told["confirmed_by_others"]) == (1, 0)


@pytest.mark.parametrize("what", ["pending-never", "not-primary"])
@pytest.mark.parametrize("end", ["confirmed", "unconfirmed"])
def test_a_change_that_never_came_must_not_be_confirmed(
    what: str, end: str, tmp_path: Path
) -> None:
    run = begun(tmp_path)
    hold_back(run, what, end)
    told = run.verified(tmp_path)
    assert told is not None
    found = {kind for kind, examples in told["examples"].items() if examples}
    assert found == ({"confirmed_not_applied"} if end == "confirmed" else set())


@pytest.mark.parametrize(("after_s", "is_found"), [(4, False), (30, True), (-30, True)])
def test_what_a_channel_shows_by_chance_can_be_told_from_nothing_but_only_in_its_time(
    after_s: int, is_found: bool, tmp_path: Path
) -> None:
    run = begun(tmp_path)
    command = hold_back(run, "pending-never", "confirmed")
    run.change(10, "Meal", first_sent(command) + after_s * S, by="walk")
    told = run.verified(tmp_path)
    assert told is not None
    assert bool(told["confirmed_not_applied"]) is is_found
    assert told["confirmed_by_others"] == (not is_found)


def test_a_change_is_known_by_another_date_if_that_was_told(tmp_path: Path) -> None:
    run = begun(tmp_path)
    command = run.succeed(3, "Meal", "Meal")
    true_us = run.shown[command.id]
    run.shown[command.id] += 4_000
    told_us = true_us + 4_000
    run.ledger.write("varied", what="other-date", agent=3, at_us=true_us, told_us=told_us, on_us=0)
    told = run.verified(tmp_path)
    assert told is not None
    assert not any(told["examples"].values()), told["examples"]


@pytest.mark.parametrize(
    ("after_s", "is_told", "may_be_open"),
    [
        (None, True, True),
        (4, False, True),
        (4, True, False),
        (-1, True, True),  # before it was sent: another command's change
    ],
)
def test_what_is_pending_may_stay_so_until_a_socket_was_told_that_its_change_has_come(
    after_s: int | None, is_told: bool, may_be_open: bool, tmp_path: Path
) -> None:
    run = begun(tmp_path)
    if is_told:
        more = {"channel": 1, "head": 100, "at_us": SENT_US}
        run.ledger.write("topics", client=0, agents=[10], masks=[1], **more)
        run.ledger.write("opened", socket=1, **more)
    command = hold_back(run, "pending", "pending")
    command.acknowledged_us = command.ended_us = None
    command.steps.remove("acknowledged")
    del run.shown[command.id]
    if after_s is not None:
        run.change(10, "Meal", first_sent(command) + after_s * S)
    told = run.verified(tmp_path)
    assert told is not None
    assert (told["without_end"], told["pending_at_end"]) == ((0, 1) if may_be_open else (1, 0))

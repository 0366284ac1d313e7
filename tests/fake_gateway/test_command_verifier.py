"""Commands: a sender that did right is verified, and each thing that can be wrong is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import orjson
import pytest

from tests.fake_gateway.kept import SENT_US, found
from tests.fake_gateway.sent import Command, S, Sent, begun, link, lived
from tools.fake_gateway import verify as verification
from tools.fake_gateway.command_verifier import KINDS
from tools.fake_gateway.journals import JournalError
from tools.fake_gateway.sender_store import SenderStore, open_store


def wrong(result: dict[str, Any]) -> dict[str, int]:
    commands = result["commands"]
    return {kind: commands[kind] for kind in KINDS if commands[kind]}


def test_a_sender_that_did_right_is_verified_with_its_figures(tmp_path: Path) -> None:
    result = lived(tmp_path).check(tmp_path)
    assert result["verified"] is True
    assert (found(result), wrong(result)) == ({}, {})
    told = result["commands"]
    assert told["commands"] == 4
    assert told["by_end"] == dict.fromkeys(("confirmed", "refused", "unconfirmed", "unknown"), 1)
    assert (told["updates"], told["applied"], told["lost"]) == (4, 2, 1)
    assert (told["acknowledged"], told["most_in_a_second"], told["most_tries"]) == (2, 4, 2)
    assert told["acknowledged_ms"] == {"p50": 2.0, "p99": 2.0, "max": 2.0}
    assert told["webhooks"] == {
        "waiting": 0, "delivered": 2, "dead": 0, "received": 3, "refused": 0,
    }  # fmt: skip


def test_without_a_sender_there_is_nothing_to_verify(tmp_path: Path) -> None:
    sent = begun(tmp_path)
    run = sent.run
    run.send(0, run.organisation.head - 1)
    sent.chain()
    result = sent.check(tmp_path)
    assert result["commands"]["commands"] == 0
    assert open_store(tmp_path) is None


def test_an_update_of_somebody_else_is_no_command(tmp_path: Path) -> None:
    sent = lived(tmp_path)
    sent.run.update(3, 0, "99999999-0000-4000-8000-000000000000")
    result = sent.check(tmp_path)
    assert result["verified"] is True
    assert result["commands"]["applied"] == 2


def leave_open(sent: Sent) -> None:
    command = sent.commands[0]
    command.steps.remove("confirmed")
    command.ended_us = None


def end_twice(sent: Sent) -> None:
    sent.commands[0].steps.append("unconfirmed")


def apply_twice(sent: Sent) -> None:
    sent.run.happen(20)
    sent.receive(sent.commands[0])


def confirm_what_was_not_applied(sent: Sent) -> None:
    command = sent.order(8, 1, ["acknowledged", "confirmed"])
    command.acknowledged_us = None
    command.message = None


def acknowledge_what_was_not_applied(sent: Sent) -> None:
    sent.tell(sent.order(8, 1, ["acknowledged", "unconfirmed"]))


def refuse_what_was_applied(sent: Sent) -> None:
    sent.receive(sent.order(8, 1, ["refused"]))


def change_somebody_else(sent: Sent) -> None:
    command = sent.succeed(8, 1)
    command.user = sent.run.organisation.script.users[9]


def send_before_it_is_durable(sent: Sent) -> None:
    sent.commands[3].steps[-1] = "refused"
    sent.commands[3].first_sent_us = None


def send_for_nobody(sent: Sent) -> None:
    command = sent.order(8, 1, ["refused"])
    sent.receive(command, 500, applied=False)
    sent.commands.remove(command)


def give_up_early(sent: Sent) -> None:
    sent.commands[3].ended_us = SENT_US + 29 * S


def give_up_untried(sent: Sent) -> None:
    command = sent.order(8, 1, ["unknown"])
    command.first_sent_us = None


def forget_a_webhook(sent: Sent) -> None:
    sent.receive(sent.order(8, 1, ["acknowledged", "confirmed"]))


def forget_a_letter(sent: Sent) -> None:
    command = sent.order(8, 1, ["acknowledged", "confirmed"])
    sent.receive(command)
    command.message = None


def be_refused_by_the_receiver(sent: Sent) -> None:
    command = sent.order(8, 1, ["acknowledged", "confirmed"])
    sent.receive(command)
    sent.tell(command, status=500)


def tell_under_another_id(sent: Sent) -> None:
    sent.tell(sent.commands[0], id_="msg_other")


def tell_something_else(sent: Sent) -> None:
    command = sent.succeed(8, 1)
    sent.tell(Command(command.id, command.user, "offline", ["x"], message=command.message))


def tell_of_a_failure(sent: Sent) -> None:
    sent.commands[1].message = "msg_refused"
    sent.tell(sent.commands[1])


@pytest.mark.parametrize(
    ("plant", "kinds"),
    [
        (leave_open, {"without_end"}),
        (end_twice, {"without_end"}),
        (apply_twice, {"applied_twice"}),
        (confirm_what_was_not_applied, {"confirmed_not_applied"}),
        (acknowledge_what_was_not_applied, {"acknowledged_not_applied"}),
        (refuse_what_was_applied, {"refused_but_applied"}),
        (change_somebody_else, {"changed_otherwise", "webhook_ids"}),
        (send_before_it_is_durable, {"sent_too_early"}),
        (send_for_nobody, {"updates_of_nobody"}),
        (give_up_early, {"unknown_too_early"}),
        (give_up_untried, {"unknown_too_early"}),
        (forget_a_webhook, {"webhook_missing"}),
        (forget_a_letter, {"webhook_missing"}),
        (be_refused_by_the_receiver, {"webhook_missing"}),
        (tell_under_another_id, {"webhook_ids"}),
        (tell_something_else, {"webhook_ids"}),
        (tell_of_a_failure, {"webhook_unearned"}),
    ],
)
def test_each_thing_that_can_be_wrong_is_found(
    plant: Callable[[Sent], None], kinds: set[str], tmp_path: Path
) -> None:
    sent = lived(tmp_path)
    plant(sent)
    result = sent.check(tmp_path)
    assert result["verified"] is False
    assert found(result) == {}
    assert wrong(result) == dict.fromkeys(kinds, 1)
    assert all(len(result["commands"]["examples"][kind]) == 1 for kind in kinds)


def test_an_event_that_no_socket_was_told_confirms_nothing(tmp_path: Path) -> None:
    sent = begun(tmp_path)
    sent.run.send(0, sent.run.organisation.head - 1)
    sent.succeed(3, 1)
    sent.run.organisation.head -= 1  # `check` sends only what is below
    assert wrong(sent.check(tmp_path)) == {"confirmed_not_applied": 1}


def rewrite_a_step(sent: Sent) -> None:
    sent.audit[2][3] = "refused"


def rewrite_a_detail(sent: Sent) -> None:
    sent.audit[2][7] = sent.audit[2][7].replace("salt", "pepper")


def erase_a_detail(sent: Sent) -> None:
    sent.audit[2][7] = None


def exchange_a_person(sent: Sent) -> None:
    subject = sent.audit[-1][4]
    sent.subjects[subject] = "somebody else"


def take_a_row_out(sent: Sent) -> None:
    del sent.audit[2]


def cut_the_end_off(sent: Sent) -> None:
    del sent.audit[-1]


def forge_the_end(sent: Sent) -> None:
    """A row more, chained as it must be, that nobody committed."""
    *fields, _, detail = sent.audit[-1]
    fields[0] += 1
    sent.audit.append([*fields, link(sent.audit[-1][6], fields), detail])


@pytest.mark.parametrize(
    "plant",
    [
        rewrite_a_step,
        rewrite_a_detail,
        erase_a_detail,
        exchange_a_person,
        take_a_row_out,
        cut_the_end_off,
        forge_the_end,
    ],
)
def test_an_audit_that_was_rewritten_is_found(
    plant: Callable[[Sent], None], tmp_path: Path
) -> None:
    sent = lived(tmp_path).chain()
    plant(sent)
    assert wrong(sent.check(tmp_path))["audit_broken"] >= 1


def test_a_person_who_was_forgotten_breaks_no_chain(tmp_path: Path) -> None:
    sent = lived(tmp_path).chain()
    subject = sent.audit[0][4]
    sent.subjects[subject] = None
    for row in sent.audit:
        if row[4] == subject:
            row[7] = None
    assert sent.check(tmp_path)["verified"] is True


def test_steps_that_do_not_lead_to_where_a_command_stands_are_found(tmp_path: Path) -> None:
    sent = lived(tmp_path).chain()
    sent.commands[0].steps[-1] = "unconfirmed"
    assert wrong(sent.check(tmp_path)) == {"audit_incomplete": 1}


def test_a_webhook_that_was_sent_again_by_a_person_is_no_step_of_the_command(
    tmp_path: Path,
) -> None:
    sent = lived(tmp_path)
    sent.commands[0].steps.append("resent")
    sent.chain()
    sent.commands[0].steps.pop()
    assert sent.check(tmp_path)["verified"] is True


def test_another_time_to_give_up_may_be_told(tmp_path: Path) -> None:
    sent = lived(tmp_path)
    sent.commands[3].ended_us = SENT_US + 5 * S
    assert sent.check(tmp_path, give_up_after_s=4.0)["verified"] is True


def test_updates_without_a_sender_are_of_nobody(tmp_path: Path) -> None:
    sent = lived(tmp_path)
    sent.check(tmp_path)
    (tmp_path / "data" / "sender.db").unlink()
    result = verification.verify(tmp_path / "ledger", tmp_path / "data")
    assert result["verified"] is False
    assert wrong(result) == {"updates_of_nobody": 4}


def test_findings_of_commands_decide_the_exit_code(tmp_path: Path) -> None:
    sent = lived(tmp_path)
    give_up_early(sent)
    sent.check(tmp_path)
    arguments = (tmp_path / "ledger", tmp_path / "data")
    out = tmp_path / "out.json"
    assert verification.run(*arguments, json_file=out) == 1
    assert orjson.loads(out.read_bytes())["commands"]["unknown_too_early"] == 1
    assert verification.run(*arguments, give_up_after_s=4.0) == 0


def test_a_store_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "sender.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(JournalError, match="not a readable store"):
        SenderStore(path)
    path.unlink()
    apsw.Connection(str(path)).execute("CREATE TABLE commands(id)")
    with pytest.raises(JournalError, match="not a readable store"):
        SenderStore(path)

"""The sender's actor: durable before outward, across lives; webhooks owed and paid."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.messages.commands import Accepted, Rejected, Resend, StatusChanged
from actors.messages.partition import shard_of
from actors.messages.queries import TransitionSeen
from actors.sender import reader, signals
from actors.sender.actor import NOT_DEAD
from actors.sender.commands import CommandStep
from actors.sender.words import LATENCIES, SENDER_WORDS
from actors.settings.sender import SenderSettings, WebhookSettings
from tests.actors.sender.stage import SHARDS, Stage, acknowledged, order


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    settings = SenderSettings(
        user_check=False, permit_wait_s=10.0, webhook=WebhookSettings(url="http://127.0.0.1:1/hook")
    )
    stage = Stage(tmp_path, settings)
    stage.start()
    yield stage
    if stage.actor.is_alive():
        stage.end()


def _until_sent(stage: Stage, number: int, user_id: str = "ann") -> signals.Send:
    stage.order(order(number, user_id))
    stage.tell_agent(user_id, "Available")
    return stage.wished(signals.Send)


def _steps(stage: Stage, command_id: str) -> list[str]:
    story = reader.read_command(stage.arguments.path.parent, command_id)
    assert story is not None
    return [row.step for row in story.steps]


def _told(stage: Stage, step: CommandStep) -> list[Accepted | StatusChanged | Rejected]:
    """What web is told, up to this step."""
    told: list[Accepted | StatusChanged | Rejected] = []
    for outcome in stage.outcomes():
        told.append(outcome)
        if isinstance(outcome, StatusChanged) and outcome.step == step:
            break
    return told


def test_a_command_goes_from_its_order_to_its_confirmation_and_its_webhook(stage: Stage) -> None:
    stage.tell(signals.LineUp(1))
    sent = _until_sent(stage, 1)
    assert stage.watch("ann").correlation == sent.correlation
    stage.tell(acknowledged(sent.correlation))
    message = stage.wished(signals.Deliver)
    stage.tell(signals.Delivered(message.message_id, True, 204, ""))
    stage.answer(0, TransitionSeen(sent.correlation, "ann", "Not Available", "busy", 9))
    told = _told(stage, CommandStep.CONFIRMED)
    steps = ["accepted", "validated", "admitted", "sent", "acknowledged", "confirmed"]
    assert told[0] == Accepted(1, sent.correlation, False)
    assert [one.step for one in told[1:] if isinstance(one, StatusChanged)] == steps
    stage.end()
    assert _steps(stage, sent.correlation) == steps
    assert stage.counters.get("confirmed") == 1
    assert stage.counters.get("webhooks_delivered") == 1
    assert reader.read_outbox(stage.arguments.path.parent).waiting == 0
    assert reader.verify_audit(stage.arguments.path.parent).rows == len(steps)


def test_an_order_that_is_met_twice_makes_one_command(stage: Stage) -> None:
    one = order(1, "ann")
    stage.order(one, one._replace(order=2))
    stage.tell_agent("ann", "Talking")  # busy already: refused
    taken = [
        outcome for outcome in _told(stage, CommandStep.REFUSED) if isinstance(outcome, Accepted)
    ]
    assert taken == [Accepted(1, one.command_id, False), Accepted(2, one.command_id, False)]
    stage.end()
    stage.start()
    stage.order(one._replace(order=3))
    assert next(stage.outcomes()) == Accepted(3, one.command_id, False)
    stage.end()
    assert stage.counters.get("accepted") == 1


def test_a_successor_sends_again_under_the_same_id_what_its_predecessor_had_sent(
    stage: Stage,
) -> None:
    stage.tell(signals.LineUp(1))
    sent = _until_sent(stage, 1)
    stage.end()
    stage.start()
    stage.tell(signals.LineUp(1))
    again = stage.wished(signals.Send)
    assert (again.correlation, again.frame) == (sent.correlation, sent.frame)
    stage.end()
    assert _steps(stage, sent.correlation).count("accepted") == 1


def test_what_the_stream_shows_to_a_successor_confirms_without_a_second_update(
    stage: Stage,
) -> None:
    stage.tell(signals.LineUp(1))
    sent = _until_sent(stage, 1)
    stage.end()
    stage.start()
    assert stage.watch("ann").correlation == sent.correlation
    stage.answer(0, TransitionSeen(sent.correlation, "ann", "Not Available", "busy", 9))
    _told(stage, CommandStep.CONFIRMED)
    assert stage.host.wishes == [] or not any(
        isinstance(wish, signals.Send) for wish in stage.host.wishes
    )


def test_what_the_page_shows_is_that_of_all_lives(stage: Stage) -> None:
    get = stage.counters.get
    for number, user_id in ((1, "ann"), (2, "bob")):
        stage.tell(signals.LineUp(number))
        sent = _until_sent(stage, number, user_id)
        stage.tell(acknowledged(sent.correlation))
        shard = shard_of(user_id, SHARDS)
        stage.answer(shard, TransitionSeen(sent.correlation, user_id, "Not Available", "busy", 9))
        _told(stage, CommandStep.CONFIRMED)
        stage.end()  # its page is shown once more
        stage.start()
    assert (get("accepted"), get("confirmed"), get("success_permille")) == (2, 2, 1_000)
    for name in LATENCIES:
        shown = {word: get(word) for word in SENDER_WORDS if word.startswith(name)}
        assert sum(count for word, count in shown.items() if "_le_" in word) == 2
        assert 0 < shown[f"{name}_p50_us"] <= shown[f"{name}_p99_us"]
        assert shown[f"{name}_average_us"] == pytest.approx(shown[f"{name}_sum_us"] / 2, abs=1)


def test_a_dead_message_is_sent_again_when_a_person_wants_it(tmp_path: Path) -> None:
    webhook = WebhookSettings(url="http://127.0.0.1:1/hook", give_up_after_s=1e-6)
    stage = Stage(tmp_path, SenderSettings(user_check=False, permit_wait_s=10.0, webhook=webhook))
    stage.start()
    stage.tell(signals.LineUp(1))
    sent = _until_sent(stage, 1)
    stage.tell(acknowledged(sent.correlation))
    message = stage.wished(signals.Deliver)
    stage.tell(signals.Delivered(message.message_id, False, 500, "down"))
    stage.answer(0, TransitionSeen(sent.correlation, "ann", "Not Available", "busy", 9))
    _told(stage, CommandStep.CONFIRMED)
    stage.order(Resend(7, message.message_id, "uid:0"), Resend(8, "msg_other", "uid:0"))
    outcomes = stage.outcomes()
    assert next(outcomes) == Accepted(7, message.message_id, False)
    refused = next(outcomes)
    assert isinstance(refused, Rejected)
    assert refused.order == 8
    assert stage.wished(signals.Deliver).message_id == message.message_id
    stage.order(Resend(7, message.message_id, "uid:0"))  # web has not heard our answer
    assert next(outcomes) == Accepted(7, message.message_id, True)
    stage.tell(signals.Delivered(message.message_id, True, 200, "taken"))
    stage.until(lambda: stage.counters.get("webhooks_delivered") == 1)
    stage.order(Resend(9, message.message_id, "uid:0"))
    assert next(outcomes) == Rejected(
        9, NOT_DEAD, f"message {message.message_id} was already delivered"
    )
    stage.end()


def test_a_record_of_another_making_is_told_and_stops_nobody(stage: Stage) -> None:
    stage.order_bytes(b'["nonsense"]')
    stage.order(order(1, "ann"))
    assert next(stage.outcomes()) == Accepted(1, order(1, "ann").command_id, False)
    assert stage.counters.get("records_malformed") == 1

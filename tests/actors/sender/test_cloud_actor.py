"""The sender's actor in the cloud dialect: what names a change is as durable as its step."""

from __future__ import annotations

from pathlib import Path

from actors.messages.queries import TransitionSeen
from actors.sender import reader, signals
from actors.sender.commands import CommandStep
from actors.settings.sender import SenderSettings
from tests.actors.sender.stage import Stage, order
from tests.actors.sender.test_cloud_dialect import DEFINITIONS

SHOWN_AS = "presence@1767225617067000"


def test_a_change_is_confirmed_to_a_successor_by_what_its_answer_said(tmp_path: Path) -> None:
    stage = Stage(tmp_path, SenderSettings(permit_wait_s=10.0), dialect="cloud")
    stage.start()
    stage.tell(signals.StatesKnown(DEFINITIONS))
    stage.tell(signals.LineUp(1))
    stage.order(order(1, "ann", "Mahlzeit"))
    stage.tell_agent("ann", "Available", "q", definition="d-queue", routing="IDLE")
    patch = stage.wished(signals.Patch)
    assert (patch.user_id, patch.state) == ("ann", "Mahlzeit")
    answer = signals.Acknowledged(patch.correlation, True, 200, "", "", None, SHOWN_AS)
    stage.tell(answer)
    assert stage.watch("ann").correlation == SHOWN_AS
    stage.end()

    stage.start()
    assert stage.watch("ann").correlation == SHOWN_AS
    stage.answer(0, TransitionSeen(SHOWN_AS, "ann", "Not Available", "break", 9, "d-meal"))
    stage.until(lambda: stage.counters.get("confirmed") == 1)
    stage.end()
    story = reader.read_command(tmp_path, patch.correlation)
    assert story is not None
    assert story.command.step is CommandStep.CONFIRMED
    (acknowledged,) = [row for row in story.steps if row.step == CommandStep.ACKNOWLEDGED]
    assert acknowledged.detail["detail"] == SHOWN_AS, "the audit keeps it"

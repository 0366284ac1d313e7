"""Histories: who may be Unknown, and who must be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fake_gateway.kept import EVENTS, SENT_US, Kept, Run, checked, found, steady
from tools.fake_gateway.verify import verify
from tools.fake_gateway.wsp.expectation import Expectation


def test_an_unknown_agent_and_its_restoration_count_as_neither(tmp_path: Path) -> None:
    run = Run(tmp_path / "ledger")
    run.subscribe()
    run.happen(EVENTS)
    run.send(0, EVENTS - 1)
    run.subscribe(socket=2, first=4)
    run.subscribe(socket=3)
    kept = Kept(Expectation(run.close()))
    kept.history(0)
    kept.events(range(EVENTS))
    kept.lose(3)
    kept.add(3, kept.expectation.last_changes(EVENTS)[3], 1, "history")
    result = checked(kept.chain(), tmp_path)
    assert found(result) == {}
    assert (result["unknown_rows"], result["restored"]) == (1, 1)


def test_an_agent_that_stays_unknown_after_a_whole_history_is_found(tmp_path: Path) -> None:
    kept = steady(tmp_path)
    kept.lose(3)
    result = checked(kept.chain(), tmp_path)
    assert found(result) == {"state_mismatches": 2}
    told = [each["what"] for each in result["examples"]["state_mismatches"]]
    assert told == ["Unknown without a reason", "final state"]


def test_whom_the_last_history_left_out_must_be_unknown(tmp_path: Path) -> None:
    run = Run(tmp_path / "ledger")
    run.subscribe()
    run.happen(EVENTS)
    run.send(0, EVENTS - 1)
    run.subscribe(socket=2, first=1)
    kept = Kept(Expectation(run.close()))
    kept.history(0)
    kept.events(range(EVENTS))
    believing = verify(tmp_path / "ledger", kept.chain().write(tmp_path / "believing"))
    assert found(believing) == {"state_mismatches": 1}
    kept.lose(0)
    assert found(checked(kept.chain(), tmp_path)) == {}


@pytest.mark.parametrize(("agent", "is_right"), [(0, True), (3, False)])
def test_a_history_without_an_end_is_over_when_it_is_quiet(
    agent: int, is_right: bool, tmp_path: Path
) -> None:
    """Agents 0 and 1 are not named, and the history never ends; it is 5 s before the row."""
    run = Run(tmp_path / "ledger")
    run.subscribe()
    told = {"first": 2, "last": 9, "head": 0, "complete": False, "at_us": SENT_US - 5_000_000}
    run.ledger.write("subscribed", socket=2, head=0, epoch=run.epoch, shape=1, history=True)
    run.ledger.write("history", socket=2, **told)
    run.subscribe(socket=3)
    kept = Kept(Expectation(run.close()))
    kept.history(0)
    kept.lose(agent)
    kept.add(agent, -1, 1, "history")
    assert (found(checked(kept.chain(), tmp_path)) == {}) is is_right


def test_an_agent_may_stay_unknown_when_the_socket_was_taken_away(tmp_path: Path) -> None:
    run = Run(tmp_path / "ledger")
    run.subscribe()
    run.happen(EVENTS)
    run.send(0, EVENTS - 1)
    run.ledger.write("closed", socket=1, reason="dropped by the gateway")
    kept = Kept(Expectation(run.close()))
    kept.history(0)
    kept.events(range(EVENTS))
    for agent in range(20):
        kept.lose(agent)
    result = checked(kept.chain(), tmp_path)
    assert found(result) == {}
    assert result["unknown_rows"] == 20

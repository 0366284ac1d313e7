"""AllowedLosses: what an honest gap row accounts for, and what it does not."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from tests.fake_gateway.kept import (
    EVENTS,
    Kept,
    Run,
    checked,
    drop_an_event,
    found,
    settings,
    steady,
)
from tools.fake_gateway.verify import verify
from tools.fake_gateway.wsp.expectation import Expectation


def with_a_gap(tmp_path: Path) -> Kept:
    """Events 40 to 69 happened while nobody listened and could not be replayed."""
    run = Run(tmp_path / "ledger")
    run.subscribe()
    run.happen(70)
    run.send(0, 39)
    run.gap(1041, 1070)
    run.subscribe(socket=2)
    run.happen(30)
    run.send(70, 99, socket=2)
    kept = Kept(Expectation(run.close()))
    kept.history(0)
    kept.events(range(40))
    for agent, number in enumerate(kept.expectation.last_changes(70)):
        if number >= 40:
            kept.add(agent, number, 1, "history")
    kept.events(range(70, 100))
    return kept.chain()


def test_a_gap_that_the_gateway_told_is_excused_by_its_row(tmp_path: Path) -> None:
    kept = with_a_gap(tmp_path)
    kept.gaps = [(1, 1041, 1070)]
    result = checked(kept, tmp_path)
    assert found(result) == {}
    assert result["excused"] == 30 - 16  # 16 active agents were named by the second history
    assert result["gaps"] == 1  # though every shard has the row


def test_a_gap_without_a_row_is_lost(tmp_path: Path) -> None:
    assert found(checked(with_a_gap(tmp_path), tmp_path)) == {"lost": 14}


def test_a_gap_row_in_another_shard_excuses_nothing(tmp_path: Path) -> None:
    kept = with_a_gap(tmp_path)
    kept.gaps = [(1, 1041, 1070)]
    data = kept.write(tmp_path / "data")
    for name in ("gaps", "transitions"):
        connection = apsw.Connection(str(data / "shard-01.db"))
        column = "scope = 'all'" if name == "gaps" else "cause = 'gap'"
        connection.execute(f"DELETE FROM {name} WHERE {column}")
        connection.close()
    assert 0 < verify(tmp_path / "ledger", data)["lost"] < 14


def test_what_was_held_before_a_gap_is_not_excused_by_its_row(tmp_path: Path) -> None:
    """The client resumed 1,000 behind what it held, so the beginning of the gap is in it."""
    run = Run(tmp_path / "ledger", settings(agents=200))
    run.subscribe()
    run.happen(2_500)
    run.send(0, 1_999)
    run.ledger.write(
        "subscribed", socket=2, head=2_500, epoch=run.epoch, shape=1, asked=2_000, resume="gap"
    )
    run.gap(2_001, 3_500)
    run.happen(1)
    run.send(2_500, 2_500, socket=2)
    kept = Kept(Expectation(run.close()))
    kept.history(0)
    kept.events(range(1_990))  # ten fewer than were committed
    kept.events(range(2_500, 2_501))
    kept.gaps = [(1, 2_001, 3_500)]
    result = checked(kept.chain(), tmp_path)
    assert (result["lost"], result["excused"]) == (10, 500)


def test_a_gap_row_of_one_epoch_excuses_nothing_of_the_next(tmp_path: Path) -> None:
    run = Run(tmp_path / "ledger")
    run.subscribe()
    for socket in (2, 3):
        run.happen(50)
        run.send(run.organisation.head - 50, run.organisation.head - 1)
        run.organisation.renumber(21)
        run.subscribe(socket=socket)
    run.happen(50)
    run.send(100, 149, socket=3)
    kept = Kept(Expectation(run.close()))
    kept.history(0)
    kept.events(range(50))
    kept.history(50, epoch=2)
    kept.events(range(50, 60), epoch=2)  # 40 are missing, 16 of them told by the next history
    kept.history(100, epoch=3)
    kept.events(range(100, 150), epoch=3)
    kept.gaps = [(1, 1051, 1 << 61)]
    lost = verify(tmp_path / "ledger", kept.chain().write(tmp_path / "one"))
    assert lost["lost"] == 24
    kept.gaps.append((2, 31, 1 << 61))
    assert found(checked(kept, tmp_path)) == {}


@pytest.mark.parametrize(("sessions", "lost"), [(2, 1), (3, 0)])
def test_a_place_that_ended_three_sessions_may_be_left_behind(
    sessions: int, lost: int, tmp_path: Path
) -> None:
    run = Run(tmp_path / "ledger")
    run.subscribe()
    run.happen(EVENTS)
    for socket in range(1, sessions + 1):
        run.send(0, EVENTS - 1, socket=socket)
        run.ledger.write("fault", what="poison", socket=socket, place=40)
    run.ledger.write(
        "subscribed", socket=9, head=EVENTS, epoch=run.epoch, shape=1, asked=1041, resume="replay"
    )
    kept = Kept(Expectation(run.close()))
    kept.history(0)
    kept.events(range(40))
    kept.events(range(41, EVENTS))
    kept.gaps = [(1, 1041, 1041)]
    assert checked(kept.chain(), tmp_path)["lost"] == lost


def test_a_gap_row_excuses_nothing_that_could_have_been_had(tmp_path: Path) -> None:
    kept = steady(tmp_path)
    drop_an_event(kept)
    kept.gaps = [(1, 1001, 1001 + EVENTS)]
    assert found(checked(kept, tmp_path)) == {"lost": 1}


def test_events_of_an_epoch_that_ended_unheard_need_a_gap_row(tmp_path: Path) -> None:
    run = Run(tmp_path / "ledger")
    run.subscribe()
    run.happen(50)
    run.send(0, 29)
    run.organisation.renumber(21)
    run.subscribe(socket=2)
    kept = Kept(Expectation(run.close()))
    kept.history(0)
    kept.events(range(30))
    kept.history(50, epoch=2)
    kept.chain()
    missing = verify(tmp_path / "ledger", kept.write(tmp_path / "without"))
    assert found(missing).keys() == {"lost"}
    kept.gaps = [(1, 1031, 0)]  # its end is not known
    assert found(checked(kept, tmp_path)) == {}

"""Appointments are kept beside their agents: no row, no window, no mark; one outcome each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from actors.messages.control import APPOINTMENT_EVENT, UNKNOWN, SessionEnds
from actors.shard import reader
from actors.shard.agent_table import Appointment
from actors.shard.checkpoint import CYCLE_S
from tests.actors.shard.lending import A, B, Record, event
from tests.actors.shard.rig import Rig

T0, T1, T2 = (f"2026-11-21T22:00:0{second}.000Z" for second in range(3))
START, END = "2026-11-23T08:00:00.000Z", "2026-11-23T09:00:00.000Z"
TOLD_US = 1_795_298_400_000_000  # T0
KEPT = Appointment(TOLD_US + 122_400_000_000, TOLD_US + 126_000_000_000, TOLD_US)


def appointment(sequence: int, user_id: str = A, timestamp: str = T0, **changes: Any) -> Record:
    data = {"userId": user_id, "start": START, "end": END, "timestamp": timestamp, **changes}
    return Record(orjson.dumps({"type": APPOINTMENT_EVENT, "sequence": sequence, "data": data}))


def test_the_newest_appointment_is_kept_and_is_no_change_of_state(rig: Rig) -> None:
    rig.begin()
    rig.feed(event(1_001, A, "Talking", T0), appointment(1_002))
    assert rig.agent(A).appointment == KEPT
    rig.feed(
        appointment(1_003, timestamp=T2, end=START),
        appointment(1_004, timestamp=T1),  # older than what is kept
    )
    kept = rig.agent(A).appointment
    assert kept is not None
    assert (kept.end_us, kept.at_us) == (KEPT.start_us, TOLD_US + 2_000_000)
    assert rig.causes() == ["live"]
    assert rig.state(A) == "Talking"
    assert rig.counts == {"received": 4, "applied": 1, "unchanged": 3}


def test_an_appointment_moves_neither_window_nor_mark(rig: Rig) -> None:
    rig.begin()
    rig.feed(event(1_001, A, "Talking", T0), appointment(1_002), event(1_002, A, "Reserved", T1))
    assert rig.state(A) == "Reserved"
    rig.feed(appointment(1_900))
    assert rig.shard.merge.mark == 1_002


def test_an_appointment_of_nobody_makes_no_agent(rig: Rig) -> None:
    rig.begin()
    rig.feed(appointment(1_001, B))
    assert rig.shard.agent_table.by_user == {}
    assert rig.counts == {"received": 1, "unchanged": 1}


@pytest.mark.parametrize(
    "changes",
    [{"start": None}, {"end": 7}, {"timestamp": "soon"}, {"userId": ""}, {"userId": "x" * 129}],
)
def test_an_appointment_that_breaks_the_contract_is_set_aside(
    rig: Rig, changes: dict[str, Any]
) -> None:
    rig.begin()
    rig.feed(event(1_001, A), appointment(1_002, **changes))
    assert rig.counts == {"received": 2, "applied": 1, "quarantined": 1}
    assert rig.agent(A).appointment is None


def test_an_appointment_far_in_the_numbering_is_set_aside(rig: Rig) -> None:
    rig.begin()
    rig.feed(event(1_001, A), appointment(1 << 61))
    assert rig.counts == {"received": 2, "applied": 1, "quarantined": 1}


def test_an_appointment_outlives_a_clean_stop_and_a_checkpoint(rig: Rig) -> None:
    rig.begin()
    rig.feed(event(1_001, A, "Talking", T0), event(1_002, B, "Talking", T0), appointment(1_003))
    rig.commit(finish=True)
    rig.restart()
    assert rig.agent(A).appointment == KEPT
    rig.feed(appointment(1_004, B))
    assert not rig.shard.owes_quietly(rig.now_s)
    rig.now_s += CYCLE_S  # no row is new, but an appointment is
    assert rig.shard.owes_quietly(rig.now_s)
    rig.commit()
    assert not rig.shard.owes_quietly(rig.now_s + CYCLE_S)
    rig.restart()
    assert rig.agent(B).appointment == KEPT
    assert rig.agent(A).appointment == KEPT


def test_readers_see_it_behind_all_that_they_saw_before(rig: Rig) -> None:
    rig.begin()
    rig.feed(event(1_001, A, "Talking", T0), event(1_002, B, "Reserved", T0), appointment(1_003))
    rig.commit(finish=True)
    by_user = {one.user_id: one for one in reader.read_states(rig.path.parent)}
    assert by_user[A].appointment == by_user[A][8] == KEPT
    assert by_user[B].appointment is None
    (page,) = rig.journal.pages()
    with_one, without = orjson.loads(page.data)
    assert (len(with_one), len(without)) == (10, 9)


def test_an_appointment_makes_nobody_known_again(rig: Rig, tmp_path: Path) -> None:
    rig.begin()
    rig.feed(event(1_001, A, "Talking", T0))
    rig.shard.sessions.apply(SessionEnds(1, "all", "exhausted", 7_000_000))
    rig.feed(appointment(1_002))
    assert rig.state(A) == UNKNOWN
    assert rig.agent(A).appointment == KEPT

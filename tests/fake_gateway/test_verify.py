"""Verification: a perfect run passes, and each thing that can be wrong is found, as what it is."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import orjson
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
from tools.fake_gateway import verify as verification
from tools.fake_gateway.journals import JournalError
from tools.fake_gateway.ledger import LedgerError
from tools.fake_gateway.script import LEAN, WITH_CORRELATION, WITH_PRESENCE
from tools.fake_gateway.verify import verify
from tools.fake_gateway.wsp.expectation import Expectation


def test_a_perfect_run_is_verified_with_its_figures(tmp_path: Path) -> None:
    result = checked(steady(tmp_path), tmp_path)
    assert result["verified"] is True
    assert found(result) == {}
    assert (result["sent_events"], result["sent_history"]) == (EVENTS, 20)
    assert result["sent"] == EVENTS + 20 + 1
    assert result["expected"] == result["rows"] == EVENTS + 20
    assert result["faults"] == {"malformed": 1}
    assert result["latency_ms"] == {
        "p50": 3.01, "p90": 3.01, "p99": 3.01, "p999": 3.01, "max": 3.01, "count": EVENTS,
    }  # fmt: skip


def drop_an_agent(kept: Kept) -> None:
    quiet = next(row for row in kept.rows[0] if kept.expectation.script.is_quiet(row.agent))
    kept.rows[0].remove(quiet)
    kept.chain()


def invent_an_event(kept: Kept) -> None:
    row = kept.rows[1][-1]
    kept.rows[1].append(type(row)(row.agent, "Talking", 1, 1, 1001 + EVENTS, row.queue))
    kept.chain()


def swap_two_events(kept: Kept) -> None:
    """Two neighbours in the history of one agent change places, chains and all."""
    agent = kept.rows[0][-1].agent
    places = [place for place, row in enumerate(kept.rows[0]) if row.agent == agent]
    first, second = places[-3:-1]
    kept.rows[0][first], kept.rows[0][second] = kept.rows[0][second], kept.rows[0][first]
    kept.chain()


def double_an_event(kept: Kept) -> None:
    row = kept.rows[1][-1]
    kept.rows[1].append(type(row)(**vars(row)))
    kept.chain()


def double_a_history(kept: Kept) -> None:
    quiet = next(row for row in kept.rows[0] if kept.expectation.script.is_quiet(row.agent))
    kept.rows[0].append(type(quiet)(**vars(quiet)))
    kept.chain()


def end_in_a_wrong_state(kept: Kept) -> None:
    kept.rows[0][-1].to_state = "Levitating"


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        (drop_an_event, "lost"),
        (drop_an_agent, "lost"),
        (invent_an_event, "phantom"),
        (swap_two_events, "inversions"),
        (double_an_event, "duplicate_effects"),
        (double_a_history, "duplicate_effects"),
        (end_in_a_wrong_state, "state_mismatches"),
    ],
)
def test_each_kind_of_fault_is_found(
    wrong: Callable[[Kept], None], kind: str, tmp_path: Path
) -> None:
    kept = steady(tmp_path)
    wrong(kept)
    result = checked(kept, tmp_path)
    assert result["verified"] is False
    assert result[kind] >= 1
    assert len(result["examples"][kind]) == result[kind]
    if kind in ("lost", "duplicate_effects", "inversions"):
        assert found(result).keys() == {kind}


@pytest.mark.parametrize(
    ("column", "value"),
    [("at_us", 5), ("queue", "elsewhere"), ("from_state", "Nowhere"), ("previous", 4711)],
)
def test_each_column_of_a_row_is_checked(column: str, value: Any, tmp_path: Path) -> None:
    kept = steady(tmp_path)
    setattr(kept.rows[0][-1], column, value)
    result = checked(kept, tmp_path)
    assert found(result) == {"state_mismatches": 1}
    assert result["examples"]["state_mismatches"][0]["what"] == column


def test_presence_and_correlation_are_checked_when_they_were_asked_for(tmp_path: Path) -> None:
    run = Run(tmp_path / "ledger", settings(presence_every=2, correlation_every=3))
    run.subscribe(shape=LEAN | WITH_PRESENCE | WITH_CORRELATION)
    run.happen(EVENTS)
    run.send(0, EVENTS - 1)
    kept = Kept(Expectation(run.close()))
    kept.history(0)
    kept.events(range(EVENTS))
    kept.chain()
    good = verify(tmp_path / "ledger", kept.write(tmp_path / "good"))
    assert found(good) == {}
    assert good["latency_ms"]["count"] == EVENTS
    bearer = next(row for row in kept.rows[0] if row.correlation is not None)
    bearer.correlation = None
    assert found(checked(kept, tmp_path)) == {"state_mismatches": 1}


def updated(tmp_path: Path) -> Kept:
    """A run in which updates made some of the events; presence and correlation were asked for."""
    run = Run(tmp_path / "ledger")
    run.subscribe(shape=LEAN | WITH_PRESENCE | WITH_CORRELATION)
    for agent, presence in ((3, 1), (4, 3), (3, 0)):  # a step, one who never changes, again
        run.happen(20)
        run.update(agent, presence, str(uuid.UUID(int=agent * 4 + presence)))
    run.happen(20)
    run.send(0, run.organisation.head - 1)
    kept = Kept(Expectation(run.close()))
    kept.history(0)
    kept.events(range(kept.expectation.head))
    return kept.chain()


def test_what_updates_caused_is_verified_like_every_event(tmp_path: Path) -> None:
    result = checked(updated(tmp_path), tmp_path)
    assert found(result) == {}
    assert result["sent_events"] == 4 * 20 + 3


@pytest.mark.parametrize(
    ("column", "value"), [("correlation", None), ("presence", None), ("queue", "elsewhere")]
)
def test_an_event_of_an_update_that_says_something_else_is_found(
    column: str, value: str | None, tmp_path: Path
) -> None:
    kept = updated(tmp_path)
    row = next(row for row in kept.rows[0] if row.correlation is not None)
    setattr(row, column, value)
    assert found(checked(kept.chain(), tmp_path)) == {"state_mismatches": 1}


def test_an_event_of_an_update_that_is_missing_is_lost(tmp_path: Path) -> None:
    kept = updated(tmp_path)
    for rows in kept.rows:
        rows[:] = [row for row in rows if row.correlation is None or row.agent != 3]
    assert found(checked(kept.chain(), tmp_path))["lost"] == 2


def test_counts_that_do_not_add_up_are_found(tmp_path: Path) -> None:
    kept = steady(tmp_path)
    kept.counts = {"received": 7}
    result = checked(kept, tmp_path)
    assert found(result) == {"state_mismatches": 1}
    assert result["examples"]["state_mismatches"][0]["what"] == "counts"


def test_counts_that_the_rows_do_not_bear_out_are_found(tmp_path: Path) -> None:
    kept = steady(tmp_path)
    kept.counts = {"applied": 30, "duplicates": 0, "received": 30}
    assert found(checked(kept, tmp_path)) == {"state_mismatches": 1}


def test_more_frames_than_were_sent_are_phantoms(tmp_path: Path) -> None:
    kept = steady(tmp_path)
    kept.counts = {"received": 1000, "duplicates": 1000, "applied": 0}
    assert checked(kept, tmp_path)["phantom"] == 1


def test_a_late_row_keeps_its_event(tmp_path: Path) -> None:
    kept = steady(tmp_path)
    rows = kept.rows[0]
    agent = rows[-1].agent
    places = [place for place, row in enumerate(rows) if row.agent == agent]
    late = rows.pop(places[-3])
    rows.append(late)
    late.cause = "late"
    result = checked(kept.chain(), tmp_path)
    assert found(result) == {}
    assert result["late_rows"] == 1


def test_a_row_that_is_late_without_reason_is_found(tmp_path: Path) -> None:
    kept = steady(tmp_path)
    kept.rows[0][-1].cause = "late"
    assert checked(kept.chain(), tmp_path)["state_mismatches"] >= 1


def test_a_new_gateway_epoch_restates_everybody_under_small_sequences(tmp_path: Path) -> None:
    run = Run(tmp_path / "ledger")
    run.subscribe()
    run.happen(50)
    run.send(0, 49)
    run.organisation.renumber(21)
    run.subscribe(socket=2)
    run.happen(50)
    run.send(50, 99, socket=2)
    kept = Kept(Expectation(run.close()))
    kept.history(0)
    kept.events(range(50))
    kept.history(50, epoch=2)
    kept.events(range(50, 100), epoch=2)
    assert kept.rows[0][-1].sequence < 100
    assert found(checked(kept.chain(), tmp_path)) == {}


def test_an_event_that_overtook_another_on_the_socket_is_no_fault_of_the_runtime(
    tmp_path: Path,
) -> None:
    run = Run(tmp_path / "ledger", settings(agents=200), window=3)
    run.subscribe()
    run.happen(EVENTS)
    run.send(0, EVENTS - 1)
    kept = Kept(Expectation(run.close()))
    kept.history(0)
    order = kept.expectation.order.numbers(0, EVENTS)
    assert list(order) != sorted(order)
    for number in order:
        kept.add(kept.expectation.agents[number], number, 1, "live")
    assert found(checked(kept.chain(), tmp_path)) == {}


def test_pages_must_say_what_the_rows_say(tmp_path: Path) -> None:
    kept = steady(tmp_path)
    data = kept.write(tmp_path / "data")
    connection = apsw.Connection(str(data / "shard-00.db"))
    (page,) = connection.execute("SELECT data FROM pages").fetchone() or (b"",)
    agents = orjson.loads(page)
    agents[0][2] = "Levitating"
    connection.execute("UPDATE pages SET data = ?", (orjson.dumps(agents),))
    connection.close()
    assert found(verify(tmp_path / "ledger", data)) == {"state_mismatches": 1}


def test_without_a_journal_final_states_and_counts_are_verified(tmp_path: Path) -> None:
    kept = steady(tmp_path)
    assert found(checked(kept, tmp_path, is_journalled=False)) == {}


@pytest.mark.parametrize(
    ("counts", "kind"),
    [({"applied": 40, "received": 40}, "lost"), ({"applied": 61, "received": 61}, "phantom")],
)
def test_without_a_journal_counts_tell_of_what_is_missing_or_too_much(
    counts: dict[str, int], kind: str, tmp_path: Path
) -> None:
    kept = steady(tmp_path)
    kept.counts = counts
    assert found(checked(kept, tmp_path, is_journalled=False))[kind] >= 1


def test_without_a_journal_a_wrong_final_state_is_found(tmp_path: Path) -> None:
    kept = steady(tmp_path)
    end_in_a_wrong_state(kept)
    assert found(checked(kept, tmp_path, is_journalled=False)) == {"state_mismatches": 1}


def test_journals_of_an_earlier_shard_count_are_read_first(tmp_path: Path) -> None:
    run = Run(tmp_path / "ledger")
    run.subscribe()
    run.happen(EVENTS)
    run.send(0, EVENTS - 1)
    directory = run.close()
    before, after = Kept(Expectation(directory)), Kept(Expectation(directory), shards=3)
    before.history(0)
    before.events(range(50))
    after.events(range(50, EVENTS))
    data = after.chain().write(tmp_path / "data")
    held = {row.agent: row.to_state for rows in before.chain().rows for row in rows}
    before.write(data / "archive-001")
    for shard in range(3):  # the first row of each agent goes on from what was held
        connection = apsw.Connection(str(data / f"shard-{shard:02d}.db"))
        for agent, state in held.items():
            connection.execute(
                "UPDATE transitions SET from_state = ? WHERE previous = 0 AND agent ="
                " (SELECT id FROM agents WHERE user_id = ?)",
                (state, after.expectation.script.users[agent]),
            )
        connection.close()
    result = verify(directory, data)
    assert found(result) == {}
    assert result["rows"] == EVENTS + 20


def test_the_command_writes_its_findings_and_exits_by_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = steady(tmp_path)
    data, file = kept.write(tmp_path / "data"), tmp_path / "out.json"
    assert verification.run(tmp_path / "ledger", data, json_file=file) == 0
    printed = orjson.loads(capsys.readouterr().out)
    assert printed == orjson.loads(file.read_bytes())
    drop_an_event(kept)
    assert verification.run(tmp_path / "ledger", kept.write(tmp_path / "worse")) == 1


def test_what_cannot_be_verified_is_said_and_exits_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verification.run(tmp_path / "nothing", tmp_path) == 2
    assert "holds no ledger" in capsys.readouterr().err
    kept = steady(tmp_path)
    with pytest.raises(JournalError, match="holds no journal"):
        verify(tmp_path / "ledger", tmp_path / "ledger")
    data = kept.write(tmp_path / "data")
    (data / "shard-00.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(JournalError, match="not a readable journal"):
        verify(tmp_path / "ledger", data)
    with pytest.raises(LedgerError):
        Expectation(tmp_path / "nothing")


def test_the_newest_sequence_may_be_demanded(tmp_path: Path) -> None:
    kept = steady(tmp_path)
    assert found(checked(kept, tmp_path, to_newest=True)) == {}
    kept.mark -= 1
    behind = verify(tmp_path / "ledger", kept.write(tmp_path / "behind"), to_newest=True)
    assert found(behind) == {"lost": kept.shards}

"""Verification: a perfect run passes, under faults as well, and each thing that can be wrong is
found as what it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.fake_gateway.cloud.keeper import Gap, Keeper, Row, write_plan
from tests.gateway.bundled import CloudServed, in_loop, served
from tools.fake_gateway.cloud.verify import PLAN_NAME
from tools.fake_gateway.findings import KINDS
from tools.fake_gateway.ledger import LEDGER_NAME
from tools.fake_gateway.pacing import Load
from tools.fake_gateway.verify import EXIT_FINDINGS, EXIT_VERIFIED, run, verify

COMBINED = "?presence&routingStatus"


def found(result: dict[str, Any]) -> dict[str, int]:
    return {kind: result[kind] for kind in (*KINDS, "over_budget") if result[kind]}


def kept(
    directory: Path,
    faults: list[dict[str, Any]],
    *,
    load: Load,
    kind: str = ".activity",
    **how: Any,
) -> Keeper:
    """A run, with these faults one after the other in its middle."""
    keepers = []

    @in_loop
    async def happen() -> None:
        async with served(directory, **how) as gateway:
            keeper = Keeper(gateway, await gateway.users(), kind=kind)
            keepers.append(keeper)
            await keeper.start()
            gateway.gateway.start_load(load)
            for fault in faults:
                await gateway.control("/faults", fault)
                await moved_on(gateway)
                await keeper.settled()
            await keeper.stop()

    happen()
    return keepers[0]


async def moved_on(gateway: CloudServed) -> None:
    before = (await gateway.control("/status"))["generated"]
    await gateway.eventually(lambda status: status["generated"] > before + 50)


def checked(directory: Path, keeper: Keeper, **options: bool) -> dict[str, Any]:
    return verify(directory / "ledger", keeper.write(directory / "data"), **options)


def test_a_perfect_run_is_verified_with_its_figures(tmp_path: Path) -> None:
    keeper = kept(tmp_path, [], load=Load(2000.0, 0.3))
    result = checked(tmp_path, keeper, to_newest=True)
    assert found(result) == {}
    assert result["verified"] is True
    assert result["generated"] == result["expected"] == 600
    assert result["rows"] == 600 + 60
    assert (result["excused"], result["overtaken"], result["cut"]) == (0, 0, 0)
    assert result["latency_ms"]["count"] == 600


def test_how_long_an_agent_was_not_held_as_it_was_is_told_from_the_first_event_that_was_missed(
    tmp_path: Path,
) -> None:
    keeper = kept(tmp_path, [], load=Load(2000.0, 0.3))
    whole = checked(tmp_path, keeper)
    latest_s = whole["latency_ms"]["max"] / 1000
    assert whole["longest_behind_s"] == pytest.approx(latest_s, abs=0.002)
    first = whole["longest_behind"]
    del keeper.rows[first["row"] - 1]
    keeper.counts["applied"] -= 1
    found_later = verify(tmp_path / "ledger", keeper.write(tmp_path / "later"))["longest_behind"]
    assert (found_later["user"], found_later["event"]) == (first["user"], first["event"])


@pytest.mark.parametrize(("kind", "kinds"), [(COMBINED, set()), (".activity", {"inversions"})])
def test_a_snapshot_may_tell_one_part_when_the_other_is_newer_already(
    kind: str, kinds: set[str], tmp_path: Path
) -> None:
    """If events tell parts: then the row says what is held of both, at the time of the older."""
    keeper = kept(tmp_path, [], load=Load(4000.0, 0.4), kind=kind)
    for user in keeper.users:
        rows = [row for row in keeper.rows if isinstance(row, Row) and row.user == user]
        others = [row for row in rows[1:-1] if row.to_state != rows[-1].to_state]
        if others:
            break
    else:
        raise AssertionError("nobody has changed twice")
    told = Row(**vars(rows[-1]) | {"at_us": others[0].at_us, "cause": "history"})
    keeper.rows.append(told)
    keeper.counts["applied"] += 1
    keeper.counts["received"] += 1
    wrong = found(checked(tmp_path, keeper)).keys()
    assert wrong == kinds if kind == COMBINED else wrong >= kinds


FAULTS: list[dict[str, Any]] = [
    {"kind": "drop"},
    {"kind": "close", "code": 1012},
    {"kind": "closing", "seconds": 0.05},
    {"kind": "unsubscribe", "some": 1},
    {"kind": "expire-channel"},
    {"kind": "revoke-channel", "some": 1},
    {"kind": "lose-channel"},
    {"kind": "forget-channel", "some": 1},
    {"kind": "stall", "seconds": 0.1},
    {"kind": "expire-tokens"},
    {"kind": "refuse-sockets", "status": 500},
    {"kind": "drop", "some": 1},
    {"kind": "malformed", "count": 3},
    {"kind": "unknown-topic"},
    {"kind": "fragmented"},
    {"kind": "binary"},
]


@pytest.mark.parametrize("kind", [".activity", COMBINED])
def test_under_all_kinds_of_faults_every_event_is_held_or_owned_up_to(
    kind: str, tmp_path: Path
) -> None:
    load = Load(2000.0, 4.0)
    keeper = kept(tmp_path, FAULTS, load=load, kind=kind, late=(10, 25), calls_per_minute=10_000)
    result = checked(tmp_path, keeper, to_newest=True)
    assert found(result) == {}, result["examples"]
    assert result["excused"] > 0
    assert kind == ".activity" or not result["completions"]  # how many: a matter of the race
    assert result["gaps"] > 10
    assert result["faults"].keys() >= {fault["kind"] for fault in FAULTS}


def lose_an_event(keeper: Keeper) -> None:
    """Not the last of its agent, so that the final state is right."""
    live = [row for row in keeper.rows if isinstance(row, Row) and row.cause == "live"]
    last_of = {row.user: row for row in live}
    keeper.rows.remove(next(row for row in live if last_of[row.user] is not row))
    keeper.counts["applied"] -= 1
    keeper.counts["duplicates"] += 1


def lose_an_agent(keeper: Keeper) -> None:
    rows = [row for row in keeper.rows if isinstance(row, Row) and row.user == keeper.users[59]]
    for row in rows:
        keeper.rows.remove(row)
    keeper.counts["applied"] -= len(rows)
    keeper.counts["duplicates"] += len(rows)


def invent_an_event(keeper: Keeper) -> None:
    keeper.rows.append(Row(keeper.users[3], "Talking", 1, None, "busy", "live"))
    keeper.counts["applied"] += 1
    keeper.counts["received"] += 1


def double_an_event(keeper: Keeper) -> None:
    row = next(row for row in keeper.rows[::-1] if isinstance(row, Row))
    place = keeper.rows.index(row)
    keeper.rows.insert(place, Row(**vars(row)))
    keeper.counts["applied"] += 1
    keeper.counts["received"] += 1


def swap_two_events(keeper: Keeper) -> None:
    """Two neighbours of one agent change places; the last one stays."""
    rows = [row for row in keeper.rows if isinstance(row, Row) and row.user == keeper.users[5]]
    first, second = (keeper.rows.index(row) for row in rows[-3:-1])
    keeper.rows[first], keeper.rows[second] = keeper.rows[second], keeper.rows[first]


def misstate_the_last(keeper: Keeper) -> None:
    row = next(row for row in keeper.rows[::-1] if isinstance(row, Row))
    row.to_state = "Reserved"


def miscount(keeper: Keeper) -> None:
    keeper.counts["received"] += 1


def misname_a_presence(keeper: Keeper) -> None:
    keeper.held[keeper.users[4]].definition = "another"


def misdate_a_status(keeper: Keeper) -> None:
    keeper.held[keeper.users[4]].routing_us += 1


def end_unknown(keeper: Keeper) -> None:
    keeper.rows.append(Row(keeper.users[7], "Unknown", 1, None, None, "lost"))


@pytest.mark.parametrize(
    ("spoil", "kinds"),
    [
        (lose_an_event, {"lost"}),
        (lose_an_agent, {"lost"}),
        (invent_an_event, {"phantom"}),
        (double_an_event, {"duplicate_effects"}),
        (swap_two_events, {"inversions"}),
        (misstate_the_last, {"state_mismatches"}),
        (miscount, {"state_mismatches"}),
        (misname_a_presence, {"state_mismatches"}),
        (misdate_a_status, {"state_mismatches"}),
        (end_unknown, {"state_mismatches"}),
    ],
)
def test_what_is_wrong_is_found(
    spoil: Callable[[Keeper], None], kinds: set[str], tmp_path: Path
) -> None:
    keeper = kept(tmp_path, [], load=Load(4000.0, 0.2))
    spoil(keeper)
    assert found(checked(tmp_path, keeper, to_newest=True)).keys() == kinds


def test_an_event_that_was_dropped_is_lost_without_its_gap_row(tmp_path: Path) -> None:
    outage = {"kind": "refuse-sockets", "status": 500, "count": 20}
    keeper = kept(tmp_path, [outage, {"kind": "drop"}], load=Load(4000.0, 1.0))
    assert any(isinstance(row, Gap) for row in keeper.rows)
    keeper.rows = [row for row in keeper.rows if isinstance(row, Row)]
    assert found(checked(tmp_path, keeper)).keys() == {"lost"}


def test_a_gap_row_of_another_slot_accounts_for_nothing(tmp_path: Path) -> None:
    outage = {"kind": "refuse-sockets", "status": 500, "count": 20}
    keeper = kept(tmp_path, [outage, {"kind": "drop"}], load=Load(4000.0, 1.0))
    data = keeper.write(tmp_path / "data")
    slots = [keeper.users[slot::2] for slot in (0, 1)]
    write_plan(data, slots)
    assert found(verify(tmp_path / "ledger", data)) == {}
    (data / PLAN_NAME).unlink()
    write_plan(data, [[], [], *slots])
    assert found(verify(tmp_path / "ledger", data)).keys() == {"lost"}
    (data / PLAN_NAME).write_bytes(b"no database")
    assert found(verify(tmp_path / "ledger", data)) == {}


def test_who_is_left_out_may_be_unknown_and_misses_nothing(tmp_path: Path) -> None:
    @in_loop
    async def happen() -> None:
        async with served(tmp_path) as gateway:
            users = await gateway.users()
            keeper = Keeper(gateway, users, slots=1)
            await keeper.start()
            gateway.gateway.start_load(Load(3000.0, 0.5))
            await asyncio.sleep(0.1)
            await gateway.control("/roster", {"user": users[0], "state": "inactive"})
            (channel,) = (await gateway.control("/channels"))["channels"]
            topics = [f"v2.users.{user}.activity" for user in users[1:]]
            await gateway.subscribe(channel, topics)
            await keeper.stop()
            keeper.rows.append(Row(users[0], "Unknown", 1, None, None, "lost"))
            result = checked(tmp_path, keeper, to_newest=True)
            assert found(result) == {}, result["examples"]
            assert result["expected"] < result["generated"]

    happen()


def test_final_states_are_checked_without_rows_as_well(tmp_path: Path) -> None:
    keeper = kept(tmp_path, [], load=Load(2000.0, 0.2))
    data = keeper.write(tmp_path / "data")
    assert verify(tmp_path / "ledger", data, is_journalled=False)["verified"] is True
    misstate_the_last(keeper)
    spoilt = keeper.write(tmp_path / "spoilt")
    result = verify(tmp_path / "ledger", spoilt, is_journalled=False)
    assert found(result) == {"state_mismatches": 1}


def test_a_call_over_the_budget_is_a_finding_in_a_run_without_faults(tmp_path: Path) -> None:
    keepers = []

    @in_loop
    async def happen() -> None:
        async with served(tmp_path, calls_per_minute=7) as gateway:
            keeper = Keeper(gateway, await gateway.users())
            keepers.append(keeper)
            await keeper.start()
            for _ in range(3):
                await gateway.call("GET", "/api/v2/organizations/me")
            await keeper.stop()

    happen()
    result = checked(tmp_path, keepers[0])
    assert found(result) == {"over_budget": result["too_many_requests"]}
    assert result["too_many_requests"] > 0
    assert result["fullest_window"] > 7


def test_the_command_line_tells_the_dialect_from_the_ledger(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keeper = kept(tmp_path, [], load=Load(2000.0, 0.1))
    data = keeper.write(tmp_path / "data")
    assert run(tmp_path / "ledger", data) == EXIT_VERIFIED
    assert orjson.loads(capsys.readouterr().out)["dialect"] == "cloud"
    ledger = tmp_path / "ledger" / LEDGER_NAME
    lines = ledger.read_bytes().splitlines(keepends=True)
    assert run(tmp_path / "ledger", data) == EXIT_VERIFIED
    ledger.write_bytes(b"".join(line for line in lines if b'"kind":"steps"' not in line))
    assert run(tmp_path / "ledger", data) == EXIT_FINDINGS

"""What `state` and `repair` show of shards: sessions, histories, gaps, and what was set aside."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import apsw
import pytest

from actors import main as cli
from actors.messages.control import SCOPE_ALL, Gap, SessionEnds
from actors.planner.store import prepare as prepare_roster
from actors.planner.store import roster_path
from actors.sender.store import prepare as prepare_store
from actors.shard.journal import prepare
from actors.storage.data_dir import DataDir, GatewayIdentity, sender_path
from runtime.errors import EXIT_CONFIGURATION, EXIT_TEMPORARY
from tests.actors.shard.lending import A, control, event
from tests.actors.shard.rig import Rig

GAP = Gap(2, SCOPE_ALL, 1, 1_002, 1_100, "not retained by the gateway", 8_000_000)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    identity = GatewayIdentity(dialect="wsp", gateway="https://example.test")
    DataDir.claim(path, identity, shards=1).lock.release()
    return path


@pytest.fixture
def rig(data_dir: Path) -> Rig:
    rig = Rig(data_dir / "shard-00.db")
    rig.begin()
    rig.feed(event(1_001, A, "Talking"), event("x", A))
    return rig


def shard_told(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert cli.main(["state", "--json", "--data-dir", str(data_dir)]) == 0
    (shard,) = json.loads(capsys.readouterr().out)["shards"]
    assert isinstance(shard, dict)
    return shard


def columns(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    assert cli.main(["state", "--data-dir", str(data_dir)]) == 0
    head, row = capsys.readouterr().out.split("\n\n")[1].splitlines()
    return dict(zip(head.split("\t"), row.split("\t"), strict=True))


def test_all_agents_are_told_as_json_or_how_many_are_not(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rig = Rig(data_dir / "shard-00.db")
    rig.begin()
    rig.feed(*(event(1_001 + number, f"agent-{number}") for number in range(60)))
    rig.commit(finish=True)

    def told(*options: str) -> tuple[int, int, int, bool]:
        assert cli.main(["state", "--json", *options, "--data-dir", str(data_dir)]) == 0
        body = json.loads(capsys.readouterr().out)
        counts = body["agents_total"], body["agents_without_state"]
        return (len(body["agents"]), *counts, body["is_complete"])

    assert told() == told("--limit", "0") == told("--limit", "60") == (60, 60, 0, True)
    assert told("--limit", "59") == (59, 60, 0, False)


def test_a_session_and_its_history_are_shown_as_they_go(
    rig: Rig, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = columns(data_dir, capsys)
    assert (shown["session"], shown["history"], shown["confirmed"]) == ("up", "running", "never")
    assert (shown["quarantined"], shown["gaps"]) == ("1", "0")
    rig.end_history()
    shown = columns(data_dir, capsys)
    assert (shown["session"], shown["history"], shown["confirmed"]) == ("up", "", "now")
    rig.feed(control(SessionEnds(1, SCOPE_ALL, "closed", 7_000_000)))
    told = shard_told(data_dir, capsys)
    assert told["session"] == {"number": 1, "up": False}
    assert (told["stale"], told["stale_since"]) == (True, "1970-01-01T00:00:07.000Z")


def test_a_history_that_is_wanted_again_is_shown(
    rig: Rig, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rig.restart()  # in its middle
    rig.feed(event(1_002, A))
    assert columns(data_dir, capsys)["history"] == "wanted"
    told = shard_told(data_dir, capsys)
    assert (told["history_running"], told["wants_history"]) == (True, True)
    rig.begin(session=2)
    assert columns(data_dir, capsys)["history"] == "running"


def test_a_gap_is_shown_with_its_range_its_time_and_its_reason(
    rig: Rig, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rig.end_history()
    rig.feed(control(SessionEnds(1, SCOPE_ALL, "closed", 7_000_000)))
    rig.begin(session=2, newest=1_100, resumed_after=1)
    rig.feed(control(GAP))
    (gap,) = shard_told(data_dir, capsys)["gaps"]
    assert (gap["first_sequence"], gap["last_sequence"]) == (1_002, 1_100)
    assert (gap["since"], gap["until"]) == ("1970-01-01T00:00:07.000Z", "1970-01-01T00:00:08.000Z")
    assert cli.main(["state", "--data-dir", str(data_dir)]) == 0
    last_row = capsys.readouterr().out.splitlines()[-1].split("\t")
    assert last_row == ["shard-00", gap["since"], gap["until"], "1", "1002", "1100", GAP.reason]
    assert rig.shard.standing.gaps == 1
    rig.restart()
    assert rig.shard.standing.gaps == 1


def test_a_journal_from_before_gaps_had_a_beginning_is_read_and_goes_on(
    rig: Rig, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rig.feed(control(GAP))
    rig.journal.close()
    connection = apsw.Connection(str(rig.path))
    connection.execute("ALTER TABLE gaps DROP COLUMN since_us")
    connection.close()
    (gap,) = shard_told(data_dir, capsys)["gaps"]
    assert gap["since"] is None
    prepare(rig.path, "run-1")
    rig.restart()
    rig.feed(control(GAP))
    assert len(shard_told(data_dir, capsys)["gaps"]) == 2


def test_repair_says_what_was_wrong_and_where_it_is_kept(
    rig: Rig, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rig.commit(finish=True)
    rig.journal.close()
    assert cli.main(["repair", "--data-dir", str(data_dir)]) == 0
    assert "Nothing to repair" in capsys.readouterr().out
    rig.path.write_bytes(os.urandom(9_000))
    assert cli.main(["state", "--data-dir", str(data_dir)]) == EXIT_CONFIGURATION
    assert f"{rig.path} is damaged" in capsys.readouterr().err
    assert cli.main(["repair", "--data-dir", str(data_dir)]) == 0
    out = capsys.readouterr().out
    (kept_in,) = data_dir.glob("broken-*")
    assert f"shard-00.db\tfile is not a database\t{kept_in}" in out
    assert shard_told(data_dir, capsys)["agents"] == 0


def test_repair_refuses_while_a_runtime_has_the_directory(
    rig: Rig, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    identity = GatewayIdentity(dialect="wsp", gateway="https://example.test")
    running = DataDir.claim(data_dir, identity, shards=1)
    assert cli.main(["repair", "--data-dir", str(data_dir)]) == EXIT_TEMPORARY
    assert f"process {os.getpid()}" in capsys.readouterr().err
    running.lock.release()


def test_backup_and_repair_know_the_store_of_the_sender(
    rig: Rig, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare_store(sender_path(data_dir), "run-1")
    copy = tmp_path / "copy"
    assert cli.main(["backup", str(copy), "--json", "--data-dir", str(data_dir)]) == 0
    copied = [Path(each["path"]).name for each in json.loads(capsys.readouterr().out)]
    assert copied == ["shard-00.db", "sender.db"]
    rig.journal.close()
    sender_path(data_dir).write_text("a shopping list\n" * 900)
    assert cli.main(["repair", "--json", "--data-dir", str(data_dir)]) == 0
    journal, store = json.loads(capsys.readouterr().out)
    assert journal["problem"] is None
    assert store["problem"]
    assert (Path(store["kept_in"]) / "sender.db").is_file()
    assert not sender_path(data_dir).exists()


def test_backup_and_repair_know_the_file_of_the_planner(
    rig: Rig, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare_roster(roster_path(data_dir), "run-1")
    copy = tmp_path / "copy"
    assert cli.main(["backup", str(copy), "--json", "--data-dir", str(data_dir)]) == 0
    copied = [Path(each["path"]).name for each in json.loads(capsys.readouterr().out)]
    assert copied == ["shard-00.db", "cloud.db"]
    rig.journal.close()
    roster_path(data_dir).write_text("a shopping list\n" * 900)
    assert cli.main(["repair", "--json", "--data-dir", str(data_dir)]) == 0
    journal, roster = json.loads(capsys.readouterr().out)
    assert journal["problem"] is None
    assert (Path(roster["kept_in"]) / "cloud.db").is_file()
    assert not roster_path(data_dir).exists()

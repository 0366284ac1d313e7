"""Broken files of channels: set aside whole by `repair`, so that the next start begins anew."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from actors import main as cli
from actors.genesys.channel_plan import Slot
from actors.genesys.cloud_answers import RejectedTopic
from actors.genesys.secret import Secret
from actors.receiver.channel_store import (
    CHANNELS_FILE,
    ChannelRecord,
    ChannelStore,
    prepare,
    read_report,
)
from actors.storage.data_dir import DataDir, GatewayIdentity
from tests.actors.sender.drawer import NOW_US


@pytest.fixture
def path(tmp_path: Path) -> Path:
    identity = GatewayIdentity(dialect="cloud", gateway="https://api.mypurecloud.de")
    DataDir.claim(tmp_path / "data", identity, shards=1).lock.release()
    path = tmp_path / "data" / "channels-0.db"
    prepare(path, "run-1")
    store = ChannelStore(path, "run-1")
    for number in range(100):
        slot = Slot(0, number)
        text = Secret(f"channel {number}" + "x" * 100)
        store.add(ChannelRecord(text, slot, text, NOW_US, None))
        store.refuse(slot, [RejectedTopic(f"v2.users.u{number}.activity", "no", ("p",))], NOW_US)
    store.close()
    return path


def spoil(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4096] + os.urandom(len(content) - 4096))


def run(path: Path, statement: str) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(statement)
    connection.close()


BREAKS: dict[str, Callable[[Path], object]] = {
    "noise": spoil,
    "another kind of file": lambda path: path.write_text("a shopping list\n" * 900),
    "a table is gone": lambda path: run(path, "DROP TABLE refused"),
    "progress is gone": lambda path: run(path, "DELETE FROM progress"),
    "a permission that is no list": lambda path: run(path, "UPDATE refused SET permissions = '{'"),
}


@pytest.mark.parametrize("how", BREAKS)
def test_a_broken_file_is_set_aside_and_the_receiver_begins_anew(path: Path, how: str) -> None:
    BREAKS[how](path)
    broken = path.read_bytes()
    finding = CHANNELS_FILE.repair(path, NOW_US)
    assert finding is not None
    assert finding.problem
    assert finding.kept_in is not None
    assert (finding.kept_in / path.name).read_bytes() == broken
    prepare(path, "run-2")
    assert read_report(path).channels == {}


def test_a_healthy_file_stays_and_one_that_is_not_there_is_none(path: Path, tmp_path: Path) -> None:
    assert CHANNELS_FILE.examine(path) == ""
    finding = CHANNELS_FILE.repair(path, NOW_US)
    assert finding is not None
    assert (finding.problem, finding.kept_in) == ("", None)
    assert len(read_report(path).channels) == 100
    assert CHANNELS_FILE.repair(tmp_path / "none", NOW_US) is None


def test_the_command_examines_the_files_of_all_receivers(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(path.with_name("channels-1.db"), "run-1")
    spoil(path)
    assert cli.main(["repair", "--data-dir", str(path.parent), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    found = {Path(each["journal"]).name: bool(each["problem"]) for each in told}
    assert found == {"channels-0.db": True, "channels-1.db": False}

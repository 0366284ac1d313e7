"""What somebody else has put where a file of ours belongs is neither written to nor followed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from actors.cli.export import export
from actors.sinks.jsonl import JsonLines
from actors.sinks.sink import UndeliveredError
from actors.storage import new_file
from actors.storage.data_dir import LOCK, META, DataDir, GatewayIdentity
from actors.storage.sqlite import Kind, backup, connect
from runtime.errors import ConfigurationError, LocalError
from tests.actors.shard.rig import Rig

IDENTITY = GatewayIdentity(dialect="wsp", gateway="x")


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.write_text("untouched")
    return path


def plant(where: Path, victim: Path, how: str) -> None:
    {"link": where.symlink_to, "second name": where.hardlink_to}[how](victim)


@pytest.mark.parametrize("how", ["link", "second name"])
def test_a_file_is_made_new_with_our_mode_beside_what_was_planted(
    tmp_path: Path, victim: Path, how: str
) -> None:
    plant(tmp_path / "ours", victim, how)
    before = os.umask(0)
    try:
        os.close(new_file.create(tmp_path / "ours"))
    finally:
        os.umask(before)
    assert victim.read_text() == "untouched"
    assert (tmp_path / "ours").lstat().st_mode == 0o100600


@pytest.mark.parametrize("how", ["link", "second name"])
def test_meta_and_an_export_are_written_past_what_was_planted(
    tmp_path: Path, victim: Path, how: str
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    plant(data / "meta.new", victim, how)
    DataDir.claim(data, IDENTITY, shards=1).lock.release()
    Rig(data / "shard-00.db").journal.close()
    plant(tmp_path / "rows.partial", victim, how)
    rows = tmp_path / "rows"
    assert export(
        data, since="1h", until=None, format_="csv", pseudonymise=False, output=rows
    ) == 0  # fmt: skip
    assert victim.read_text() == "untouched"
    assert (data / META).is_file()
    assert rows.lstat().st_mode == 0o100600


def test_neither_the_lock_nor_a_journal_nor_a_backup_is_a_link(
    tmp_path: Path, victim: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / LOCK).symlink_to(victim)
    with pytest.raises(ConfigurationError, match="symbolic link"):
        DataDir.claim(data, IDENTITY, shards=1)
    kind = Kind("journal", 1, ConfigurationError)  # type: ignore[arg-type]
    elsewhere = tmp_path / "shard-00.db"
    Rig(elsewhere).journal.close()
    (data / "shard-00.db").symlink_to(elsewhere)
    with pytest.raises(ConfigurationError, match="symbolic link"):
        connect(data / "shard-00.db", kind)
    dangling = tmp_path / "copy.db"
    dangling.symlink_to(tmp_path / "nowhere")
    with pytest.raises(LocalError, match="does not overwrite"):
        backup(elsewhere, kind, dangling)
    assert not (tmp_path / "nowhere").exists()
    assert victim.read_text() == "untouched"


def test_a_sink_refuses_a_link_and_a_file_of_somebody_else(tmp_path: Path, victim: Path) -> None:
    link = tmp_path / "link.jsonl"
    link.symlink_to(victim)
    paths = {link: "symbolic link"}
    if os.geteuid() == 0:
        foreign = tmp_path / "foreign.jsonl"
        foreign.touch()
        os.chown(foreign, 10_001, -1)
        paths[foreign] = "another user"
    for path, why in paths.items():
        sink = JsonLines(path, rotate_bytes=0, keep=1, in_thread=None)  # type: ignore[arg-type]
        with pytest.raises(UndeliveredError, match=why) as refused:
            sink._open()
        assert refused.value.is_refused
    assert victim.read_text() == "untouched"

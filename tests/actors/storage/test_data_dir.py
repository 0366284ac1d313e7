"""The data directory: one runtime at a time, one identity for ever, nothing of others touched."""

from __future__ import annotations

import json
import os
import pickle
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from actors.storage.data_dir import (
    FORMAT,
    META,
    DataDir,
    GatewayIdentity,
    Lock,
    read_meta,
    shard_path,
)
from runtime.errors import (
    EXIT_CONFIGURATION,
    EXIT_TEMPORARY,
    ConfigurationError,
    TemporaryError,
)

OURS = GatewayIdentity(dialect="wsp", gateway="https://api.mypurecloud.com")


def claim(path: Path, identity: GatewayIdentity = OURS, *, shards: int = 2) -> DataDir:
    return DataDir.claim(path, identity, shards=shards)


def change_meta(path: Path, **fields: object) -> None:
    meta = json.loads((path / META).read_text())
    (path / META).write_text(json.dumps(meta | fields))


def test_a_new_directory_is_private_and_says_what_it_holds(tmp_path: Path) -> None:
    data = claim(tmp_path / "a" / "b", shards=3)
    assert stat.S_IMODE(data.path.stat().st_mode) == 0o700
    assert stat.S_IMODE((data.path / META).stat().st_mode) == 0o600
    assert read_meta(data.path) == data.meta
    assert data.meta.shards == 3
    assert data.meta.gateway == OURS.gateway
    assert data.shard_path(3) == shard_path(data.path, 3) == data.path / "shard-03.db"
    data.lock.release()


def test_a_second_runtime_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    data = claim(tmp_path / "d")
    with pytest.raises(TemporaryError, match=f"process {os.getpid()}") as caught:
        claim(tmp_path / "d")
    assert caught.value.exit_code == EXIT_TEMPORARY
    data.lock.release()
    claim(tmp_path / "d").lock.release()


def test_the_claim_lasts_while_a_child_has_the_descriptor(tmp_path: Path) -> None:
    data = claim(tmp_path / "d")
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"],
        stdin=subprocess.PIPE,
        pass_fds=data.lock.fds,
    )
    try:
        data.lock.release()  # the supervisor is gone
        with pytest.raises(TemporaryError):
            claim(tmp_path / "d")
    finally:
        child.communicate(timeout=10)
    claim(tmp_path / "d").lock.release()


def test_a_lock_travels_by_its_number(tmp_path: Path) -> None:
    data = claim(tmp_path / "d")
    travelled = pickle.loads(pickle.dumps(data.lock))
    assert isinstance(travelled, Lock)
    assert travelled.fds == data.lock.fds
    data.lock.release()


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (GatewayIdentity(dialect="cloud", gateway=OURS.gateway), "was created with dialect = wsp"),
        (
            GatewayIdentity(dialect="wsp", gateway="https://other"),
            "but the settings contain https://other",
        ),
        (GatewayIdentity(dialect="wsp", gateway=OURS.gateway, organisation="x"), "organisation"),
    ],
)
def test_the_journals_of_two_identities_are_never_mixed(
    other: GatewayIdentity, named: str, tmp_path: Path
) -> None:
    claim(tmp_path).lock.release()
    with pytest.raises(ConfigurationError, match=named) as caught:
        claim(tmp_path, other)
    assert caught.value.exit_code == EXIT_CONFIGURATION
    assert "data_dir" in str(caught.value)
    claim(tmp_path).lock.release()  # and the refused one left no lock behind


def test_a_newer_format_is_refused_with_the_way_out(tmp_path: Path) -> None:
    claim(tmp_path).lock.release()
    # A newer version may have fields that we do not know.
    change_meta(tmp_path, format=FORMAT + 1, flavour="new")
    with pytest.raises(ConfigurationError, match="run the newer version"):
        claim(tmp_path)
    with pytest.raises(ConfigurationError, match="run the newer version"):
        read_meta(tmp_path)


def test_another_hash_is_refused_because_agents_would_change_their_owner(tmp_path: Path) -> None:
    claim(tmp_path).lock.release()
    change_meta(tmp_path, hash="crc32")
    with pytest.raises(ConfigurationError, match="crc32"):
        claim(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format": 1}', '{"format": null}'])
def test_a_damaged_meta_is_named_and_kept(content: str, tmp_path: Path) -> None:
    claim(tmp_path).lock.release()
    (tmp_path / META).write_text(content)
    with pytest.raises(ConfigurationError, match="damaged"):
        claim(tmp_path)
    assert (tmp_path / META).read_text() == content


def test_journals_are_not_opened_without_a_journal(tmp_path: Path) -> None:
    claim(tmp_path).lock.release()
    with pytest.raises(ConfigurationError, match="contains journals"):
        DataDir.claim(tmp_path, OURS, shards=2, journal="off")


def test_the_shard_count_changes_only_when_it_is_recorded(tmp_path: Path) -> None:
    claim(tmp_path, shards=2).lock.release()
    data = claim(tmp_path, shards=4)
    assert data.meta.shards == 2
    data.record(shards=4)
    assert read_meta(tmp_path).shards == data.meta.shards == 4
    data.lock.release()


def test_a_directory_of_something_else_is_left_as_it_was(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    (home / "letter.txt").write_text("dear")
    with pytest.raises(ConfigurationError, match=r"letter\.txt"):
        claim(home)
    assert stat.S_IMODE(home.stat().st_mode) == 0o755
    assert [each.name for each in home.iterdir()] == ["letter.txt"]


def test_an_interrupted_first_start_is_taken_up(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("1\n")
    (tmp_path / "meta.new").write_text("{")
    (tmp_path / "lost+found").mkdir()
    claim(tmp_path).lock.release()


def test_a_directory_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    claim(tmp_path / "d").lock.release()
    (tmp_path / "d").chmod(0o755)
    claim(tmp_path / "d").lock.release()
    assert stat.S_IMODE((tmp_path / "d").stat().st_mode) == 0o700


def test_what_cannot_be_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        claim(tmp_path / "file" / "d")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        claim(tmp_path / "file")


def test_there_is_nothing_to_read_where_no_runtime_was(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="contains no journals"):
        read_meta(tmp_path)
    with pytest.raises(ConfigurationError, match="contains no journals"):
        read_meta(tmp_path / "none")

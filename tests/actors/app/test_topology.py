"""The topology: specs, shared memory, and a data directory that is ready for them."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
import structlog
from pydantic import SecretStr

from actors.app import data_files
from actors.app.file_watch import SUSPECT
from actors.app.shared_memory import LINKS, PLANNED, SharedMemory
from actors.app.topology import Runtime, children_environment
from actors.sender.store import CommandStore
from actors.settings.gateway_addresses import gateway_address
from actors.settings.model import Settings
from actors.settings.sender import SenderSettings, WebhookSettings
from actors.shard.journal import Journal
from actors.shard.losses import MISSING
from actors.shard.reader import read_states, summary
from actors.storage.committed_rows import CommittedRows
from actors.storage.data_dir import DataDir, GatewayIdentity, read_meta
from runtime.child_spec import ChildSpec, assert_consistent
from runtime.errors import ConfigurationError, LocalError, TemporaryError
from runtime.log import LogArguments
from runtime.ring import ring_bytes
from runtime.spawn import seal
from tests.actors.shard.lending import A, event
from tests.actors.shard.rig import Rig

SECRET = "s3cret-of-the-client"
LOG = LogArguments(format="json", level="info")


def settings(tmp_path: Path, **fields: Any) -> Settings:
    given: dict[str, Any] = {
        "base_url": "http://127.0.0.1:1",
        "client_id": "c",
        "client_secret": SecretStr(SECRET),
        "data_dir": tmp_path / "data",
        "ring_bytes": 64 << 10,
    }
    return Settings(**(given | fields))


def named(runtime: Runtime, name: str) -> ChildSpec:
    return next(spec for spec in runtime.specs if spec.name == name)


@pytest.fixture
def assembled(tmp_path: Path) -> Iterator[Runtime]:
    runtime = Runtime.assemble(settings(tmp_path, name="east", shards=3), LOG)
    yield runtime
    runtime.data_dir.lock.release()


def test_children_start_downstream_first_and_the_receiver_needs_every_shard(
    assembled: Runtime,
) -> None:
    assert_consistent(assembled.specs)
    assert [spec.name for spec in assembled.specs] == [
        "web",
        "sender",
        "shard-0",
        "shard-1",
        "shard-2",
        "receiver-0",
    ]
    assert assembled.specs[-1].needs == ("shard-0", "shard-1", "shard-2")


def test_rings_run_between_sender_web_and_every_shard(assembled: Runtime) -> None:
    web, sender = named(assembled, "web").arguments, named(assembled, "sender").arguments
    shards = [named(assembled, f"shard-{index}").arguments for index in range(3)]
    assert web.sender_enabled
    assert (web.orders, web.outcomes) == (sender.orders, sender.outcomes)
    assert (web.sender_doorbell, web.doorbell) == (sender.doorbell, sender.web_doorbell)
    assert web.sender_counters is named(assembled, "sender").counters
    assert web.shard_counters == assembled.shards
    assert sender.shard_doorbells == tuple(shard.doorbell for shard in shards)
    assert sender.questions == tuple(shard.answering.questions for shard in shards)
    assert sender.answers == tuple(shard.answering.answers for shard in shards)
    assert all(shard.answering.doorbell is sender.doorbell for shard in shards)
    assert sender.path == assembled.data_dir.path / "sender.db"
    assert sender.run == shards[0].run


def test_of_every_link_each_producer_has_a_ring_to_each_consumer(tmp_path: Path) -> None:
    shared = SharedMemory.create(settings(tmp_path, shards=2))
    assert [ring.name for ring in shared.rings] == [
        "receiver-0 to shard-0", "receiver-0 to shard-1",
        "web to sender", "sender to web",
        "sender to shard-0", "sender to shard-1", "shard-0 to sender", "shard-1 to sender",
        "shard-0 to web", "shard-1 to web", "web to shard-0", "web to shard-1",
    ]  # fmt: skip
    bytes_of = {ring.name: ring.size for ring in shared.rings}
    for link in LINKS:
        if link.name in PLANNED:
            continue  # in the other dialect
        ring = f"{_first(link.producer)} to {_first(link.consumer)}"
        assert bytes_of[ring] == ring_bytes(link.capacity or 64 << 10), link.name


def _first(role: str) -> str:
    return role if role in {"web", "sender"} else f"{role}-0"


def test_a_sender_that_is_switched_off_is_left_out_and_web_is_told_so(tmp_path: Path) -> None:
    runtime = Runtime.assemble(settings(tmp_path, sender=SenderSettings(enabled=False)), LOG)
    assert [spec.name for spec in runtime.specs] == ["web", "shard-0", "shard-1", "receiver-0"]
    assert not named(runtime, "web").arguments.sender_enabled
    assert named(runtime, "shard-0").arguments.answering is None
    rings = {ring.name for ring in named(runtime, "web").arguments.rings}
    assert "web to sender" in rings
    assert "sender to shard-0" not in rings
    assert not (tmp_path / "data" / "sender.db").exists()
    runtime.data_dir.lock.release()


def test_what_the_sender_may_do_is_what_the_settings_say(tmp_path: Path) -> None:
    chosen = SenderSettings(
        updates_per_s=2,
        presence_of_state={"Asleep": "offline"},
        webhook=WebhookSettings(url="https://wfm.example", secret=SecretStr("whsec_c2VjcmV0")),
    )
    runtime = Runtime.assemble(settings(tmp_path, sender=chosen, retention_days=3), LOG)
    sender = named(runtime, "sender").arguments
    assert (sender.settings, sender.retention_days) == (chosen, 3)
    assert "whsec_c2VjcmV0" not in repr(sender)
    map_of_shard = named(runtime, "shard-1").arguments.answering.presence_of_state
    assert map_of_shard["Asleep"] == "offline"
    runtime.data_dir.lock.release()


def test_each_run_takes_the_senders_store_from_the_one_before(tmp_path: Path) -> None:
    first = Runtime.assemble(settings(tmp_path), LOG)
    arguments = named(first, "sender").arguments
    orphan = CommandStore(arguments.path, arguments.run)
    first.data_dir.lock.release()
    Runtime.assemble(settings(tmp_path), LOG).data_dir.lock.release()
    with pytest.raises(LocalError, match="Another runtime has taken over this file"):
        orphan.commit([], [])
    orphan.close()


def test_titles_bear_the_name_of_the_installation(assembled: Runtime, tmp_path: Path) -> None:
    assert assembled.title == "presence-runtime: supervisor [east]"
    assert named(assembled, "shard-0").title == "presence-runtime: shard-0 [east]"


def test_without_a_name_titles_are_bare(tmp_path: Path) -> None:
    runtime = Runtime.assemble(settings(tmp_path), LOG)
    assert runtime.specs[-1].title == "presence-runtime: receiver-0"
    runtime.data_dir.lock.release()


def test_every_child_shares_the_claim_on_the_data_directory(assembled: Runtime) -> None:
    for spec in assembled.specs:
        envelope, fds = seal(spec, 1)
        os.close(envelope)
        assert fds.issuperset(assembled.data_dir.lock.fds)
        assert fds.issuperset(spec.counters.fds)


def test_a_second_runtime_on_the_same_directory_is_refused(
    assembled: Runtime, tmp_path: Path
) -> None:
    with pytest.raises(TemporaryError, match=str(os.getpid())):
        Runtime.assemble(settings(tmp_path), LOG)


def test_another_gateway_is_refused_and_leaves_no_claim(tmp_path: Path) -> None:
    Runtime.assemble(settings(tmp_path), LOG).data_dir.lock.release()
    with pytest.raises(ConfigurationError, match="gateway"):
        Runtime.assemble(settings(tmp_path, base_url="http://127.0.0.1:2"), LOG)
    Runtime.assemble(settings(tmp_path), LOG).data_dir.lock.release()


def test_each_run_takes_the_journals_from_the_one_before(tmp_path: Path) -> None:
    first = Runtime.assemble(settings(tmp_path), LOG)
    orphan = Journal(first.data_dir.shard_path(0), named(first, "shard-0").arguments.run)
    first.data_dir.lock.release()
    Runtime.assemble(settings(tmp_path), LOG).data_dir.lock.release()
    with pytest.raises(LocalError, match="is owned by run"):
        orphan.stored()
    orphan.close()


def test_agents_move_when_the_number_of_shards_changes(tmp_path: Path) -> None:
    data = tmp_path / "data"
    Runtime.assemble(settings(tmp_path, shards=1), LOG).data_dir.lock.release()
    rig = Rig(data / "shard-00.db")
    rig.begin()
    rig.feed(event(1_001, A))
    rig.journal.close()
    runtime = Runtime.assemble(settings(tmp_path, shards=3), LOG)
    assert runtime.data_dir.meta.shards == 3
    assert len(list(data.glob("shard-*.db"))) == 3
    assert list(data.glob("archive-*/shard-00.db"))
    runtime.data_dir.lock.release()


@pytest.mark.parametrize(("journal", "epoch"), [("full", 3), ("off", 0)])
def test_the_receiver_is_told_which_numbering_the_marks_belong_to(
    journal: str, epoch: int, tmp_path: Path
) -> None:
    first = Runtime.assemble(settings(tmp_path, shards=1, journal=journal), LOG)
    first.data_dir.lock.release()
    rig = Rig(tmp_path / "data" / "shard-00.db")
    rig.begin(session=1, epoch=2)
    rig.begin(session=2, epoch=3)
    rig.journal.close()
    runtime = Runtime.assemble(settings(tmp_path, shards=1, journal=journal), LOG)
    assert runtime.receiver.get("gateway_epoch") == epoch
    runtime.data_dir.lock.release()


def test_without_a_journal_a_start_knows_nothing(tmp_path: Path) -> None:
    Runtime.assemble(settings(tmp_path, shards=2, journal="off"), LOG).data_dir.lock.release()
    rig = Rig(tmp_path / "data" / "shard-00.db")
    rig.begin()
    rig.feed(event(1_001, A))
    rig.commit(finish=True)
    rig.journal.close()
    again = Runtime.assemble(settings(tmp_path, shards=1, journal="full"), LOG)
    again.data_dir.lock.release()
    assert (again.data_dir.meta.shards, again.data_dir.meta.journal) == (1, "full")
    assert list(read_states(tmp_path / "data")) == []
    assert len(list((tmp_path / "data").glob("shard-*.db"))) == 1


@pytest.mark.parametrize(
    "error",
    [
        apsw.FullError("database or disk is full"),
        apsw.IOError("disk I/O error"),
        apsw.CantOpenError("unable to open database file"),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
)
def test_a_disk_that_is_full_while_journals_are_made_ready_is_a_temporary_fault(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("actors.shard.redistribute.settle", fail)
    with pytest.raises(TemporaryError, match=str(tmp_path / "data")):
        Runtime.assemble(settings(tmp_path), LOG)
    monkeypatch.undo()
    Runtime.assemble(settings(tmp_path), LOG).data_dir.lock.release()  # the claim was given up


@pytest.mark.parametrize("room_pages", [4, 12, 24])
def test_a_real_full_disk_is_one_too(room_pages: int, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user or container may not mount a file system")
    try:
        Runtime.assemble(settings(disk), LOG).data_dir.lock.release()
        with (disk / "filler").open("wb", buffering=0) as file:
            file.write(bytes((os.statvfs(disk).f_bavail - room_pages) * 4096))
        with pytest.raises(TemporaryError, match=str(disk)):
            Runtime.assemble(settings(disk, shards=3), LOG)
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_journal_that_somebody_deleted_is_missed_and_a_first_start_misses_none(
    tmp_path: Path,
) -> None:
    def told(shards: int = 2) -> list[tuple[str, str]]:
        with structlog.testing.capture_logs() as lines:
            Runtime.assemble(settings(tmp_path, shards=shards), LOG).data_dir.lock.release()
        return [(line["event"], line.get("path", "")) for line in lines]

    assert told() == []
    gone = tmp_path / "data" / "shard-01.db"
    gone.unlink()
    assert told() == [("journal.missing", str(gone))]
    assert told() == []
    gone.unlink()
    assert told(shards=3) == [("journal.missing", str(gone)), ("agents.redistributed", "")]


def test_all_journals_deleted_are_missed_too_and_each_has_a_gap(tmp_path: Path) -> None:
    Runtime.assemble(settings(tmp_path), LOG).data_dir.lock.release()
    data_dir = tmp_path / "data"
    for path in data_dir.glob("shard-*"):
        path.unlink()
    with structlog.testing.capture_logs() as lines:
        Runtime.assemble(settings(tmp_path), LOG).data_dir.lock.release()
    assert [line["event"] for line in lines] == ["journal.missing"] * 2
    assert [gap.reason for each in summary(data_dir) for gap in each.gaps] == [MISSING] * 2


def test_a_journal_that_was_put_back_is_older_and_one_that_repair_made_is_not(
    tmp_path: Path,
) -> None:
    Runtime.assemble(settings(tmp_path), LOG).data_dir.lock.release()
    data_dir = tmp_path / "data"
    CommittedRows.write(data_dir, [0, 7])
    with structlog.testing.capture_logs() as lines:
        Runtime.assemble(settings(tmp_path), LOG).data_dir.lock.release()
    (line,) = lines
    assert (line["event"], line["rows"], line["committed"]) == ("journal.older", 0, 7)
    assert [len(each.gaps) for each in summary(data_dir)] == [0, 1]
    assert CommittedRows.read(data_dir) == [0, 8]
    (data_dir / "shard-01.db").write_bytes(b"no journal" * 1_000)
    repaired(data_dir)
    with structlog.testing.capture_logs() as lines:
        Runtime.assemble(settings(tmp_path), LOG).data_dir.lock.release()
    assert lines == []


def repaired(path: Path) -> None:
    meta = read_meta(path)
    identity = GatewayIdentity(dialect=meta.dialect, gateway=meta.gateway)
    data_dir = DataDir.claim(path, identity, shards=meta.shards)
    try:
        findings = data_files.repair(data_dir, 1_796_000_000_000_000)
    finally:
        data_dir.lock.release()
    assert [each.path.name for each in findings if each.problem] == ["shard-01.db"]


def test_a_journal_that_was_written_over_is_examined_and_set_aside_only_if_it_must_be(
    tmp_path: Path,
) -> None:
    Runtime.assemble(settings(tmp_path), LOG).data_dir.lock.release()
    data_dir = tmp_path / "data"
    whole, broken = (data_dir / f"shard-0{index}.db" for index in (0, 1))
    for path in (whole, broken):
        path.with_name(path.name + SUSPECT).touch()
    broken.write_bytes(broken.read_bytes()[:8192] + b"x" * 8192)
    with structlog.testing.capture_logs() as lines:
        Runtime.assemble(settings(tmp_path), LOG).data_dir.lock.release()
    (line,) = lines
    assert (line["event"], line["path"]) == ("journal.set_aside", str(broken))
    assert (Path(line["kept_in"]) / broken.name).exists()
    assert [len(each.gaps) for each in summary(data_dir)] == [0, 1]
    assert not list(data_dir.glob(f"*{SUSPECT}"))


def test_a_store_of_the_sender_that_somebody_deleted_is_missed(tmp_path: Path) -> None:
    def told(**fields: Any) -> list[tuple[str, str]]:
        with structlog.testing.capture_logs() as lines:
            Runtime.assemble(settings(tmp_path, **fields), LOG).data_dir.lock.release()
        return [(line["event"], line.get("path", "")) for line in lines]

    assert told(sender={"enabled": False}) == []
    assert told() == []  # the first start with a sender
    gone = tmp_path / "data" / "sender.db"
    gone.unlink()
    assert told(sender={"enabled": False}) == []  # nobody wants it now
    assert told() == [("sender.missing", str(gone))]
    assert told() == []


def test_children_get_their_settings_as_values_and_not_as_variables() -> None:
    given = {
        "PATH": "/bin",
        "PRESENCE_CLIENT_SECRET": SECRET,
        "presence_client_id": "c",
        "GENESYSCLOUD_OAUTHCLIENT_SECRET": SECRET,
        "PRESENCE_CRASH_AT": "shard-0:after-commit",
        "HTTPS_PROXY": "http://proxy:3128",
    }
    assert sorted(children_environment(given)) == ["HTTPS_PROXY", "PATH", "PRESENCE_CRASH_AT"]


def test_no_title_and_no_name_holds_the_secret(assembled: Runtime) -> None:
    for spec in assembled.specs:
        assert SECRET not in spec.title + spec.name + repr(spec)


def test_the_receiver_learns_the_gateway_from_the_settings(tmp_path: Path) -> None:
    address = gateway_address(settings(tmp_path, proxy="http://proxy:3128"))
    assert address.api_url == "http://127.0.0.1:1"
    assert address.credentials() == ("c", SECRET)
    assert address.proxy == "http://proxy:3128"
    assert SECRET not in repr(address)

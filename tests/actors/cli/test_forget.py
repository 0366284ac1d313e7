"""The command `forget`: which files it looks into, whom it asks, and what it says."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from actors import main as cli
from actors.app.data_files import channels_path
from actors.cli.forget import LEFTOVERS, is_mentioned
from actors.genesys.channel_plan import Slot
from actors.genesys.cloud_answers import RejectedTopic
from actors.messages.mention import mentions
from actors.planner import store as planner_store
from actors.receiver import channel_store
from actors.sender.commands import Record
from actors.sender.store import CommandStore
from actors.sender.store import prepare as prepare_store
from actors.shard import reader
from actors.shard.quarantine import FRAME_BYTES_MAX
from actors.storage import sqlite
from actors.storage.data_dir import DataDir, GatewayIdentity, sender_path
from actors.storage.sqlite import Kind
from runtime.errors import EXIT_CLEAN, EXIT_FAILURE, EXIT_TEMPORARY, TemporaryError
from tests.actors.sender.drawer import NOW_US, RUN, accepted
from tests.actors.shard.cloud_lending import activity, watch
from tests.actors.shard.lending import A, B, event, rejected
from tests.actors.shard.rig import Rig

IDENTITY = GatewayIdentity(dialect="cloud", gateway="https://api.example.test")


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Of the cloud dialect, with A and B in every file that can hold somebody."""
    path = tmp_path / "data"
    DataDir.claim(path, IDENTITY, shards=1).lock.release()
    (path / "archive-001").mkdir()
    for journal in (path / "shard-00.db", path / "archive-001" / "shard-00.db"):
        rig = Rig(journal, "cloud")
        watch(rig, A, B)
        rig.feed(activity("MEAL", 10, "OFF_QUEUE", 11), event("x", A))
        rig.commit(finish=True)
        rig.journal.close()
    prepare_store(sender_path(path), RUN)
    with closing(CommandStore(sender_path(path), RUN)) as store:
        for number, user in ((1, A), (2, B)):
            command = accepted(number, user_id=user)
            store.commit([Record(command, command.step, NOW_US, "", None)])
    roster = planner_store.roster_path(path)
    planner_store.prepare(roster, RUN)
    with closing(apsw.Connection(str(roster))) as connection:
        for user, name in ((A, "Anna"), (B, "Berta")):
            connection.execute("INSERT INTO users VALUES (?, ?, 0, NULL, NULL)", (user, name))
            address = f"{name.lower()}@example.test"
            profile = {"user_name": address, "email": address, "manager": {"id": A, "name": "Anna"}}
            connection.execute("INSERT INTO profiles VALUES (?, ?)", (user, json.dumps(profile)))
    channels = channels_path(path, 0)
    channel_store.prepare(channels, RUN)
    with closing(channel_store.ChannelStore(channels, RUN)) as held:
        topics = [
            f"v2.users.{user}{end}"
            for user in (A, B)
            for end in (".activity", "?presence&routingStatus", ".routingStatus")
        ]
        held.refuse(Slot(0, 0), [RejectedTopic(topic, "no", ()) for topic in topics], NOW_US)
    return path


def forgotten(data_dir: Path, *flags: str, user: str = A) -> int:
    return cli.main(["forget", user, *flags, "--data-dir", str(data_dir)])


def mentioning(data_dir: Path, text: str) -> list[str]:
    files = sorted(each for each in data_dir.rglob("*") if each.is_file())
    return [each.name for each in files if text.encode() in each.read_bytes()]


def test_a_person_is_taken_out_of_every_file_and_others_stay(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    everywhere = [
        "shard-00.db", "channels-0.db", "cloud.db", "sender.db", "shard-00.db"
    ]  # fmt: skip
    assert mentioning(data_dir, A) == mentioning(data_dir, B) == everywhere
    others = [each for each in reader.read_states(data_dir) if each.user_id == B]
    assert forgotten(data_dir, "--yes", "--json") == EXIT_CLEAN
    for text in (A, "Anna", "anna@example.test"):
        assert mentioning(data_dir, text) == []
    assert mentioning(data_dir, "berta@example.test") == ["cloud.db"]
    assert mentioning(data_dir, B) == everywhere
    told = json.loads(capsys.readouterr().out)
    assert told["still_mentioned_in"] == []
    assert told["files"]["sender.db"] == {
        "commands": 0, "commands without an end": 1, "webhook messages": 0,
        "details of the audit": 1,
    }  # fmt: skip
    assert told["files"]["cloud.db"] == {
        "names": 1, "profiles": 1, "profiles of whom they were the manager": 1,
    }  # fmt: skip
    assert told["files"]["channels-0.db"] == {"refused topics": 3}
    for journal in ("shard-00.db", "archive-001/shard-00.db"):
        assert told["files"][journal]["agents"] == told["files"][journal]["frames in quarantine"]
    assert [each.user_id for each in reader.read_states(data_dir)] == [B]
    assert next(reader.read_states(data_dir)).at_us == others[0].at_us
    assert cli.main(["audit", "verify", "--data-dir", str(data_dir)]) == EXIT_CLEAN


def test_whom_nobody_knows_nobody_forgets(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert forgotten(data_dir, "--yes", user="somebody-else") == EXIT_FAILURE
    assert "contains this person" in capsys.readouterr().out


def test_nothing_is_done_before_it_is_agreed_to(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def confirm(question: str) -> bool:
        asked.append(question)
        return False

    monkeypatch.setattr("typer.confirm", confirm)
    assert forgotten(data_dir) == EXIT_FAILURE
    assert asked == [f"Permanently remove {A} from {data_dir}?"]
    assert len(mentioning(data_dir, A)) == 5


def test_a_runtime_that_runs_is_named_and_nothing_is_touched(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    claimed = DataDir.claim(data_dir, IDENTITY, shards=1)
    assert forgotten(data_dir, "--yes") == EXIT_TEMPORARY
    claimed.lock.release()
    said = capsys.readouterr().err
    assert "stop the runtime first" in said
    assert re.search(r"process \d+", said)
    assert len(mentioning(data_dir, A)) == 5


def test_what_is_left_of_somebody_is_named(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = data_dir / "broken-20261122T060000Z"
    broken.mkdir()
    (broken / "shard-00.db").write_bytes(b"damaged " + A.encode() + b"\0")
    assert forgotten(data_dir, "--yes") == EXIT_FAILURE
    assert f"{broken / 'shard-00.db'} still contains this person" in capsys.readouterr().out
    assert mentioning(data_dir, A) == ["shard-00.db"]


@pytest.mark.parametrize("text", ["anna@example.test", "Anna@Example.test", "<ANNA@EXAMPLE.TEST>."])
def test_a_frame_in_quarantine_that_tells_an_address_only_is_forgotten(
    data_dir: Path, text: str
) -> None:
    rig = Rig(data_dir / "shard-00.db", "cloud")
    rig.feed(event("x", f"mail {text}"), event("x", "mail joanna@example.test"))
    rig.commit(finish=True)
    rig.journal.close()
    assert mentioning(data_dir, f"mail {text}") == ["shard-00.db"]
    assert forgotten(data_dir, "--yes") == EXIT_CLEAN
    assert mentioning(data_dir, f"mail {text}") == []
    assert mentioning(data_dir, "mail joanna@example.test") == ["shard-00.db"]


@pytest.mark.parametrize(
    ("text", "is_left"),
    [
        ("anna@example.test", True),
        ("to <Anna@example.test>.", False),  # searched is as it was told, and in lower case
        ("joanna@example.test", False),
        ("max.anna@example.test", False),
        ("anna@example.test.au", False),
    ],
)
def test_a_file_that_holds_an_address_only_is_named(
    data_dir: Path, capsys: pytest.CaptureFixture[str], text: str, is_left: bool
) -> None:
    (data_dir / "sink.jsonl").write_text(f'{{"email":"{text}"}}\n')
    assert forgotten(data_dir, "--yes") == (EXIT_FAILURE if is_left else EXIT_CLEAN)
    assert ("sink.jsonl still contains" in capsys.readouterr().out) == is_left


def test_a_file_of_the_planner_without_profiles_is_forgotten_in_too(data_dir: Path) -> None:
    with closing(apsw.Connection(str(planner_store.roster_path(data_dir)))) as connection:
        connection.execute("DROP TABLE profiles")
    assert forgotten(data_dir, "--yes") == EXIT_CLEAN
    assert mentioning(data_dir, A) == []


def test_what_stands_in_free_pages_only_is_forgotten_too(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert forgotten(data_dir, "--yes") == EXIT_CLEAN
    with closing(apsw.Connection(str(planner_store.roster_path(data_dir)))) as connection:
        connection.pragma("secure_delete", False)
        connection.execute("INSERT INTO users VALUES (?, 'Anna', 0, NULL, NULL)", (A,))
        connection.execute("DELETE FROM users WHERE id = ?", (A,))
    assert mentioning(data_dir, A) == ["cloud.db"]
    capsys.readouterr()
    assert forgotten(data_dir, "--yes", "--json") == EXIT_CLEAN
    assert mentioning(data_dir, A) == []
    assert json.loads(capsys.readouterr().out)["files"] == {"cloud.db": {LEFTOVERS: 1}}


def test_a_disk_that_is_full_is_told_and_the_next_call_goes_on(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, _kind: Kind) -> None:
        raise TemporaryError(f"{path} cannot be written: database or disk is full")

    with monkeypatch.context() as context:
        context.setattr(sqlite, "purge", fail)
        assert forgotten(data_dir, "--yes") == EXIT_TEMPORARY
    assert forgotten(data_dir, "--yes") == EXIT_CLEAN
    assert mentioning(data_dir, A) == []


@pytest.mark.parametrize(
    ("user", "text"),
    [
        ("agent-1", b'{"userId":"agent-1"}'),
        ("agent-1", b"v2.users.agent-1.activity"),
        ("j\u00f6rg/1", b'"j\xc3\xb6rg/1"'),
        ("j\u00f6rg/1", b'"j\\u00f6rg\\/1"'),
        ("j\u00f6rg/1", b'"j\\u00F6rg/1"'),
        ('say "x"', b'"say \\"x\\""'),
    ],
)
def test_a_mention_is_found_however_json_writes_it(user: str, text: bytes) -> None:
    assert mentions(user).search(text)


@pytest.mark.parametrize("text", [b"agent-12", b"my-agent-1", b"agent_1", b"xagent-1", b""])
def test_another_id_that_holds_it_is_no_mention(text: bytes) -> None:
    assert mentions("agent-1").search(text) is False


def test_a_long_id_is_found_whatever_stands_beside_it() -> None:
    assert mentions(A).search(b"x" + A.encode() + b"Anna")


def test_a_short_id_is_looked_for_in_tables_only(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a 7 b")
    assert mentions("7").search(path.read_bytes())
    assert not is_mentioned("7", path, mentions("7"))
    path.write_bytes(b"")
    assert not is_mentioned("agent-1", path, mentions("agent-1"))


def test_frames_in_any_spelling_are_forgotten_and_the_last_search_proves_it(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spelt = [
        A.upper().encode(),
        A.replace("-", "").encode(),
        A.encode("utf-16-le"),
        "".join(f"\\u{ord(each):04X}" for each in A).encode(),
        A.replace("-", "%2D").encode(),
        b"x" * (FRAME_BYTES_MAX - 30) + A[:30].encode() + b"...",
    ]
    rig = Rig(data_dir / "shard-00.db", "cloud")
    rig.feed(*(rejected("odd", b'{"x":"' + each) for each in spelt), rejected("odd", B.encode()))
    rig.journal.close()
    assert forgotten(data_dir, "--yes", "--json") == EXIT_CLEAN
    assert json.loads(capsys.readouterr().out)["still_mentioned_in"] == []
    with closing(apsw.Connection(str(data_dir / "shard-00.db"))) as connection:
        frames = [row[0] for row in connection.execute("SELECT frame FROM quarantine")]
    assert frames == [B.encode()]


def test_a_second_agent_of_an_older_version_in_another_case_goes_too(data_dir: Path) -> None:
    rig = Rig(data_dir / "shard-00.db", "cloud")
    rig.journal._connection.execute("UPDATE agents SET user_id = ? WHERE user_id = ?", (
        A.upper(), A
    ))  # fmt: skip
    rig.journal.close()
    assert forgotten(data_dir, "--yes") == EXIT_CLEAN
    assert mentioning(data_dir, A.upper()) == []

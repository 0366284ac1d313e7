"""Export: what a row becomes, in which order, and how the command behaves."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import apsw
import pytest

from actors import main as cli
from actors.cli.export import rows
from actors.cli.export_formats import Rows, moment
from actors.cli.pseudonyms import FILE, Pseudonyms, open_pseudonyms
from actors.genesys.times import microseconds
from actors.messages.transition import GapRow, JournalRow
from actors.shard import journal, scan
from actors.shard.scan import by_receipt, in_order
from actors.storage.data_dir import DataDir, GatewayIdentity
from runtime.errors import EXIT_CLEAN, EXIT_CONFIGURATION, EXIT_FAILURE, ConfigurationError

SECOND = 1_000_000
NOON_US = microseconds("2026-11-22T12:00:00+00:00")
HOSTILE = 'a,"b"\n=1+1'


def scanned(received_us: int, row: int = 1, **fields: Any) -> JournalRow:
    given: dict[str, Any] = {
        "journal": "shard-00", "user_id": "u1", "from_state": "Available", "to_state": "Talking",
        "at_us": received_us - SECOND, "epoch": 1, "sequence": row, "queue": "q", "presence": None,
        "correlation": None, "cause": "live",
    }  # fmt: skip
    return JournalRow(received_us=received_us, row=row, **(given | fields))


def fill(path: Path, received: Iterable[int], *, users: int = 3, commits_every: int = 10) -> None:
    """A journal with a row for each time, and a commit for some rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    journal.prepare(path, "run")
    with apsw.Connection(str(path)) as connection:
        for user in range(1, users + 1):
            connection.execute("INSERT INTO agents VALUES (?, ?)", (user, f"{path.stem}-u{user}"))
        number = 0
        for number, at_us in enumerate(received, 1):
            row = (number, number % users + 1, 0, None, "Talking", at_us - SECOND, at_us, 1, number)
            connection.execute(
                "INSERT INTO transitions VALUES (?,?,?,?,?,?,?,?,?,NULL,NULL,'c-1','live')", row
            )
            if number % commits_every == 0:
                connection.execute("INSERT INTO commits VALUES (?, ?)", (number, at_us + 5_000))
        connection.execute("UPDATE progress SET next_row = ?", (number + 1,))
    connection.close()


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    identity = GatewayIdentity(dialect="wsp", gateway="https://example.test")
    DataDir.claim(path, identity, shards=2).lock.release()
    seconds = range(0, 10_000, 2)
    fill(path / "archive-001" / "shard-00.db", (NOON_US - 86_400 * SECOND,))
    fill(path / "shard-00.db", (NOON_US + second * SECOND for second in seconds))
    fill(path / "shard-01.db", (NOON_US + (second + 1) * SECOND for second in seconds))
    return path


def exported(data_dir: Path, *flags: str) -> int:
    return cli.main(["export", *flags, "--data-dir", str(data_dir)])


# -- what a moment is ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "at_us"),
    [
        ("2026-11-22", NOON_US - 43_200 * SECOND),
        ("2026-11-22T12:00", NOON_US),
        ("2026-11-22T13:00:00.5+01:00", NOON_US + SECOND // 2),
        ("2026-11-22T12:00:00Z", NOON_US),
        ("24h", NOON_US - 86_400 * SECOND),
        ("90 min", NOON_US - 5_400 * SECOND),
        ("1w", NOON_US - 7 * 86_400 * SECOND),
        ("2 days ago", NOON_US - 2 * 86_400 * SECOND),
        ("30m", NOON_US - 1_800 * SECOND),
        ("now", NOON_US),
        ("today", NOON_US - 43_200 * SECOND),
        (" Yesterday ", NOON_US - (86_400 + 43_200) * SECOND),
        ("sunday", NOON_US - 43_200 * SECOND),  # which the 22nd is
        ("Monday", NOON_US - (6 * 86_400 + 43_200) * SECOND),
    ],
)
def test_a_moment_is_a_time_or_how_long_ago(text: str, at_us: int) -> None:
    assert moment(text, NOON_US) == at_us


@pytest.mark.parametrize("text", ["", "tomorrow", "24", "h", "-1h", "2026-13-01", "9" * 9 + "d"])
def test_anything_else_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match="is not a valid time"):
        moment(text, NOON_US)


# -- what a row becomes ----------------------------------------------------------------------------


def test_a_transition_is_one_line_of_json() -> None:
    line = Rows("jsonl").line(scanned(NOON_US, 7, user_id=HOSTILE))
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "received": "2026-11-22T12:00:00.000Z", "at": "2026-11-22T11:59:59.000Z", "user": HOSTILE,
        "from": "Available", "to": "Talking", "queue": "q", "presence": None, "cause": "live",
        "epoch": 1, "sequence": 7, "correlation": None, "journal": "shard-00", "row": 7,
        "queues": ["q"],
    }  # fmt: skip


def test_a_gap_says_since_when_until_when_and_why() -> None:
    gap = GapRow(9, "*", 1, 100, 2**62 - 1, NOON_US, "not retained", NOON_US - SECOND)
    row = scanned(NOON_US, 9, user_id=None, from_state=None, to_state="", cause="gap", gap=gap)
    told = json.loads(Rows("jsonl").line(row))
    assert (told["user"], told["to"], told["cause"]) == (None, None, "gap")
    assert told["gap"] == {
        "scope": "*", "since": "2026-11-22T11:59:59.000Z", "until": "2026-11-22T12:00:00.000Z",
        "first": 100, "last": None, "reason": "not retained",
    }  # fmt: skip


def test_a_csv_reader_gets_back_what_was_written() -> None:
    gap = GapRow(9, "*", 1, 100, 105, NOON_US, "why", 0)
    lines = Rows("csv")
    text = lines.head + lines.line(scanned(NOON_US, user_id=HOSTILE))
    text += lines.line(scanned(NOON_US, 9, user_id=None, to_state="", cause="gap", gap=gap))
    first, second = csv.DictReader(io.StringIO(text.decode(), newline=""))
    assert (first["user"], first["to"], first["gap_first"]) == (HOSTILE, "Talking", "")
    assert (second["cause"], second["gap_first"], second["gap_reason"]) == ("gap", "100", "why")


@pytest.mark.parametrize("format_", ["jsonl", "csv"])
def test_with_pseudonyms_a_line_names_nobody(format_: Any) -> None:
    lines = Rows(format_, Pseudonyms(b"k" * 32))
    told = [lines.line(scanned(NOON_US, user_id="anna", correlation="c-17")) for _ in range(2)]
    assert told[0] == told[1]
    assert b"anna" not in told[0]
    assert b"c-17" not in told[0]


def test_pseudonyms_are_of_a_key_and_tell_people_and_commands_apart() -> None:
    ours, theirs = Pseudonyms(b"k" * 32), Pseudonyms(b"l" * 32)
    told = {ours.person("a"), ours.person("b"), ours.command("a"), theirs.person("a")}
    assert len(told) == 4
    assert all(len(each) == 32 for each in told)


def test_a_key_is_made_once_for_its_owner_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    first = open_pseudonyms(tmp_path).person("a")
    assert open_pseudonyms(tmp_path).person("a") == first
    path = tmp_path / FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == [FILE]
    path.write_text("0123")
    with pytest.raises(ConfigurationError, match=FILE):
        open_pseudonyms(tmp_path)


# -- in which order --------------------------------------------------------------------------------


def test_rows_that_stand_a_little_out_of_order_are_sorted_within_the_window() -> None:
    rng = random.Random(3)
    found = [scanned(number + rng.randrange(50), number) for number in range(1_000)]
    assert list(in_order(found, 60)) == sorted(found, key=by_receipt)
    assert sorted(in_order(found, 1), key=by_receipt) == sorted(
        found, key=by_receipt
    )  # nothing is lost by a narrow one


def test_all_journals_make_one_stream_in_the_order_of_receipt(data_dir: Path) -> None:
    found = list(rows(data_dir, 0, NOON_US + 86_400 * SECOND))
    assert len(found) == 1 + 10_000
    assert found == sorted(found, key=by_receipt)
    assert found[0].journal == "archive-001/shard-00"
    assert {row.journal for row in found[1:3]} == {"shard-00", "shard-01"}


@pytest.mark.parametrize(("since_s", "until_s"), [(0, 1), (100, 107), (4_990, 20_000), (-5, 0)])
def test_from_the_first_moment_to_before_the_last(
    data_dir: Path, since_s: int, until_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "CLOCK_SLACK_US", 0)
    monkeypatch.setattr(scan, "SLICE_ROWS", 100)
    found = rows(data_dir, NOON_US + since_s * SECOND, NOON_US + until_s * SECOND)
    told = [(row.received_us - NOON_US) // SECOND for row in found]
    assert told == list(range(max(since_s, 0), min(until_s, 10_000)))


def test_what_retention_took_is_left_out(data_dir: Path) -> None:
    with apsw.Connection(str(data_dir / "shard-00.db")) as connection:
        connection.execute("DELETE FROM transitions WHERE id <= 4900")
        connection.execute("DELETE FROM commits WHERE last_row <= 4900")
    connection.close()
    found = list(rows(data_dir, NOON_US, NOON_US + 86_400 * SECOND))
    assert len(found) == 100 + 5_000


def test_rows_are_found_whichever_way_the_clock_was_set_between_their_commits(
    data_dir: Path,
) -> None:
    day_us = 86_400 * SECOND
    journal = data_dir / "shard-00.db"
    with apsw.Connection(str(journal)) as connection:
        for first, last, by_us in ((1_000, 2_000, 9 * day_us), (3_000, 4_000, -9 * day_us)):
            span = (by_us, first, last)
            connection.execute(
                "UPDATE transitions SET received_us = received_us + ? WHERE id BETWEEN ? AND ?",
                span,
            )
            connection.execute(
                "UPDATE commits SET committed_us = committed_us + ? WHERE last_row BETWEEN ? AND ?",
                span,
            )
    connection.close()
    everything = list(scan.scan(journal, "shard-00", 0, NOON_US + 99 * day_us))
    assert len(everything) == 5_000
    for days in (-10, -9, -1, 0, 1, 8, 9, 10):
        since_us = NOON_US + days * day_us
        found = {row.row for row in scan.scan(journal, "shard-00", since_us, since_us + day_us)}
        assert found == {
            row.row for row in everything if since_us <= row.received_us < since_us + day_us
        }


def test_memory_does_not_grow_with_what_is_exported(data_dir: Path) -> None:
    def peak(until_s: int) -> int:
        tracemalloc.start()
        try:
            for _ in rows(data_dir, NOON_US, NOON_US + until_s * SECOND):
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(10_000) < 2 * peak(5_000)


def test_a_slow_reader_holds_no_journal(data_dir: Path) -> None:
    stream = rows(data_dir, NOON_US, NOON_US + 86_400 * SECOND)
    next(stream)
    connection = apsw.Connection(str(data_dir / "shard-00.db"))
    connection.execute("DELETE FROM transitions WHERE id = 5000")
    assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").get == (0, 0, 0)
    connection.close()
    assert sum(1 for _ in stream) == 10_000 - 2  # the stream goes on, without that row


# -- the command -----------------------------------------------------------------------------------


def test_lines_go_to_standard_output(data_dir: Path, capfdbinary: Any) -> None:
    window = ("--since", "2026-11-22T12:00", "--until", "2026-11-22T12:01")
    assert exported(data_dir, *window) == EXIT_CLEAN
    told = capfdbinary.readouterr()
    assert [json.loads(line)["user"] for line in told.out.splitlines()][:2] == [
        "shard-00-u2",
        "shard-01-u2",
    ]
    assert len(told.out.splitlines()) == 60
    assert told.err == b""  # it is no terminal


def test_a_file_is_there_whole_and_for_its_owner(data_dir: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    flags = ("--since", "2020-01-01", "--format", "csv", "--output", str(output))
    assert exported(data_dir, *flags, "--until", "2027-01-01") == EXIT_CLEAN
    assert output.read_text().count("\n") == 1 + 10_001
    assert output.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir() if "partial" in each.name] == []


def test_exports_of_two_days_name_the_same_people_alike(data_dir: Path, capfdbinary: Any) -> None:
    people = []
    for until in ("2026-11-22T12:00:10", "2026-11-22T12:01:00"):
        flags = ("--since", "2026-11-22T12:00", "--until", until, "--pseudonymise")
        assert exported(data_dir, *flags) == EXIT_CLEAN
        out = capfdbinary.readouterr().out
        people.append({json.loads(line)["user"] for line in out.splitlines()})
    assert len(people[0]) == 6
    assert people[0] == people[1]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            ("--since", "tomorrow"),
            "--since 'tomorrow' is not a valid time: expected now, today, yesterday",
        ),
        (("--since", "1h", "--until", "2h"), "swap them"),
        (("--since", "2099-01-01"), "--until now must be later than"),
    ],
)
def test_a_time_that_is_none_is_named(
    data_dir: Path, flags: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exported(data_dir, *flags) == EXIT_CONFIGURATION
    assert said in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_named_as_it_was_given(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    for folder, why in (("missing", "does not exist"), ("file", "does not exist")):
        output = tmp_path / folder / "x.jsonl"
        assert exported(data_dir, "--since", "today", "--output", str(output)) == EXIT_FAILURE
        said = capsys.readouterr().err
        assert f"cannot write --output {output}: the directory {output.parent} {why}" in said
        assert ".partial" not in said


def test_a_reader_that_has_seen_enough_is_no_trouble(data_dir: Path) -> None:
    command = ["-m", "runtime", "export", "--since", "2020-01-01", "--until", "2027-01-01"]
    process = subprocess.Popen(
        [sys.executable, *command, "--data-dir", str(data_dir)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    os.read(process.stdout.fileno(), 100)
    process.stdout.close()
    assert process.wait(60) in (EXIT_FAILURE, -signal.SIGPIPE)
    assert process.stderr.read() == b""
    process.stderr.close()


def test_a_full_disk_is_named_and_no_stack(data_dir: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "runtime",
                "export",
                "--since",
                "2020-01-01",
                "--data-dir",
                str(data_dir),
            ],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == EXIT_FAILURE
    assert done.stderr == (
        "presence-runtime: cannot write to standard output: No space left on device\n"
    )


def test_what_is_no_file_is_not_replaced_by_one(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    given = ("--since", "2020-01-01", "--output", str(pipe))
    assert exported(data_dir, *given) == EXIT_FAILURE
    assert pipe.is_fifo()
    assert "is not a regular file" in capsys.readouterr().err

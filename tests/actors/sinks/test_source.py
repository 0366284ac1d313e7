"""What comes next for a sink, from journals as they are: order, gaps, archives, filters."""

from __future__ import annotations

from pathlib import Path

import orjson

from actors.shard import redistribute
from actors.shard.repair import repair
from actors.sinks.envelope import GAP, MISSED, SinkEvent
from actors.storage.data_dir import DataDir, GatewayIdentity
from tests.actors.sinks.rig import (
    all_events,
    by_subject,
    drain,
    file_of,
    lines_sink,
    prepared,
    shards,
    source_for,
)


def kinds(events: list[SinkEvent]) -> list[str]:
    return [orjson.loads(event.body)["type"] for event in events]


def missed(events: list[SinkEvent]) -> list[tuple[object, ...]]:
    told = [orjson.loads(event.body) for event in events]
    return [
        tuple(each["data"][key] for key in ("first_row", "last_row", "reason"))
        for each in told
        if each["type"] == MISSED
    ]


def test_every_row_of_every_journal_comes_once_and_in_its_order(tmp_path: Path) -> None:
    one, two = shards(tmp_path, 2)
    one.write(*["u1", "u2"] * 10)
    two.write(*["u3"] * 5)
    two.gap()
    prepared(tmp_path)
    source, store = source_for(tmp_path, rows_max=4)
    events = drain(source, store)
    assert len(events) == 26
    assert by_subject(events) == by_subject(all_events(tmp_path))
    assert kinds(events).count(GAP) == 1
    assert drain(source, store) == []
    one.write("u2")
    assert [event.subject for event in drain(source, store)] == ["u2"]


def test_a_busy_journal_does_not_starve_a_quiet_one_and_no_batch_is_too_large(
    tmp_path: Path,
) -> None:
    busy, quiet = shards(tmp_path, 2)
    busy.write(*["u1"] * 50)
    quiet.write("u2")
    prepared(tmp_path)
    source, _ = source_for(tmp_path, rows_max=1)
    came = []
    for _ in range(2):
        pulled = source.pull()
        came += [event.subject for event in pulled.events]
        source.delivered(pulled)
        assert pulled.has_more
    assert sorted(came, key=str) == ["u1", "u2"]


def test_what_was_pulled_and_not_delivered_is_pulled_again(tmp_path: Path) -> None:
    (shard,) = shards(tmp_path)
    shard.write("u1", "u2")
    prepared(tmp_path)
    source, _ = source_for(tmp_path, rows_max=1)
    first = source.pull()
    assert source.pull().events == first.events
    source.delivered(first)  # and not written down: a crash comes before
    assert source.pull().events != first.events
    again, _ = source_for(tmp_path, rows_max=1)
    assert again.pull().events == first.events


def test_rows_past_their_retention_are_told_of_and_the_rest_follows(tmp_path: Path) -> None:
    (shard,) = shards(tmp_path)
    shard.write(*["u1"] * 10)
    prepared(tmp_path)
    source, store = source_for(tmp_path, rows_max=3)
    source.delivered(source.pull())
    shard.prune(before=8)
    assert source.pull().missed == 4
    events = drain(source, store)
    assert missed(events) == [(4, 7, "past its retention")]
    assert kinds(events)[0] == MISSED
    assert [event.id.split("-")[1] for event in events[1:]] == ["8", "9", "10"]
    shard.prune(before=11)
    assert drain(source, store) == []  # what was delivered may go


def test_rows_that_are_gone_to_the_last_are_told_of_too(tmp_path: Path) -> None:
    (shard,) = shards(tmp_path)
    shard.write(*["u1"] * 10)
    prepared(tmp_path)
    shard.prune(before=11)
    source, store = source_for(tmp_path)
    assert missed(drain(source, store)) == [(1, 10, "past its retention")]


def test_journals_of_an_earlier_shard_count_are_read_to_their_end_before_the_next(
    tmp_path: Path,
) -> None:
    data_dir = DataDir.claim(
        tmp_path / "data", GatewayIdentity(dialect="wsp", gateway="x"), shards=2
    )
    for number, shard in enumerate(shards(data_dir.path, 2)):
        shard.write(*[f"u{number}"] * 7)
        shard.close()
    prepared(data_dir.path)
    source, store = source_for(data_dir.path, rows_max=6)
    first = source.pull()
    store.commit(first.places, len(first.events))
    source.close()
    redistribute.settle(data_dir, 1)
    prepared(data_dir.path)
    (shard,) = shards(data_dir.path)
    shard.write("u0", "u1")
    source, store = source_for(data_dir.path, rows_max=6)
    rest = drain(source, store)
    assert len(rest) == 14 - 6 + 2
    assert by_subject([*first.events, *rest]) == by_subject(all_events(data_dir.path))
    assert missed(rest) == []
    archived = {file_of(data_dir.path, f"archive-001/shard-0{n}").identity for n in (0, 1)}
    assert all(source.places[identity].is_done for identity in archived)
    for path in (data_dir.path / "archive-001").iterdir():  # a person deletes it: nothing is missed
        path.unlink()
    prepared(data_dir.path)
    source, store = source_for(data_dir.path)
    assert drain(source, store) == []
    data_dir.lock.release()


def test_a_journal_that_was_set_aside_is_told_of_and_its_successor_is_read_whole(
    tmp_path: Path,
) -> None:
    data_dir = DataDir.claim(
        tmp_path / "data", GatewayIdentity(dialect="wsp", gateway="x"), shards=1
    )
    (shard,) = shards(data_dir.path)
    shard.write("u1", "u1")
    shard.close()
    prepared(data_dir.path)
    source, store = source_for(data_dir.path)
    drain(source, store)
    source.close()
    shard.path.write_bytes(b"what a failing disk has made of it" * 200)
    repair(data_dir, 1_780_000_000_000_000)
    prepared(data_dir.path)
    source, store = source_for(data_dir.path)
    events = drain(source, store)
    assert missed(events) == [(3, None, "the journal is gone")]
    assert kinds(events) == [MISSED, GAP]  # and what repair itself says
    assert drain(source, store) == []
    prepared(data_dir.path)
    source, store = source_for(data_dir.path)
    assert drain(source, store) == []  # it is told of once
    data_dir.lock.release()


def test_a_copy_that_was_put_back_takes_nobody_for_a_loss_that_it_is_not(tmp_path: Path) -> None:
    (shard,) = shards(tmp_path)
    shard.write(*["u1"] * 4)
    shard.close()
    prepared(tmp_path)
    copy = shard.path.read_bytes()
    (shard,) = shards(tmp_path)
    shard.write(*["u1"] * 3)
    shard.close()
    source, store = source_for(tmp_path)
    before = drain(source, store)
    source.close()
    shard.path.write_bytes(copy)
    prepared(tmp_path)
    (shard,) = shards(tmp_path)
    shard.write("u1", received_us=5)
    source, store = source_for(tmp_path)
    events = drain(source, store)
    assert missed(events) == [(8, None, "the journal is gone")]
    assert len(events) == 2
    assert not {event.id for event in events} & {event.id for event in before}


def test_what_a_filter_leaves_out_is_behind_the_sink_all_the_same(tmp_path: Path) -> None:
    (shard,) = shards(tmp_path)
    shard.write(*["u1"] * 5, cause="late")
    shard.write("u1")
    sink = lines_sink(causes=["live"])
    prepared(tmp_path, sink)
    source, store = source_for(tmp_path, sink, rows_max=3)
    pulled = source.pull()
    assert (pulled.events, pulled.has_more) == ((), True)
    assert len(drain(source, store)) == 1
    (place,) = store.places.values()
    assert place.row == 6

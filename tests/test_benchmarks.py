"""The harness of the benchmarks: a wrong result is no figure, a missed target is told."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.harness import (
    ROOT,
    Answer,
    Benchmark,
    Figure,
    Options,
    Target,
    WrongResultError,
    ask,
    overtime_is_wrong,
    take_turns,
    verify,
)
from benchmarks.records import Arrival, Departure, Records

FIGURES = (
    Figure(subject="ours", unit="records/s", values=(3e6, 1e6, 2e6)),
    Figure(subject="theirs", unit="records/s", values=(5e5,)),
)


def test_contestants_take_turns_and_are_told_in_their_own_order() -> None:
    calls: list[str] = []

    def contestant(name: str) -> dict[str, float]:
        calls.append(name)
        return {"calls": float(len(calls))}

    contestants = {name: lambda _, name=name: contestant(name) for name in "abc"}
    options = Options(seconds=0.1, repeat=5, seed=3)
    figures = take_turns(contestants, options)
    assert [figure.subject for figure in figures] == ["a", "b", "c"]
    assert all(len(figure.values) == 5 for figure in figures)
    rounds = ["".join(calls[i : i + 3]) for i in range(0, 15, 3)]
    assert all(sorted(each) == ["a", "b", "c"] for each in rounds)
    assert len(set(rounds)) > 1, "always in the same order"


def test_figures_targets_and_machine_are_told_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    targets = (
        Target(what="fast enough", reached=2e6, bound=3e6),
        Target(what="soon enough", reached=20, bound=100, sense="at most"),
    )
    answer = Answer(figures=FIGURES, targets=targets, facts={"note": "calm"})
    benchmark = Benchmark(question="who is fast?", run=lambda _: answer)
    path = tmp_path / "out.json"
    assert ask("race", benchmark, ["--json", str(path), "--seed", "9"]) == 0
    told = capsys.readouterr().out
    assert "MISSED fast enough: 2.00 M, wanted at least 3.00 M" in told
    assert "met    soon enough: 20, wanted at most 100" in told
    assert "0.25x" in told
    written = json.loads(path.read_text())
    assert written["figures"][0]["median"] == 2e6
    assert [target["met"] for target in written["targets"]] == [False, True]
    assert written["options"] == {"seconds": 2.0, "repeat": 3, "seed": 9}
    assert {"cpu", "python", "commit"} <= written["machine"].keys()
    assert written["facts"] == {"note": "calm"}


def test_nothing_is_a_multiple_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    grown = (("memory", 0.0), ("threads", 2.0))
    figures = tuple(Figure(subject=of, unit="% grown", values=(each,)) for of, each in grown)
    benchmark = Benchmark(question="does it grow?", run=lambda _: Answer(figures=figures))
    assert ask("soak", benchmark, []) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].split() == ["threads", "2", "%", "grown", "2", "..", "2"]


def test_a_benchmark_may_have_arguments_of_its_own() -> None:
    seen = []

    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--agents", type=int)

    def run(options: Options) -> Answer:
        seen.append(options.own.agents)
        return Answer(figures=FIGURES)

    benchmark = Benchmark(
        question="with arguments?",
        run=run,
        add_arguments=add_arguments,
    )
    assert ask("own", benchmark, ["--agents", "12"]) == 0
    assert seen == [12]


def test_a_wrong_result_is_no_figure(capsys: pytest.CaptureFixture[str]) -> None:
    def run(_: Options) -> Answer:
        verify("records", 1, 2)
        return Answer(figures=FIGURES)

    assert ask("wrong", Benchmark(question="wrong?", run=run), []) == 1
    told = capsys.readouterr()
    assert "records: 1 instead of 2" in told.err
    assert not told.out


def test_a_contestant_that_never_ends_is_wrong() -> None:
    with (
        pytest.raises(WrongResultError, match=r"lost: no end after 0\.05 s"),
        overtime_is_wrong("lost", 0.05),
    ):
        time.sleep(60)  # it never ends


def arrival_of(records: Records, stream: list[bytes]) -> Arrival:
    arrival = Arrival()
    for record in stream:
        arrival.digest.update(record)
    return arrival


def test_what_arrives_is_judged_by_count_and_content() -> None:
    records = Records.of(7)
    departure = Departure()
    sent = [record for group in records.for_seconds(0, departure) for record in group]
    end = departure.end()
    assert departure.count == len(sent) > 0
    figures = arrival_of(records, sent).verified("all", len(sent), end, records)
    assert set(figures) == {"records/s", "CPU ns/record"}
    with pytest.raises(WrongResultError, match="records"):
        arrival_of(records, sent[1:]).verified("lost", len(sent) - 1, end, records)
    swapped = [sent[1], sent[0], *sent[2:]]
    with pytest.raises(WrongResultError, match="checksum"):
        arrival_of(records, swapped).verified("swapped", len(sent), end, records)


def test_the_benchmarks_are_listed_and_another_name_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([]) == 0
    assert "ring " in capsys.readouterr().out
    assert main(["rnig"]) == 2
    assert "there are: " in capsys.readouterr().err


def test_the_inbox_benchmark_verifies_and_has_its_figures(tmp_path: Path) -> None:
    path = tmp_path / "inbox.json"
    assert main(["inbox", "--seconds", "0.05", "--repeat", "1", "--json", str(path)]) == 0
    assert len(json.loads(path.read_text())["figures"]) == 6


def test_the_ring_between_two_processes_verifies() -> None:
    from benchmarks.ring import ring, wake

    assert ring(seed=1, seconds=0.05)["records/s"] > 0
    assert wake(seconds=0.05)["µs median"] > 0


@pytest.mark.parametrize("module", ["tutorial", "aiohttp_orjson", "picows_orjson"])
def test_a_peer_of_ours_does_the_same_work_and_is_found_right(module: str) -> None:
    from benchmarks.peers.stage import Act, play, python

    act = Act(program=python(module), agents=100, seed=3, durable=module == "picows_orjson")
    assert play(act, 2_000, 0.3).events > 100


def test_a_peer_that_holds_anything_but_the_truth_is_no_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.peers.stage import Act, play, python

    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # the liar lies elsewhere

    liar = tmp_path / "liar.py"
    liar.write_text(
        "import runpy, benchmarks.peers.agents as agents\n"
        "take = agents.Agents.take\n"
        "def careless(self, event):\n"
        "    event['data']['state'] = 'Available'\n"
        "    take(self, event)\n"
        "agents.Agents.take = careless\n"
        "runpy.run_module('benchmarks.peers.picows_orjson', run_name='__main__')\n"
    )
    interpreter = python("picows_orjson")[0]
    act = Act(program=(interpreter, str(liar)), agents=100, seed=3)
    with pytest.raises(WrongResultError, match="held wrongly"):
        play(act, 2_000, 0.3)


def test_a_load_needs_the_cores_that_its_events_cost_and_one_receiver_is_the_limit() -> None:
    from benchmarks.scaling import FULL, Point, need

    points = [Point(10_000, 1.0, 9.0), Point(100_000, 0.5, 2.0), Point(1_000_000, 0.4, 1.0)]
    some = need(100_000, points, agents=1)
    assert (some.shards, some.is_too_much) == (1, False)
    assert some.cores == pytest.approx(0.25 / FULL)
    assert need(5_000, points, agents=1).cores == pytest.approx(0.05 / FULL)
    between = need(550_000, points, agents=1)  # in the middle of 0.2 and 1.0, 0.05 and 0.4
    assert between.cores == pytest.approx((0.6 + 0.225) / FULL)
    assert (between.shards, need(1_000_000, points, agents=1).shards) == (1, 2)
    assert need(2_000_000, points, agents=1).is_too_much
    assert need(100_000, points, agents=9, growth=2.0).cores == pytest.approx(0.5 / FULL)

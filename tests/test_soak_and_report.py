"""What a soak samples, what its readers hear, and what a report makes of results."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from benchmarks import report
from benchmarks.__main__ import everything, main
from benchmarks.readers import Following
from benchmarks.soak_samples import JUDGED_S, Samples, growth_percent

PNG = b"\x89PNG\r\n\x1a\n"
END_S = 400
KILLS_END_S = 200


def points(value: Any, first_s: int = 0, end_s: int = END_S) -> list[tuple[float, float]]:
    return [(float(at_s), value(at_s)) for at_s in range(first_s, end_s + 1)]


# -- growth ---------------------------------------------------------------------------------------


def test_growth_is_that_of_the_last_fifth_over_the_first_behind_the_kills() -> None:
    steady = points(lambda _: 50.0)
    assert growth_percent(steady, KILLS_END_S) == 0
    rising = points(lambda at_s: 100 + max(0, at_s - KILLS_END_S) / 10)  # 100 … 120
    # Medians at 220 s and 380 s: 102 and 118.
    assert growth_percent(rising, KILLS_END_S) == pytest.approx(100 * (118 / 102 - 1))
    falling = points(lambda at_s: 200 - max(0, at_s - KILLS_END_S) / 10)
    assert growth_percent(falling, KILLS_END_S) == pytest.approx(100 * (182 / 198 - 1))


def test_what_fills_up_to_its_bound_is_no_leak_and_what_falls_is_not_hidden() -> None:
    rising = points(lambda at_s: 100 + max(0, at_s - KILLS_END_S) / 10)  # 102 … 118
    assert growth_percent(rising, KILLS_END_S, 16.0) == 0
    assert growth_percent(rising, KILLS_END_S, 10.0) == pytest.approx(100 * (108 / 102 - 1))
    falling = points(lambda at_s: 200 - max(0, at_s - KILLS_END_S) / 10)
    assert growth_percent(falling, KILLS_END_S, 10.0) == pytest.approx(100 * (182 / 198 - 1))


def test_what_happens_under_kills_and_a_single_spike_are_no_growth() -> None:
    wild = points(lambda at_s: 500.0 if at_s < KILLS_END_S or at_s == 390 else 50.0)
    assert growth_percent(wild, KILLS_END_S) == 0


def test_a_short_time_and_a_process_that_came_late_are_not_judged() -> None:
    short = points(lambda _: 50.0, end_s=KILLS_END_S + int(JUDGED_S) - 1)
    assert growth_percent(short, KILLS_END_S) is None
    assert growth_percent(points(lambda _: 50.0, first_s=KILLS_END_S + 60), KILLS_END_S) is None
    assert growth_percent([], KILLS_END_S) is None


def test_each_growth_has_the_name_of_its_process_and_of_what_grew() -> None:
    samples = Samples(
        memory_mb={"web": points(lambda _: 50.0), "late": points(lambda _: 1.0, first_s=390)},
        descriptors={"web": points(lambda at_s: 20.0 if at_s < 300 else 40.0)},
    )
    assert samples.growths(KILLS_END_S) == {"memory of web": 0, "descriptors of web": 50}


def test_a_sample_is_what_the_kernel_says_and_what_lies_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "shard-00.db").write_bytes(bytes(1_500_000))
    (tmp_path / "shard-00.db-wal").write_bytes(bytes(500_000))
    samples = Samples()
    samples.look(0.5, os.getpid(), tmp_path)
    assert samples.files_mb == [(0.5, 2.0)]
    resident_mb = int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6
    assert samples.memory_mb["supervisor"][0][1] == pytest.approx(resident_mb, rel=0.2)
    assert samples.threads["supervisor"][0][1] >= 1
    assert set(samples.memory_mb) == {"supervisor"}


# -- readers --------------------------------------------------------------------------------------


def heard(following: Following, stream: bytes) -> list[str]:
    told = [following.hear(line) for line in stream.splitlines(keepends=True)]
    return [each for each in told if each is not None]


def test_a_reader_comes_back_behind_the_last_event_that_was_whole() -> None:
    following = Following()
    stream = b"id: a-7\nevent: changes\ndata: {}\n\n: rest\n\nid: a-8\r\nevent: health\r\n"
    assert heard(following, stream) == ["changes"]
    assert following.last == "a-7"
    assert heard(following, b"data: {}\r\n\r\n") == ["health"]
    assert following.last == "a-8"


def test_a_reader_that_is_told_to_resync_wants_a_snapshot_first() -> None:
    following = Following()
    following.last = "a-1"
    assert heard(following, b'id: a-8\nevent: resync\ndata: {"reason":"late"}\n\n') == ["resync"]
    assert not following.last


# -- the report -----------------------------------------------------------------------------------


def figure(subject: str, unit: str, *values: float) -> dict[str, Any]:
    middle = sorted(values)[len(values) // 2]
    return {"subject": subject, "unit": unit, "median": middle, "values": values}


def result(name: str, figures: list[dict[str, Any]], **facts: Any) -> dict[str, Any]:
    return {
        "benchmark": name,
        "machine": {"cpu": "Abacus", "cores": 2, "python": "3.11", "commit": "c0ffee"},
        "options": {"seconds": 2.0, "repeat": 3, "seed": 7},
        "figures": figures,
        "targets": [],
        "facts": facts,
    }


PEERS = result(
    "peers",
    [
        figure("theirs", "events/s", 90e3, 100e3, 120e3),
        figure("theirs", "CPU µs/event", 4.0),
        figure("ours, 2 shards", "events/s", 380e3, 400e3, 410e3),
        figure("ours, 2 shards", "CPU µs/event", 2.0),
        figure("ours, 2 shards", "receiver µs/event", 0.3),
        figure("ours, 2 shards", "shard µs/event", 1.7),
    ],
)
PEERS["targets"] = [
    {"what": "four times", "reached": 4.0, "sense": "at least", "bound": 3.0, "met": True},
    {"what": "CPU", "reached": 0.5, "sense": "at most", "bound": 0.4, "met": False},
]
LATENCY = result(
    "latency",
    [
        figure("journal off, 50 %", f"{name} ms", value)
        for name, value in (("p50", 1), ("p90", 2), ("p99", 3), ("p99.9", 5), ("p99.99", 9))
    ],
    fsync_ms=1.25,
)
RECOVERY = result(
    "recovery",
    [figure("shard killed", "s", 0.5)],
    seconds={"shard killed": [0.4, 0.6, 0.5], "receiver killed": [0.8]},
)
SOAK = result(
    "soak",
    [figure("applied", "events", 1e6)],
    memory_mb={"web": [[0.0, 50.0], [60.0, 51.0]], "shard-0": [[0.0, 70.0], [60.0, 70.0]]},
    descriptors={"web": [[0.0, 20], [60.0, 21]]},
    threads={"web": [[0.0, 3], [60.0, 3]]},
    files_mb=[[0.0, 1.0], [60.0, 9.0]],
    kills=[[30.0, "web"]],
)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    for one in (PEERS, LATENCY, RECOVERY, SOAK):
        (tmp_path / f"{one['benchmark']}.json").write_text(json.dumps(one))
    return tmp_path


def test_a_report_has_a_row_for_each_figure_its_targets_and_a_plot_of_each_kind(
    results: Path,
) -> None:
    assert report.main() == 0
    text = (results / report.REPORT).read_text()
    assert "| ours, 2 shards | 400,000 | events/s | 4.00 | 380,000 | 410,000 |" in text
    assert "| theirs | 100,000 | events/s | 1.00 | 90,000 | 120,000 |" in text
    assert "| four times | at least 3 | 4 | met |" in text
    assert "| CPU | at most 0.4 | 0.5 | **missed** |" in text
    assert "cpu Abacus, cores 2, python 3.11, commit c0ffee, seed 7" in text
    assert "fsync of 4 KiB on this disk: 1.25 ms." in text
    for name in report.PLOTS:
        picture = (results / f"{name}.png").read_bytes()
        assert picture.startswith(PNG), name
        assert f"![{name}]({name}.png)" in text


def test_bars_and_lines_are_as_long_as_the_figures(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[str, Any] = {}

    def kept(name: str, draw: Any) -> bool:
        drawn[name] = axes = Figure().add_subplot()
        draw(axes)
        return True

    monkeypatch.setattr(report, "_drawn", kept)
    told = {each["benchmark"]: each for each in (PEERS, LATENCY, RECOVERY)}
    assert all(plot(told) for name, plot in report.PLOTS.items() if name != "soak")
    assert [bar.get_width() for bar in drawn["throughput"].patches] == [100, 400]
    ends = [bar.get_x() + bar.get_width() for bar in drawn["cpu"].patches if bar.get_width()]
    assert ends == pytest.approx([0.3, 2.0, 4.0]), "receiver, shard upon it; the other's one bar"
    assert list(drawn["latency"].lines[0].get_ydata()) == [1, 2, 3, 5, 9]
    assert list(drawn["recovery"].lines[0].get_xdata()) == [0.4, 0.6, 0.5]


def test_a_plot_of_what_was_not_measured_is_not_there(results: Path) -> None:
    for path in results.glob("*.json"):
        if path.stem != "recovery":
            path.unlink()
    assert report.main() == 0
    assert [path.name for path in results.glob("*.png")] == ["recovery.png"]


def test_without_results_there_is_no_report(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in results.glob("*.json"):
        path.unlink()
    assert report.main() == 1
    assert "make bench" in capsys.readouterr().err


# -- whole runs -----------------------------------------------------------------------------------


def test_all_are_run_and_reported_and_one_that_fails_keeps_no_other_from_running(
    results: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (results / "nobody.json").write_text("{}")
    short = ["--seconds", "0.02", "--repeat", "1"]
    assert everything(["nobody", "inbox"], results, short) == 1
    assert not (results / "nobody.json").exists()
    assert "## inbox" in (results / report.REPORT).read_text()
    assert "failed: nobody" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["dedup", "receiver", "shard"])
def test_a_benchmark_of_a_stage_verifies_and_has_its_figures(name: str, tmp_path: Path) -> None:
    path = tmp_path / "out" / f"{name}.json"
    assert main([name, "--seconds", "0.1", "--repeat", "1", "--json", str(path)]) == 0
    told = json.loads(path.read_text())
    assert all(figure["median"] > 0 for figure in told["figures"])
    assert told["targets"]


@pytest.mark.timeout(600)
def test_a_minute_of_faults_and_of_kills_of_every_role_with_readers_is_verified(
    tmp_path: Path,
) -> None:
    path = tmp_path / "soak.json"
    # The seed kills each role in the first fifteen seconds, and at least once more.
    asked = ["--minutes", "1", "--kill-every", "5", "--readers", "5", "--seed", "3"]
    assert main(["soak", *asked, "--json", str(path)]) == 0
    facts = json.loads(path.read_text())["facts"]
    killed = {child.partition("-")[0] for _, child in facts["kills"]}
    assert killed == {"receiver", "shard", "web", "sender"}
    assert facts["report"]["verified"] is True
    assert facts["readers"]["changes"] > 0
    assert facts["readers"]["returns"] > 0, "nobody noticed that the page was killed"
    assert {"supervisor", "receiver-0", "shard-0", "web", "sender"} <= set(facts["memory_mb"])
    assert facts["files_mb"][-1][1] > facts["files_mb"][0][1]

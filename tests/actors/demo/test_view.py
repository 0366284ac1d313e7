"""What is seen of a demo: a table on a terminal, a line now and then on a pipe."""

from __future__ import annotations

import os

import pytest

from actors.demo import view as demo_view
from actors.demo.view import LineView, LiveView, Sample, Use, UseMeter, time_left


def sample(at_s: float, phase: str = "load") -> Sample:
    return Sample(
        at_s=at_s,
        phase=phase,
        time="3 s left",
        sent=1_234,
        uses={"shard-0": Use(cpu_percent=12.3, memory_bytes=50_000_000)},
    )


def test_a_pipe_gets_a_line_now_and_then_and_one_for_each_phase(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with LineView() as view:
        for step in range(41):
            view.show(sample(step / 2))
        view.show(sample(20.5, "draining"))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["load", "load", "load", "draining"]
    assert lines[0].startswith("load: sent 1,234, ")
    assert "restarts 0, 3 s left, shard-0" in lines[0]
    assert "shard-0 12%" in lines[0]


def test_a_terminal_gets_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    Console(width=100).print(demo_view._drawn(sample(0.0)))
    out = capsys.readouterr().out
    assert "1,234" in out
    assert "50 MB" in out
    assert "load: 3 s left" in out
    with LiveView() as view:
        view.show(sample(0.0))
        view.say("[bold] is not markup")
    assert "[bold] is not markup" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("so_far_s", "seconds", "says"),
    [
        (0.0, 30.0, "30 s of 30 s left"),
        (12.4, 30.0, "18 s of 30 s left"),
        (31.0, 30.0, "0 s of 30 s left"),  # its gateway has still to say so
        (75.0, 0.0, "75 s elapsed, until Ctrl-C"),
    ],
)
def test_a_load_counts_down_to_its_end(so_far_s: float, seconds: float, says: str) -> None:
    assert time_left(so_far_s, seconds) == says


def test_the_use_of_processes_is_read_where_they_run() -> None:
    meter = UseMeter()
    pids = {"self": os.getpid(), "none": None, "gone": 2**22 + 1}
    meter.read(pids, 100.0)
    uses = meter.read(pids, 101.0)
    assert uses.keys() == {"self"}
    assert uses["self"].memory_bytes > 1_000_000
    assert uses["self"].cpu_percent >= 0

"""Real children killed between any two steps, each once: nothing is lost, nothing happens twice.

The k-th life of a child dies at the k-th of its points, so that one run visits them all.
"""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Sequence
from itertools import cycle

import pytest

from actors.shard.reader import read_states
from runtime.crash_point import VARIABLE
from tests.processes.service import ROOT, Service, ended, eventually

SHARD_POINTS = (
    "after-load",
    "after-peek",
    "after-parse",
    "after-merge",
    "after-prepare",
    "in-transaction",
    "after-commit",
    "after-feed",
    "after-show",
    "after-release",
)
RECEIVER_POINTS = (
    "before-publish",  # in the first life: what nobody has ever begun to follow is not missed
    "between-publishes",
    "after-publish",
    "after-end-staged",
    "after-session-number",
    "after-begins-staged",
    "after-stream",
    "after-history-end-staged",
    "after-watermark-staged",
)
SENDER_POINTS = (
    "after-load",
    "after-peek",
    "before-commit",
    "in-transaction",
    "after-commit",
    "after-publish",
    "after-wish",
    "after-release",
)
STOP_POINTS = ("before-last-commit", "after-last-commit")
GAP_POINT = "after-gap-staged"
ONCE_A_LIFE = {"after-load", *RECEIVER_POINTS[3:]}

RATE = 3_000


# The steps of the cloud dialect are tried where its gateway is: tests/actors/{planner,receiver};
# those of the sinks in test_sinks.
ELSEWHERE = (
    "actors/planner/", "actors/receiver/cloud", "actors/receiver/channel",
    "actors/receiver/snapshot", "actors/sinks/",
)  # fmt: skip


def wishes(child: str, points: Sequence[str], passage: int) -> list[str]:
    return [
        f"{child}:{point}" if point in ONCE_A_LIFE else f"{child}:{point}:{passage}"
        for point in points
    ]


def deaths(service: Service) -> list[tuple[str, str]]:
    line = re.compile(r"^crash point: (\S+) is killed at (\S+)$", re.MULTILINE)
    found = line.findall(service.log.read_text())
    return [(child, point) for child, point in found]


def settle(service: Service, process: subprocess.Popen[bytes]) -> None:
    service.gateway.stop_load()
    eventually(lambda: service.gateway.status()["load"] == "done", "the end of the load")
    eventually(service.has_caught_up, "the marks")
    service.drain_and_verify(process)


def test_every_named_step_of_the_product_is_tried_here() -> None:
    named = re.compile(r'crash_point\("([\w-]+)"\)|"(after-[\w-]+-staged)"')
    sources = [*ROOT.glob("actors/**/*.py"), *ROOT.glob("actors/**/*.pyx"), *ROOT.glob("runtime/*")]
    texts = [
        path.read_text()
        for path in sources
        if path.suffix in {".py", ".pyx"}
        and not path.relative_to(ROOT).as_posix().startswith(ELSEWHERE)
    ]
    found = {first or second for text in texts for first, second in named.findall(text)}
    assert found == {*SHARD_POINTS, *RECEIVER_POINTS, *SENDER_POINTS, *STOP_POINTS, GAP_POINT}


def test_shards_killed_at_every_step_of_a_batch_lose_and_repeat_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    up, down = SHARD_POINTS, SHARD_POINTS[::-1]
    expected = [("shard-0", point) for point in up] + [("shard-1", point) for point in down]
    monkeypatch.setenv(VARIABLE, ",".join(wishes("shard-0", up, 15) + wishes("shard-1", down, 8)))
    process = service.start()
    service.gateway.start_load(RATE, 60.0)
    eventually(lambda: len(deaths(service)) == len(expected), "every death")
    settle(service, process)
    assert sorted(deaths(service)) == sorted(expected)


def test_a_receiver_killed_at_every_step_of_a_session_loses_and_repeats_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [("receiver-0", point) for point in RECEIVER_POINTS]
    monkeypatch.setenv(VARIABLE, ",".join(wishes("receiver-0", RECEIVER_POINTS, 40)))
    process = service.start()
    service.gateway.start_load(RATE, 60.0)
    eventually(lambda: len(deaths(service)) == len(expected), "every death")
    settle(service, process)
    assert deaths(service) == expected


def test_a_receiver_killed_while_it_tells_of_a_gap_tells_it_again(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, f"receiver-0:{GAP_POINT}")
    process = service.start()
    eventually(service.has_caught_up, "the history")
    service.gateway.start_load(RATE, 60.0)
    eventually(lambda: service.gateway.status()["generated"] > RATE, "some load")
    service.gateway.inject({"kind": "retention", "events": 10})
    service.gateway.inject({"kind": "drop"})
    eventually(lambda: deaths(service) == [("receiver-0", GAP_POINT)], "the death")
    settle(service, process)
    told = service.ask("state", "--json")
    assert all(shard["gaps"] for shard in told["shards"])


def test_a_sender_killed_at_every_step_brings_each_command_to_one_end(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [("sender", point) for point in SENDER_POINTS]
    monkeypatch.setenv(VARIABLE, ",".join(wishes("sender", SENDER_POINTS, 3)))
    process = service.start()
    eventually(service.has_caught_up, "the history")
    agents = cycle([state.user_id for state in read_states(service.data_dir)])
    states = cycle(["available", "busy", "break"])

    def has_died_of_all() -> bool:
        service.change(next(agents), next(states))
        return len(deaths(service)) == len(expected)

    eventually(has_died_of_all, "every death")
    eventually(lambda: all(command.step.is_end for command in service.commands()), "every end")
    assert deaths(service) == expected
    findings = service.drain_and_verify(process)
    assert findings["commands"]["commands"] == len(service.commands()) > 0


def test_shards_killed_while_they_stop_are_whole_at_the_next_start(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [(f"shard-{number}", point) for number, point in enumerate(STOP_POINTS)]
    monkeypatch.setenv(VARIABLE, ",".join(map(":".join, expected)))
    process = service.start()
    eventually(service.has_caught_up, "the history")
    service.gateway.start_load(RATE, 0.5)
    eventually(lambda: service.gateway.status()["load"] == "done", "the end of the load")
    process.send_signal(signal.SIGTERM)
    assert ended(process) != 0
    assert sorted(deaths(service)) == expected
    monkeypatch.delenv(VARIABLE)
    process = service.start()
    eventually(service.has_caught_up, "the resume")
    service.drain_and_verify(process)

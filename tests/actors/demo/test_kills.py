"""Kills and memory of a demo: the plan of kills, what is seen of a successor, and growth."""

from __future__ import annotations

import pytest

from actors.demo.kills import KillPlan, Kills, spread
from actors.demo.memory import JUDGED_AFTER_S, POINTS_MAX, SETTLED_S, MemorySeries
from actors.demo.view import Use
from runtime.counters import LOADED, STARTING, Counters

ALL = {
    "web": ["web"],
    "sender": ["sender"],
    "shard": ["shard-0", "shard-1"],
    "receiver": ["receiver-0"],
}
MB = 1_000_000


def kills_of(plan: KillPlan, running: dict[str, list[str]], seconds: int) -> list[str]:
    due = (plan.due(tenth / 10, running) for tenth in range(10 * seconds))
    return [child for child in due if child is not None]


def test_every_role_gets_its_turn_and_a_seed_its_plan() -> None:
    killed = kills_of(KillPlan(1.0, 7), ALL, 300)
    assert killed == kills_of(KillPlan(1.0, 7), ALL, 300)
    assert 200 < len(killed) < 400
    assert set(killed) == {"web", "sender", "shard-0", "shard-1", "receiver-0"}
    for turn in range(0, len(killed) - 4, 4):
        roles = sorted(name.partition("-")[0] for name in killed[turn : turn + 4])
        assert roles == ["receiver", "sender", "shard", "web"]


def test_without_a_distance_nobody_is_killed() -> None:
    assert kills_of(KillPlan(None, 7), ALL, 10_000) == []


def test_behind_its_end_a_plan_kills_nobody() -> None:
    killed = kills_of(KillPlan(1.0, 7, 20.0), ALL, 300)
    assert killed == kills_of(KillPlan(1.0, 7), ALL, 20)


def test_only_who_runs_is_killed() -> None:
    killed = kills_of(KillPlan(1.0, 7), {"shard": ["shard-1"], "receiver": []}, 100)
    assert set(killed) == {"shard-1"}
    assert kills_of(KillPlan(1.0, 7), {"shard": [], "receiver": []}, 100) == []


WORDS = ("batches", "received", "events_routed", "sessions_begun")


class Scene:
    """The pages of a shard and a receiver that work."""

    def __init__(self) -> None:
        self.pages = {name: Counters.create(name, WORDS) for name in ("shard-0", "receiver-0")}
        self.pages["web"] = Counters.create("web")
        roles = {"shard-0": "shard", "receiver-0": "receiver", "web": "web"}
        self.kills = Kills(self.pages, roles)
        for page in self.pages.values():
            page.set("generation", 1)
            page.set("phase", LOADED)
        self.work("shard-0", 100)

    def work(self, name: str, count: int) -> None:
        words = ("batches", "received") if name == "shard-0" else ("events_routed",)
        for word in words:
            self.pages[name].add(word, count)

    def kill(self, name: str) -> None:
        """… and the successor starts."""
        self.kills.note(name, 11, 50.0, 5.0)
        self.kills.watch({name: 11}, 50.0)
        self.kills.watch({name: 12}, 50.1)
        self.pages[name].set("phase", STARTING)
        self.pages[name].set("generation", 2)

    def at(self, now_s: float, name: str) -> list[object]:
        self.kills.watch({name: 12}, now_s)
        (kill,) = self.kills.kills
        return [kill.loaded_s, kill.event_s]


def test_who_takes_no_events_is_back_when_its_successor_is_ready() -> None:
    scene = Scene()
    scene.kill("web")
    assert scene.at(50.2, "web") == [None, None]
    scene.pages["web"].set("phase", LOADED)
    assert scene.at(50.5, "web") == [pytest.approx(0.5), None]
    assert scene.kills.kills[0].is_over


def test_a_shard_is_back_when_its_successor_has_committed_an_event() -> None:
    scene = Scene()
    scene.kill("shard-0")
    assert scene.at(50.2, "shard-0") == [None, None]
    scene.pages["shard-0"].set("phase", LOADED)
    assert scene.at(50.5, "shard-0") == [pytest.approx(0.5), None]
    scene.work("shard-0", 1)
    assert scene.at(51.0, "shard-0") == [pytest.approx(0.5), pytest.approx(1.0)]
    told = scene.kills.by_role()["shard"]
    assert told["kills"] == 1
    assert told["event_s"] == {"count": 1, "p50": 1.0, "max": 1.0}


def test_a_receiver_is_back_when_a_shard_has_committed_what_its_successor_routed() -> None:
    scene = Scene()
    scene.kill("receiver-0")
    scene.pages["receiver-0"].set("phase", LOADED)
    scene.work("shard-0", 5)  # what the dead one had left in the ring
    assert scene.at(50.5, "receiver-0") == [pytest.approx(0.5), None]
    scene.pages["receiver-0"].add("sessions_begun")
    scene.work("receiver-0", 3)
    assert scene.at(51.0, "receiver-0")[1] is None
    scene.work("shard-0", 1)
    assert scene.at(51.5, "receiver-0")[1] == pytest.approx(1.5)


def test_a_successor_that_is_killed_says_nothing_of_the_kill_before() -> None:
    scene = Scene()
    scene.kill("shard-0")
    scene.kills.note("shard-0", 12, 50.2, 5.2)
    for pid in (12, 13, 13):
        scene.kills.watch({"shard-0": pid}, 50.3)
    scene.pages["shard-0"].set("phase", LOADED)
    scene.pages["shard-0"].set("generation", 3)
    scene.work("shard-0", 1)
    scene.kills.watch({"shard-0": 13}, 51.0)
    assert [kill.event_s for kill in scene.kills.kills] == [None, pytest.approx(0.8)]


def test_what_was_not_seen_is_not_counted() -> None:
    assert spread([None, 3.0, 1.0, 2.0]) == {"count": 3, "p50": 2.0, "max": 3.0}
    assert spread([None]) == {"count": 0, "p50": None, "max": None}


def series(end_s: int, *, growing: float, pid_changes_at_s: float = 1e9) -> MemorySeries:
    found = MemorySeries()
    for at_s in range(end_s + 1):
        pid = 2 if at_s >= pid_changes_at_s else 1
        grown = 1 + growing * max(0.0, at_s - SETTLED_S) / (end_s - SETTLED_S)
        found.note(
            at_s,
            {
                "steady": Use(cpu_percent=0, memory_bytes=100 * MB, pid=9),
                "other": Use(cpu_percent=0, memory_bytes=round(100 * MB * grown), pid=pid),
            },
        )
    return found


def test_a_series_stays_short_however_long_the_run() -> None:
    found = series(5_000, growing=0.0)
    assert POINTS_MAX / 2 < len(found.at_s) <= POINTS_MAX
    assert found.at_s[0] == 0
    assert found.at_s[-1] > 4_900
    assert [len(points) for points in found.to_json()["bytes"].values()] == [len(found.at_s)] * 2


def test_growth_is_that_of_the_settled_part() -> None:
    growth = series(1_200, growing=0.10).growth()
    assert growth is not None
    assert growth["steady"] == 0.0
    assert 0.06 < growth["other"] < 0.10


def test_a_process_that_was_replaced_has_no_growth_and_a_short_run_none_at_all() -> None:
    assert series(1_200, growing=0.1, pid_changes_at_s=1_000).growth() == {"steady": 0.0}
    assert series(int(JUDGED_AFTER_S) - 1, growing=0.1).growth() is None

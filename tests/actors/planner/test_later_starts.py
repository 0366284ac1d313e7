"""A start with the roster of an earlier run: what is read when, and what is known at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from actors.planner.arguments import PLANNER_WORDS, WatchSelection
from actors.planner.store import read_memberships_of
from actors.receiver.cloud_arguments import CLOUD_RECEIVER_WORDS
from runtime.counters import RUNNING, Counters
from tests.actors.planner.rig import Rig, with_rig
from tests.actors.receiver.rig import until
from tests.gateway.scripted_cloud import PAGES, QUEUES, ScriptedCloud, Trouble


def test_a_later_start_lets_the_receivers_read_first_and_is_running(tmp_path: Path) -> None:
    async def test(cloud: ScriptedCloud, rig: Rig) -> None:
        cloud.add(*"abc")
        async with rig.living():
            await until(lambda: rig.get("roster_reads") > 0)
        receiver = Counters.create("receiver-0", CLOUD_RECEIVER_WORDS)
        receiver.set("channels_planned", 1)
        rig.arguments = replace(rig.arguments, receiver_counters=(receiver,))
        rig.counters = Counters.create("planner", PLANNER_WORDS)  # of another runtime
        before = cloud.paths(PAGES)
        async with rig.living():
            await until(lambda: rig.get("phase") == RUNNING)
            await rig.beats(0.3)
            assert (rig.get("agents_watched"), cloud.paths(PAGES)) == (3, before)
            receiver.set("plan_version", rig.get("plan_version"))
            receiver.set("channels_current", 1)
            await until(lambda: rig.get("roster_reads") > 0)

    with_rig(tmp_path, test)


def test_who_is_selected_anew_is_read_at_once(tmp_path: Path) -> None:
    async def test(cloud: ScriptedCloud, rig: Rig) -> None:
        cloud.add(*"abc")
        async with rig.living():
            await until(lambda: rig.get("roster_reads") > 0)
        cloud.named[QUEUES] = {"q1": "Sales"}
        cloud.members = {f"{QUEUES}/q1/members": ["b"]}
        stuck = Counters.create("receiver-0", CLOUD_RECEIVER_WORDS)
        stuck.set("channels_planned", 1)
        rig.arguments = replace(
            rig.arguments,
            receiver_counters=(stuck,),
            watch=WatchSelection(kind="queues", ids=("Sales",)),
        )
        async with rig.living():
            await until(lambda: rig.roster.names.keys() == {"b"})

    with_rig(tmp_path, test)


def test_queues_are_known_after_the_first_read_and_at_once_after_a_restart(tmp_path: Path) -> None:
    async def test(cloud: ScriptedCloud, rig: Rig) -> None:
        cloud.add(*"ab")
        cloud.named[QUEUES] = {"q1": "Sales", "q2": "Help"}
        cloud.members = {f"{QUEUES}/q1/members": ["a", "b"], f"{QUEUES}/q2/members": ["b"]}
        async with rig.living():
            await until(lambda: rig.get("memberships_version") > 0)
            assert rig.get("agents_queues_unknown") == 0
        assert read_memberships_of(rig.path, ["a", "b"]) == {"a": "q1", "b": '["q1","q2"]'}
        cloud.troubles.append(Trouble(PAGES, 0, hangs=True))
        rig.counters = Counters.create("planner", PLANNER_WORDS)
        async with rig.living():
            await until(lambda: rig.get("memberships_version") > 0)
            assert (rig.get("agents_queues_unknown"), rig.get("roster_reads")) == (0, 0)

    with_rig(tmp_path, test)

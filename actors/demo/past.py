"""Past: what happened to a demo's data before its own runtime takes over: lives, and the load.

A demo that kills whole runtimes runs them as an operator does. The last life is its own, which
catches up with what all of them had to do.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from actors.demo.commands import DemoCommands
from actors.demo.gateway import BundledGateway
from actors.demo.lives import Lives, LivesPlan, LivesReport
from actors.demo.plan import DemoPlan
from actors.demo.view import View
from actors.demo.wishes import Interrupted, StopRequests
from actors.settings.model import Settings
from runtime.clock import SystemClock


class Past(NamedTuple):
    """A load that has begun, commands that are under way, and who lived meanwhile."""

    begun_s: float
    begun_us: int
    commands: DemoCommands | None
    report: LivesReport | None = None


def begun(plan: DemoPlan, gateway: BundledGateway, data_dir: Path) -> Past:
    """Starts the load, and whoever changes presences meanwhile."""
    clock = SystemClock()
    begun_s, begun_us = clock.now_s(), clock.wall_us()
    gateway.start_load(plan.rate, plan.seconds)
    commands = None
    if plan.commands_per_s:
        commands = DemoCommands(
            data_dir,
            gateway.users(plan.agents),
            per_s=plan.commands_per_s,
            seed=plan.seed,
            is_german=plan.dialect == "cloud",
        )
        commands.start()
    return Past(begun_s, begun_us, commands)


def lived(
    plan: DemoPlan,
    settings: Settings,
    gateway: BundledGateway,
    *,
    folder: Path,
    view: View,
    wishes: StopRequests,
) -> Past:
    """One runtime after the other, killed whole, from before the load until their time is over.
    Raises Interrupted, and LocalError if the first one does not come up."""
    assert plan.kill_all_every_s is not None
    lives = Lives(
        LivesPlan(plan.kill_all_every_s, plan.seed, plan.shards),
        settings,
        folder,
        is_interrupted=lambda: bool(wishes.count),
        tell=view.say,
    )
    try:
        lives.begin(plan.known_min)
        if wishes.count:
            raise Interrupted
        past = begun(plan, gateway, settings.data_dir)._replace(report=lives.report)
        until_s = plan.kill_all_until_s
        ends_s = float("inf") if until_s is None else past.begun_s + until_s
        clock = SystemClock()
        lives.go_on(lambda: clock.now_s() >= ends_s)
    finally:
        lives.close()
    return past

"""Actor and loop in the cloud dialect against the strict gateway: from an order to its end."""

from __future__ import annotations

import asyncio
from pathlib import Path

from actors.genesys.cloud import normal_name, parse_time_us
from actors.messages.queries import TransitionSeen
from actors.sender import reader
from actors.sender.cloud_loop import CloudLoop
from actors.sender.commands import CommandStep
from actors.settings.sender import SenderSettings
from tests.actors.receiver.rig import until
from tests.actors.sender.stage import Stage, order
from tests.gateway.bundled import in_loop
from tests.gateway.client import address_of, bundled, rest_of


@in_loop
async def test_a_command_changes_a_presence_and_is_confirmed_by_its_modified_date(
    tmp_path: Path,
) -> None:
    async with bundled(tmp_path, agents=5) as gateway, rest_of(gateway) as rest:
        user = (await gateway.users())[0]
        before = await rest.presence(user)
        stage = Stage(tmp_path, SenderSettings(permit_wait_s=10.0), dialect="cloud")
        host = CloudLoop(
            address=address_of(gateway),
            settings=stage.arguments.settings,
            counters=stage.counters,
            tell=stage.tell,
        )
        stage.start(host)
        life = asyncio.create_task(host.live())
        await until(lambda: stage.counters.get("connected") == 1)
        command = order(1, user, "Team Huddle")
        stage.order(command)
        held = before["presenceDefinition"]["id"]
        told = {"definition": held, "routing": "OFF_QUEUE"}
        await asyncio.to_thread(stage.tell_agent, user, "Not Available", **told)
        watch = await asyncio.to_thread(stage.watch, user)
        now = await rest.presence(user)
        assert watch.correlation == f"presence@{parse_time_us(now['modifiedDate'])}"
        stage.answer(
            0, TransitionSeen(watch.correlation, user, "Not Available", "busy", 9, watch.definition)
        )
        await until(lambda: stage.counters.get("confirmed") == 1)
        host.stop()
        await life
        await asyncio.to_thread(stage.end)
        story = reader.read_command(tmp_path, command.command_id)
        assert story is not None
        assert story.command.step is CommandStep.CONFIRMED
        assert normal_name(story.command.held) == normal_name(
            before["presenceDefinition"]["systemPresence"]
        )
        assert stage.counters.get("requests") == 3

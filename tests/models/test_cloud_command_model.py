"""Commands in the cloud dialect, under any order of answers, losses, hands and crashes.

The gateway knows no correlation id: a change that is made twice takes twice, and one that is made
by hand looks like ours but for its time.
"""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from actors.genesys.definitions import Definition, Definitions
from actors.questions import AgentTold
from actors.sender import signals
from actors.sender.cloud_dialect import CHANGED_SINCE, CloudDialect, changed_since, shown_as
from actors.sender.machine import CommandMachine
from tests.models.command_world import SHARDS, USERS, World
from tests.models.test_command_model import SETTINGS, Commands

SYSTEM = ("Available", "Busy", "Break", "Offline")
DEFINITIONS = Definitions(
    {"id": f"d-{name.lower()}", "type": "System", "systemPresence": name} for name in SYSTEM
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class CloudWorld(World):
    def __init__(self) -> None:
        self.changes = 0
        self.presences: dict[str, tuple[str, int]] = dict.fromkeys(USERS, ("available", 1))
        self.names: defaultdict[str, set[str]] = defaultdict(set)  # by command
        self.unshown: set[str] = set()
        super().__init__(SETTINGS)

    def make_machine(self, chance: random.Random) -> CommandMachine:
        return CommandMachine(self.settings, SHARDS, chance, dialect=CloudDialect(self.settings))

    def line_up(self) -> None:
        self.signal(signals.StatesKnown(DEFINITIONS))
        super().line_up()

    def native(self, told: AgentTold) -> AgentTold:
        presence, _ = self.presences[told.user_id]
        return told._replace(definition=f"d-{presence}", routing="OFF_QUEUE")

    # The gateway

    def change(self, user_id: str, presence: str) -> str:
        """By what the stream will show it."""
        self.changes += 1
        super().by_hand(user_id, presence)
        self.presences[user_id] = (presence, self.now_us + self.changes)
        name = shown_as(self.entity(user_id))
        self.unshown.add(name)
        return name

    def entity(self, user_id: str) -> dict[str, Any]:
        presence, modified_us = self.presences[user_id]
        modified = EPOCH + timedelta(microseconds=modified_us)
        return {
            "presenceDefinition": {"id": f"d-{presence}", "systemPresence": presence},
            "modifiedDate": modified.isoformat(),
        }

    def by_hand(self, user_id: str, presence: str) -> None:
        self.change(user_id, presence)

    def show(self) -> None:
        self.shown |= self.unshown
        self.unshown.clear()

    def is_shown(self, command_id: str) -> bool:
        return bool(self.names[command_id] & self.shown)

    def receive(self, send: signals.Send | signals.Patch, fate: str) -> None:
        assert isinstance(send, signals.Patch)
        correlation = send.correlation
        wanted = DEFINITIONS.meant(send.state)
        assert isinstance(wanted, Definition), "what names nothing is never sent"
        if send.line != self.line:
            self.signal(signals.NotSent(correlation))
        elif fate == "lost":
            self.signal(signals.Unanswered(correlation, "cut"))
        elif fate == "429":
            self.answered(send, False, 429)
        elif send.doubted_since_us is not None and changed_since(
            self.entity(send.user_id), wanted, send.doubted_since_us
        ):
            self.answered(send, False, CHANGED_SINCE)
        elif fate == "403":
            self.answered(send, False, 403)
        else:
            self.applied[correlation] = self.applied.get(correlation, 0) + 1
            name = self.change(send.user_id, wanted.id.removeprefix("d-"))
            self.names[correlation].add(name)
            if fate == "500":
                self.signal(signals.Unanswered(correlation, "500"))
            elif fate == "taken":
                self.answered(send, True, 200, name)

    def answered(self, send: signals.Patch, success: bool, status: int, name: str = "") -> None:
        answer = signals.Acknowledged(send.correlation, success, status, "", "", None, name)
        self.acks.append((send.line, answer))


class CloudCommands(Commands):
    world: CloudWorld

    def make_world(self) -> World:
        return CloudWorld()

    @rule(user_id=st.sampled_from(USERS), seconds=st.sampled_from([0.0, 3.0, 20.0]))
    def the_budget_is_spent(self, user_id: str, seconds: float) -> None:
        """For the first change that is on its way to the gateway."""
        world = self.world
        for place, action in enumerate(world.todo):
            if isinstance(action, signals.Patch) and action.user_id == user_id:
                del world.todo[place]
                world.signal(signals.NotSent(action.correlation, world.now_s + seconds))
                return


TestCloudCommands = CloudCommands.TestCase
TestCloudCommands.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)

"""Commands in the cloud dialect, under any order of answers, losses, hands and crashes.

The gateway knows no correlation id: a change that is made twice takes twice, and one that is made
by hand looks like ours but for its time. What comes together is one call, which may be refused or
lost, end in the midst, or leave out of its answer what it did.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from actors.genesys.cloud_errors import (
    FailedError,
    ForbiddenError,
    NoAnswerError,
    RateLimitedError,
)
from actors.genesys.cloud_rest import NewPresence
from actors.genesys.definitions import Definitions
from actors.messages.queries import AgentRecord, TransitionSeen, Watch, is_shown_by
from actors.sender import signals
from actors.sender.changing import Changing, together
from actors.sender.cloud_dialect import CloudDialect
from actors.sender.commands import Command
from actors.sender.machine import CommandMachine
from actors.sender.presence_answer import CLOCKS_APART_US
from actors.sender.words import LOOP_WORDS
from runtime.clock import Clock
from runtime.counters import Counters
from tests.models.command_world import SHARDS, USERS, World
from tests.models.test_command_model import FATES, SETTINGS, Commands

SYSTEM = ("Available", "Busy", "Break", "Offline")
DEFINITIONS = Definitions(
    {"id": f"d-{name.lower()}", "type": "System", "systemPresence": name} for name in SYSTEM
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class CloudWorld(World):
    def __init__(self) -> None:
        self.changes = 0
        self.presences: dict[str, tuple[str, int]] = dict.fromkeys(USERS, ("available", 1))
        self.unshown: list[TransitionSeen] = []
        self.seen: list[TransitionSeen] = []
        self.talking: set[str] = set()
        self.future: dict[str, tuple[str, str]] = {}  # by user: presence, and whose wish it is
        self.gathered: list[tuple[signals.Patch, str]] = []
        self.bulk_fate = "taken"
        super().__init__(SETTINGS)

    def make_machine(self, rng: random.Random) -> CommandMachine:
        return CommandMachine(self.settings, SHARDS, rng, dialect=CloudDialect(self.settings))

    def line_up(self) -> None:
        self.signal(signals.StatesKnown(DEFINITIONS))
        super().line_up()

    def native(self, told: AgentRecord) -> AgentRecord:
        presence, _ = self.presences[told.user_id]
        return told._replace(definition=f"d-{presence}", routing="OFF_QUEUE")

    # The gateway

    def change(self, user_id: str, presence: str) -> None:
        """The stream will show it, at a time that is not quite that of the answer."""
        self.changes += 1
        super().by_hand(user_id, presence)
        modified_us = self.now_us + self.changes
        self.presences[user_id] = (presence, modified_us)
        name = f"presence@{modified_us + (self.changes % 3 - 1) * 1_000}"
        native = (*self.agents[user_id], self.now_us, f"d-{presence}")
        self.unshown.append(TransitionSeen(name, user_id, *native))

    def entity(self, user_id: str) -> dict[str, Any]:
        presence, modified_us = self.presences[user_id]
        modified = EPOCH + timedelta(microseconds=modified_us)
        entity = {
            "presenceDefinition": {"id": f"d-{presence}", "systemPresence": presence},
            "modifiedDate": modified.isoformat(),
        }
        if user_id in self.future:
            entity["futurePresenceDefinition"] = {"id": f"d-{self.future[user_id][0]}"}
        return entity

    def apply(self, user_id: str, presence: str, correlation: str) -> None:
        """At once, or when the interaction ends."""
        if user_id in self.talking and presence != self.presences[user_id][0]:
            self.future[user_id] = (presence, correlation)
            return
        self.applied[correlation] = self.applied.get(correlation, 0) + 1
        self.change(user_id, presence)

    def talk(self, user_id: str) -> None:
        self.talking.add(user_id)

    def hang_up(self, user_id: str) -> None:
        self.talking.discard(user_id)
        if user_id in self.future:
            self.apply(user_id, *self.future.pop(user_id))

    def by_hand(self, user_id: str, presence: str) -> None:
        self.change(user_id, presence)

    def show(self) -> None:
        self.seen += self.unshown
        self.unshown.clear()

    def shown_of(self, watch: Watch) -> TransitionSeen | None:
        mine = (each for each in self.seen if each.user_id == watch.user_id)
        return next((each for each in mine if is_shown_by(watch, each)), None)

    def is_shown(self, command: Command) -> bool:
        """The wanted presence of that very agent, changed since the command was first sent."""
        since_us = (command.first_sent_us or 0) - CLOCKS_APART_US
        return any(
            each.user_id == command.user_id
            and each.definition == f"d-{command.to_state}"
            and int(each.correlation.partition("@")[2]) >= since_us
            for each in self.seen
        )

    # What makes the calls

    def receive(self, send: signals.Send | signals.Patch, fate: str) -> None:
        assert isinstance(send, signals.Patch)
        self.gathered.append((send, fate))

    def leave(self) -> None:
        """All that is gathered, as few calls as may be; what may have taken before goes alone."""
        gathered, self.gathered = self.gathered, []
        platform = Platform(self, dict(gathered), self.bulk_fate)
        first: list[signals.Patch] = []
        for send, _ in gathered:
            if send.line != self.line:
                self.signal(signals.NotSent(send.correlation))
            elif send.doubted_since_us is not None:
                first = [each for each in first if each.correlation != send.correlation]
                platform.make([send])
            else:
                first.append(send)
        while first:
            taken, first = together(first)
            if len(taken) > 1:
                self.bulk_fate = "taken"
            platform.make(taken)

    def go_on(self, fates: list[str]) -> None:
        super().go_on(fates)
        self.leave()

    def pass_s(self, seconds: float) -> None:
        """Nothing is gathered for as long as anybody waits."""
        self.leave()
        super().pass_s(seconds)

    def line_down(self) -> None:
        """Is told behind all that it concerns."""
        line, self.line = self.line, None
        self.leave()
        self.line = line
        super().line_down()

    def crash(self) -> None:
        self.gathered.clear()
        super().crash()

    # What the calls need of it: a clock, and somebody to tell

    def wall_us(self) -> int:
        return self.now_us

    def tell(self, told: signals.Signal) -> None:
        if isinstance(told, signals.Acknowledged):
            assert self.line is not None, "over it the change went"
            self.acks.append((self.line, told))
        else:
            self.signal(told)


class Platform:
    """Over it the changes of one moment go. `fates`: of each change by itself, `bulk_fate`: of the
    call that makes several."""

    def __init__(self, world: CloudWorld, fates: dict[signals.Patch, str], bulk_fate: str) -> None:
        self._world = world
        self._fates = fates
        self._bulk_fate = bulk_fate
        self._making: dict[str, signals.Patch] = {}  # by user

    def make(self, changes: list[signals.Patch]) -> None:
        self._making = {each.user_id: each for each in changes}
        changing = Changing(
            self,
            tell=self._world.tell,
            counters=Counters.create("sender", LOOP_WORDS),
            clock=cast("Clock", self._world),
            on_no_token=lambda why: None,
            on_doubt=lambda: None,
        )
        making = changing.make(changes, DEFINITIONS)
        with suppress(StopIteration, CutError):
            making.send(None)
            raise AssertionError("nothing waits here")

    async def presence(self, user_id: str) -> dict[str, Any]:
        self._fail_before(self._fates[self._making[user_id]])
        return self._world.entity(user_id)

    async def patch_presence(
        self, user_id: str, definition_id: str, message: str | None = None
    ) -> dict[str, Any]:
        fate = self._fates[self._making[user_id]]
        self._fail_before(fate)
        if fate == "403":
            raise ForbiddenError("presence", 403)
        self._apply(user_id, definition_id)
        self._fail_behind(fate)
        return self._world.entity(user_id)

    async def put_presences(self, presences: Sequence[NewPresence]) -> list[dict[str, Any]]:
        self._fail_before(self._bulk_fate)
        applied, told = 0, []
        for user_id, definition_id, _ in presences:
            fate = self._fates[self._making[user_id]]
            if self._bulk_fate in {"403", "500"} and applied:  # it ends in the midst
                break
            if fate not in {"lost", "403", "429"}:
                self._apply(user_id, definition_id)
                applied += 1
                if fate != "500":  # the answer leaves it out
                    told.append(self._world.entity(user_id) | {"id": user_id})
        if self._bulk_fate == "403":
            raise ForbiddenError("bulk", 403)
        self._fail_behind(self._bulk_fate)
        return told

    def _fail_before(self, fate: str) -> None:
        if fate == "lost":
            raise NoAnswerError("call", 0, message="cut")
        if fate == "429":
            raise RateLimitedError("call", 429)

    def _fail_behind(self, fate: str) -> None:
        if fate == "500":
            raise FailedError("call", 500)
        if fate == "unanswered":
            raise CutError

    def _apply(self, user_id: str, definition_id: str) -> None:
        correlation = self._making[user_id].correlation
        self._world.apply(user_id, definition_id.removeprefix("d-"), correlation)


class CutError(Exception):
    """It takes too long, and nobody waits for it any more."""


class CloudCommands(Commands):
    world: CloudWorld

    def make_world(self) -> World:
        return CloudWorld()

    @rule(fate=FATES)
    def so_the_next_bulk_will_fare(self, fate: str) -> None:
        self.world.bulk_fate = fate

    @rule(
        users=st.lists(st.sampled_from(USERS), min_size=2, max_size=3, unique=True),
        fates=st.lists(FATES, min_size=1, max_size=3),
        bulk_fate=FATES,
    )
    def several_are_changed_together(
        self, users: list[str], fates: list[str], bulk_fate: str
    ) -> None:
        self.world.pass_s(1.0)
        self.world.bulk_fate = bulk_fate
        for user_id in users:
            self.world.order("", user_id, "break", True)
        self.world.go_on(fates)

    @rule(user_id=st.sampled_from(USERS), begins=st.booleans())
    def an_interaction_begins_or_ends(self, user_id: str, begins: bool) -> None:
        if begins:
            self.world.talk(user_id)
        else:
            self.world.hang_up(user_id)

    @precondition(lambda self: self.world.unshown)
    @rule()
    def the_stream_shows_what_was_changed(self) -> None:
        self.world.show()

    def teardown(self) -> None:
        for user_id in USERS:
            self.world.hang_up(user_id)
        super().teardown()

    @rule()
    def what_is_gathered_leaves(self) -> None:
        self.world.leave()

    @rule(user_id=st.sampled_from(USERS), seconds=st.sampled_from([0.0, 3.0, 20.0]))
    def the_budget_is_spent(self, user_id: str, seconds: float) -> None:
        """For the first change that is on its way to the gateway."""
        world = self.world
        for place, action in enumerate(world.todo):
            if isinstance(action, signals.Patch) and action.user_id == user_id:
                del world.todo[place]
                world.signal(signals.NotSent(action.correlation, world.now_s + seconds))
                return


def test_a_change_that_is_asked_for_again_while_it_waits_is_made_once() -> None:
    commands = CloudCommands()
    commands.all_is_well()
    commands.a_line_is_lost_or_comes_up()
    commands.several_are_changed_together(users=["ann", "bob"], fates=["taken"], bulk_fate="taken")
    commands.a_line_is_lost_or_comes_up()
    commands.time_passes(seconds=12.0)
    commands.teardown()


TestCloudCommands = CloudCommands.TestCase
TestCloudCommands.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)

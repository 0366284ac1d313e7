"""Commands under any order of answers, losses and crashes: each has one end, and it is true."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.sender.commands import CommandStep
from actors.sender.transitions import leaves
from actors.settings.sender import CapacitySettings, QueueLimits, SenderSettings
from tests.models.command_world import BEFORE_SEND, USERS, World

SETTINGS = SenderSettings(
    in_flight_max=3,
    tries_max=3,
    pending_s=50.0,
    capacity=CapacitySettings(default=QueueLimits(minimum_available=1)),
)
FATES = st.sampled_from(["taken", "taken", "unanswered", "lost", "403", "429", "500"])
STATES = st.sampled_from(["busy", "available", "break", "offline", "asleep"])
KEYS = st.sampled_from(["", "", "", "one", "two"])
ENOUGH_S = 120.0


class Commands(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = self.make_world()

    def make_world(self) -> World:
        return World(SETTINGS)

    @initialize()
    def all_is_well(self) -> None:
        self.world.line_up()
        self.world.pass_s(1.0)

    @rule(key=KEYS, user_id=st.sampled_from(USERS), to_state=STATES, forced=st.booleans())
    def somebody_orders(self, key: str, user_id: str, to_state: str, forced: bool) -> None:
        self.world.order(key, user_id, to_state, forced)

    @rule(
        key=KEYS,
        users=st.lists(st.sampled_from(USERS), min_size=1, max_size=4),
        to_state=STATES,
        fates=st.lists(FATES, min_size=1, max_size=4),
    )
    def commands_are_sent(
        self, key: str, users: list[str], to_state: str, fates: list[str]
    ) -> None:
        for user_id in users:
            self.world.order(key, user_id, to_state, True)
        self.world.go_on(fates)

    @rule(seconds=st.sampled_from([0, 2, 7, 13, 25]), fates=st.lists(FATES, min_size=1, max_size=4))
    def all_goes_on_for_a_while(self, seconds: int, fates: list[str]) -> None:
        """The stream apart: it shows nothing meanwhile."""
        for _ in range(max(1, seconds)):
            self.world.go_on(fates)
            while self.world.acks:
                self.world.acknowledge_next(is_lost=False, is_repeated=False)
            self.world.pass_s(min(seconds, 1.0))

    @rule(steps=st.integers(1, 5), fate=FATES)
    def the_loop_and_the_rings_carry_out_some(self, steps: int, fate: str) -> None:
        for _ in range(min(steps, len(self.world.todo))):
            self.world.do_next(fate)

    @rule(steps=st.integers(1, 5), lost=st.integers(0, 9))
    def shards_reply(self, steps: int, lost: int) -> None:
        for index in range(min(steps, len(self.world.asked))):
            self.world.reply_next(is_lost=index == lost)

    @precondition(lambda self: self.world.users)
    @rule(verdict=st.sampled_from(["exists", "exists", "missing", "failed", "silence"]))
    def a_user_is_checked(self, verdict: str) -> None:
        self.world.check_next(verdict)

    @precondition(lambda self: self.world.acks)
    @rule(is_lost=st.booleans(), is_repeated=st.booleans())
    def the_gateway_answers(self, is_lost: bool, is_repeated: bool) -> None:
        self.world.acknowledge_next(is_lost=is_lost, is_repeated=is_repeated)

    @precondition(lambda self: self.world.applied.keys() - self.world.shown)
    @rule()
    def the_stream_shows_what_was_applied(self) -> None:
        self.world.show()

    @rule()
    def the_stream_goes_down_or_is_back(self) -> None:
        world = self.world
        world.stale_since_us = world.now_us if world.stale_since_us is None else None

    @rule(user_id=st.sampled_from(USERS), to_busy=st.booleans())
    def an_agent_changes_by_hand(self, user_id: str, to_busy: bool) -> None:
        self.world.by_hand(user_id, "busy" if to_busy else "available")

    @rule(seconds=st.sampled_from([0.05, 0.5, 1.0, 3.0, 6.0, 12.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_s(seconds)

    @rule()
    def a_line_is_lost_or_comes_up(self) -> None:
        if self.world.line is None:
            self.world.line_up()
        else:
            self.world.line_down()

    @rule(key=st.sampled_from(["", "one"]), returns=st.booleans())
    def the_sender_is_killed(self, key: str, returns: bool) -> None:
        """With a key: while an order under it is not committed yet."""
        if key:
            self.world.lose_uncommitted("lost", key)
            assert "lost" not in self.world.store
        else:
            self.world.crash()
        if returns:
            self.world.line_up()

    @invariant()
    def ends_are_true(self) -> None:
        world = self.world
        for command in world.store.values():
            applied = world.applied.get(command.id, 0)
            assert applied <= 1
            match command.step:
                case CommandStep.REFUSED:
                    assert applied == 0, command
                case CommandStep.PENDING:
                    assert command.acknowledged_us is None, "nobody is told that it took"
                case CommandStep.UNCONFIRMED if command.acknowledged_us is None:
                    assert CommandStep.PENDING in world.audit[command.id], command
                case CommandStep.ACKNOWLEDGED | CommandStep.UNCONFIRMED:
                    assert applied == 1, command
                case CommandStep.CONFIRMED:
                    assert world.is_shown(command), command
                case CommandStep.UNKNOWN:
                    assert command.first_sent_us is not None
                    spent_us = (command.ended_us or 0) - command.first_sent_us
                    assert spent_us >= SETTINGS.give_up_after_s * 1e6, command
            assert command.tries <= SETTINGS.tries_max
            assert (command.first_sent_us is None) == (command.tries == 0)
            told = world.webhooks.get(command.id, 0)
            assert told == (command.acknowledged_us is not None), "WFM hears of it once"

    @invariant()
    def limits_hold(self) -> None:
        world = self.world
        sent = sum(each.step is CommandStep.SENT for each in world.store.values())
        assert sent <= SETTINGS.in_flight_max
        assert sent <= world.machine.in_flight <= sent + world.resumed
        for index, at_s in enumerate(world.granted_s[5:]):
            assert at_s >= world.granted_s[index] + 1.0

    @invariant()
    def what_is_unsettled_is_held_and_nothing_else(self) -> None:
        world, machine = self.world, self.world.machine
        unsettled = [each for each in world.store.values() if not each.step.is_end]
        assert machine.unsettled == len(unsettled)
        assert (machine.due_s is None) <= (not unsettled), "nobody will wake it"
        leaving = [
            each
            for each in unsettled
            if each.step is not CommandStep.ACCEPTED and leaves(each.held, each.to_state)
        ]
        out = sum(each.step not in BEFORE_SEND for each in leaving)
        assert out <= machine.departures <= len(leaving)

    def teardown(self) -> None:
        """When all is well again each command comes to its end."""
        world = self.world
        until_s, world.stale_since_us = world.now_s + ENOUGH_S, None
        while world.now_s < until_s:
            if world.line is None:
                world.line_up()
            world.go_on(["taken"])
            while world.acks:
                world.acknowledge_next(is_lost=False, is_repeated=False)
            world.show()
            world.pass_s(0.5)
        self.ends_are_true()
        self.limits_hold()
        for command in world.store.values():
            assert command.step.is_end, command
            assert sum(step.is_end for step in world.audit[command.id]) == 1
        machine = world.machine
        assert (machine.in_flight, machine.departures, machine.waiting) == (0, 0, 0)
        assert (machine.unsettled, machine.due_s) == (0, None)


TestCommands = Commands.TestCase
TestCommands.settings = settings(max_examples=100, stateful_step_count=60, deadline=None)

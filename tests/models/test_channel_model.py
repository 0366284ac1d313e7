"""The machine of a slot against a plain gateway: whatever is lost, all is whole in the end."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.genesys.channel_plan import Slot
from actors.messages.control import (
    Gap,
    HistoryEnds,
    SessionBegins,
    SessionEnds,
    Unwatches,
    Watches,
)
from actors.receiver import channel_signals as signals
from actors.receiver.channel import ChannelMachine
from actors.receiver.channel_line import ChannelPolicy
from actors.receiver.channel_signals import Numbers
from actors.receiver.signals import (
    Abort,
    Close,
    HistoryWanted,
    Number,
    Ping,
    Refused,
    Tell,
    Unreachable,
    Write,
)

USERS = ("a", "b", "c", "d", "e")
FORBIDDEN = "e"
FATES = ("lost", "gone", "closing", "silent loss")
CHANNELS_MAX = 3  # the one that streams, its successor, and one that is about to be let go


@dataclass
class TheirChannel:
    """As the gateway has it."""

    is_alive: bool = True
    users: frozenset[str] = frozenset()


@dataclass
class Told:
    """What one scope's records mean, to a plain reader."""

    session: int = 0
    is_up: bool = False
    is_whole: bool = False
    watched: set[str] = field(default_factory=set)
    named: set[str] = field(default_factory=set)
    gap_of: int = 0


class ChannelModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now_s = 100.0
        self.numbers = Numbers()
        policy = ChannelPolicy(refused_retry_s=500.0)
        rng = random.Random(7)
        self.machine = ChannelMachine(Slot(0, 0), policy, rng, self.numbers)
        self.wanted: frozenset[str] = frozenset()
        self.channels: dict[int, TheirChannel] = {}
        self.calls: list[signals.Create | signals.Subscribe] = []
        self.connecting: dict[int, int] = {}  # line: channel
        self.open: dict[int, int] = {}
        self.streams: dict[int, int] = {}  # line: session
        self.frames: dict[int, int] = {}
        self.snapshot: signals.Snapshot | None = None
        self.told = Told()
        self.has_lost = False  # since the last session began no line streamed, for a moment

    # What the shell does

    def tell(self, signal: signals.Signal) -> None:
        for action in self.machine.handle(signal, self.now_s, int(self.now_s * 1e6)):
            self.carry_out(action)

    def carry_out(self, action: signals.Action) -> None:  # noqa: PLR0912 - one case an action
        match action:
            case signals.Create() | signals.Subscribe():
                self.calls.append(action)
            case signals.LetGo(channel=channel):
                assert channel not in [self.open.get(line) for line in self.streams]
                if channel in self.channels:
                    self.channels.pop(channel)
            case signals.Forget(channel=channel):
                assert not self.channels.pop(channel).is_alive
            case signals.Connect(line=line, channel=channel):
                assert self.channels[channel].users, "it was subscribed first"
                self.connecting[line] = channel
            case Close(line=line) | Abort(line=line):
                self.drop(line)
            case signals.Stream(line=line, session=session):
                self.streams[line] = session
            case signals.Snapshot():
                assert action.session == self.told.session
                self.snapshot = action
            case signals.StopSnapshot():
                self.snapshot = None
            case Write(record=record):
                self.take(record)
            case signals.WriteOf(record=record):
                self.take_of(record)
            case Number() | Ping() | Tell():
                pass
            case _:
                raise AssertionError(action)

    def drop(self, line: int) -> None:
        """Nothing comes on it any more."""
        self.connecting.pop(line, None)
        self.open.pop(line, None)
        if self.streams.pop(line, None) is not None and not self.streams:
            self.has_lost = True

    def take(self, record: object) -> None:
        told = self.told
        match record:
            case Gap(session=session):
                assert session > told.session
                told.gap_of = session
            case SessionBegins(session=session):
                assert session > told.session
                assert (told.gap_of == session) == (self.has_lost and told.session > 0)
                told.session, told.is_up, told.is_whole = session, True, False
                told.named = set()
                self.has_lost = False
            case HistoryEnds(session=session):
                assert session == told.session
                assert told.is_up
                assert not told.is_whole
                assert told.named >= told.watched
                told.is_whole = True
            case SessionEnds(session=session):
                assert session == told.session
                assert told.is_up
                told.is_up = False
            case _:
                raise AssertionError(record)

    def take_of(self, record: Watches | Unwatches) -> None:
        if isinstance(record, Watches):
            self.told.watched.add(record.user_id)
        else:
            self.told.watched.remove(record.user_id)

    # What happens

    @initialize()
    def begin(self) -> None:
        self.plan(frozenset(USERS))

    @rule()
    def settle(self) -> None:
        """Faults that meet a machine at rest find more than those that meet it in the middle."""
        self.go_on_until_settled()

    @rule(users=st.frozensets(st.sampled_from(USERS), min_size=1))
    def plan_somebody(self, users: frozenset[str]) -> None:
        self.plan(users)

    @rule(rng=st.integers(0, 3))
    def plan_nobody(self, rng: int) -> None:
        if rng == 0:
            self.plan(frozenset())

    def plan(self, users: frozenset[str]) -> None:
        self.wanted = users
        self.tell(signals.Planned(users))
        if not users:  # given up: what follows is a scope that was never there
            assert not self.told.is_up
            assert not self.told.watched
            self.told = Told()
            self.has_lost = False
            assert not self.streams
            assert not self.connecting
            assert not self.channels

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), fails=st.sampled_from([False, False, False, True]))
    def answer(self, data: st.DataObject, fails: bool) -> None:
        call = self.calls.pop(data.draw(st.integers(0, len(self.calls) - 1)))
        if fails:
            self.tell(signals.CallFailed(call.channel, "503"))
        elif isinstance(call, signals.Create):
            self.channels[call.channel] = TheirChannel()
            self.tell(signals.Created(call.channel))
        elif call.channel not in self.channels or not self.channels[call.channel].is_alive:
            self.tell(signals.CallFailed(call.channel, "404", is_gone=True))
        else:
            self.channels[call.channel].users = call.users
            refused = {user: "no" for user in call.users if user == FORBIDDEN}
            self.tell(signals.Subscribed(call.channel, call.users, refused))

    @precondition(lambda self: self.connecting)
    @rule(data=st.data(), fate=st.sampled_from(["open", "open", "open", "refused", "unreachable"]))
    def shake(self, data: st.DataObject, fate: str) -> None:
        line = data.draw(st.sampled_from(sorted(self.connecting)))
        channel = self.connecting.pop(line)
        if fate == "refused":
            self.tell(Refused(line, 503))
        elif fate == "unreachable":
            self.tell(Unreachable(line, "no route"))
        else:
            self.open_well(line, channel, is_cut_first=data.draw(st.booleans()))

    def is_alive(self, channel: int) -> bool:
        return channel in self.channels and self.channels[channel].is_alive

    def lose(self, line: int, code: int) -> None:
        if line in self.open:
            self.drop(line)
            self.tell(signals.LineLost(line, code))

    def gone(self, line: int) -> None:
        self.channels.setdefault(self.open[line], TheirChannel()).is_alive = False
        self.tell(signals.ChannelGone(line, "404"))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), fate=st.sampled_from(FATES))
    def trouble(self, data: st.DataObject, fate: str) -> None:
        self.trouble_on(data, fate)

    @rule(data=st.data())
    def trouble_at_rest(self, data: st.DataObject) -> None:
        self.go_on_until_settled()
        if self.open:
            self.trouble_on(data)

    def trouble_on(self, data: st.DataObject, fate: str = "") -> None:
        fate = fate or data.draw(st.sampled_from(FATES))
        line = data.draw(st.sampled_from(sorted(self.open)))
        if fate == "lost":
            self.lose(line, 1006)
        elif fate == "gone":
            self.gone(line)
        elif fate == "closing":
            self.tell(signals.ClosingAnnounced(line))
        elif self.open[line] in self.channels:
            self.channels[self.open[line]].is_alive = False
            self.lose(line, 1006)

    @precondition(lambda self: self.snapshot is not None)
    @rule(count=st.integers(1, 5))
    def name(self, count: int) -> None:
        assert self.snapshot is not None
        session, users = self.snapshot.session, self.snapshot.users
        assert users
        assert session == self.told.session
        part, rest = users[:count], users[count:]
        self.snapshot = signals.Snapshot(session, rest) if rest else None
        self.told.named.update(part)
        self.tell(signals.Named(session, part))

    @rule(seconds=st.sampled_from([0.25, 1.0, 5.0, 40.0, 600.0]), is_heard=st.booleans())
    def tick(self, seconds: float, is_heard: bool) -> None:
        self.now_s += seconds
        for line in self.open:
            self.frames[line] = self.frames.get(line, 0) + is_heard
        self.tell(signals.Tick(dict(self.frames)))

    @rule(steps=st.integers(0, 6), data=st.data(), then_fails=st.booleans())
    def rotate(self, steps: int, data: st.DataObject, then_fails: bool) -> None:
        """So far as that many steps bring it, each with success."""
        self.go_on_until_settled()
        self.tell(signals.RotateAsked())
        for _ in range(steps):
            if self.calls:
                self.answer_well()
            elif self.connecting:
                line = min(self.connecting)
                self.open_well(line, self.connecting.pop(line))
        if self.open and then_fails:
            self.trouble_on(data)

    @rule()
    def want_history(self) -> None:
        self.tell(HistoryWanted())

    @rule(seconds=st.sampled_from([1.0, 31.0]))
    def hurry(self, seconds: float) -> None:
        """Whatever waits has waited long enough, and every line has been heard."""
        self.tick(seconds, is_heard=True)

    @rule()
    def overflow(self) -> None:
        self.tell(signals.Overflowed())

    @invariant()
    def it_holds_no_more_than_it_needs(self) -> None:
        assert len(self.channels) <= CHANNELS_MAX
        assert len(self.open) + len(self.connecting) <= CHANNELS_MAX
        assert len(self.connecting) <= 1
        assert self.machine.is_up == bool(self.streams)
        assert self.told.watched <= set(USERS) - {FORBIDDEN}

    def teardown(self) -> None:
        """All faults are over: soon everything is as the plan wants it."""
        self.go_on_until_settled()

    def go_on_until_settled(self) -> None:
        for _ in range(200):
            while self.calls:
                self.answer_well()
            for line in list(self.connecting):
                self.open_well(line, self.connecting.pop(line))
            while self.snapshot is not None:
                session, users = self.snapshot.session, self.snapshot.users
                self.snapshot = None
                self.told.named.update(users)
                self.tell(signals.Named(session, users))
            if self.is_settled():
                break
            self.now_s += 1.0
            self.frames = {line: self.frames.get(line, 0) + 1 for line in self.open}
            self.tell(signals.Tick(dict(self.frames)))
        assert self.is_settled()

    def is_settled(self) -> bool:
        told = self.told
        heard = self.wanted - {FORBIDDEN}
        if not self.wanted:
            return not self.open and not self.connecting and not self.channels
        return (
            self.machine.is_current
            and told.is_whole
            and told.watched == heard
            and len(self.open) == len(self.channels) == 1
            and all(each.users == self.wanted for each in self.channels.values())
            and not self.machine.is_rotating
        )

    def answer_well(self) -> None:
        call = self.calls.pop()
        if isinstance(call, signals.Create):
            self.channels[call.channel] = TheirChannel()
            self.tell(signals.Created(call.channel))
        elif not self.is_alive(call.channel):
            self.tell(signals.CallFailed(call.channel, "404", is_gone=True))
        else:
            self.channels[call.channel].users = call.users
            refused = {user: "no" for user in call.users if user == FORBIDDEN}
            self.tell(signals.Subscribed(call.channel, call.users, refused))

    def open_well(self, line: int, channel: int, *, is_cut_first: bool = False) -> None:
        """One socket each: the second cuts the first, and which of it is heard first is chance."""
        former = [each for each, of in self.open.items() if of == channel]
        if is_cut_first:
            for each in former:
                had_lost = self.has_lost
                self.drop(each)
                self.has_lost = had_lost
                self.connecting[line] = channel
                self.tell(signals.LineLost(each, 1000))
            self.connecting.pop(line, None)
        self.open[line] = channel
        self.tell(signals.Opened(line))
        for each in former:
            self.lose(each, 1000)
        if not self.is_alive(channel) and line in self.open:
            self.gone(line)


ChannelModel.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestChannelModel = ChannelModel.TestCase

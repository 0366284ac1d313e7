"""The machine of a slot: when a channel is replaced, given up, or left in peace."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeVar

import pytest

from actors.genesys.channel_plan import Slot
from actors.messages.control import Gap, SessionEnds
from actors.receiver import channel_signals as signals
from actors.receiver.channel import DEAF, TOPICS_CHANGED, ChannelMachine
from actors.receiver.channel_line import ChannelPolicy, Trust, lives_for_s
from actors.receiver.channel_signals import Numbers
from actors.receiver.signals import Tell, Write

USERS = frozenset("ab")
POLICY = ChannelPolicy(rotate_spread=0.0)

Wanted = TypeVar("Wanted")


@dataclass
class Bench:
    """A machine, and what it wanted last."""

    policy: ChannelPolicy = POLICY
    now_s: float = 1_000.0
    actions: list[signals.Action] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.numbers = Numbers()
        self.machine = ChannelMachine(Slot(0, 0), self.policy, random.Random(1), self.numbers)

    def tell(self, signal: signals.Signal) -> None:
        self.actions = self.machine.handle(signal, self.now_s, int(self.now_s * 1e6))

    def all(self, kind: type[Wanted]) -> list[Wanted]:
        return [action for action in self.actions if isinstance(action, kind)]

    def the(self, kind: type[Wanted]) -> Wanted:
        (found,) = self.all(kind)
        return found

    def events(self, event: str) -> list[dict[str, Any]]:
        return [dict(each.fields) for each in self.all(Tell) if each.event == event]

    def create(self, left_s: float | None = None) -> None:
        self.tell(signals.Created(self.the(signals.Create).channel, left_s))

    def subscribe(self) -> None:
        self.tell(signals.Subscribed(self.the(signals.Subscribe).channel, USERS))

    def connect(self) -> None:
        self.tell(signals.Opened(self.the(signals.Connect).line))
        self.tell(signals.Named(self.numbers.session, tuple(USERS)))

    def live(self, left_s: float | None = None) -> None:
        """Until its snapshot is whole."""
        self.tell(signals.Planned(USERS))
        self.create(left_s)
        self.subscribe()
        self.connect()
        assert self.machine.is_current

    def rotate(self) -> None:
        assert self.machine.wants_rotation(self.now_s)
        self.tell(signals.RotateAsked())
        self.create()
        self.subscribe()
        self.connect()

    def passes(self, seconds: float) -> None:
        self.now_s += seconds
        self.tell(signals.Tick({}, is_reading=False))


@pytest.mark.parametrize(
    ("left_s", "after_s"),
    [(None, 82_800.0), (172_800.0, 82_800.0), (86_400.0, 82_800.0), (43_200.0, 42_300.0),
     (300.0, 225.0), (30.0, 22.5), (0.0, 0.0)],
)  # fmt: skip
def test_a_channel_is_replaced_by_its_age_or_before_its_token_ends(
    left_s: float | None, after_s: float
) -> None:
    bench = Bench()
    bench.live(left_s)
    assert bench.machine.wants_rotation(bench.now_s + after_s)
    assert after_s == 0 or not bench.machine.wants_rotation(bench.now_s + after_s - 0.01)


def test_a_predecessors_channel_keeps_the_end_that_was_recorded_for_it() -> None:
    bench = Bench()
    channel = bench.machine.adopt(20.0, 10.0, bench.now_s)
    bench.tell(signals.Planned(USERS))
    assert bench.the(signals.Subscribe).channel == channel
    bench.subscribe()
    bench.connect()
    assert bench.machine.wants_rotation(bench.now_s + 7.5)


def test_the_end_of_a_token_long_over_is_not_in_the_future() -> None:
    assert lives_for_s(-5.0, POLICY) <= 0.0


def test_a_predecessors_channel_that_is_refused_in_any_way_ends_in_a_new_one() -> None:
    bench = Bench()
    channel = bench.machine.adopt(20.0, None, bench.now_s)
    bench.tell(signals.Planned(USERS))
    bench.tell(signals.CallFailed(channel, "403", is_refused=True))
    assert bench.the(signals.Forget).channel == channel
    bench.passes(60)
    assert bench.the(signals.Create).channel != channel


def test_a_new_channel_that_is_refused_is_not_made_again_and_again() -> None:
    bench = Bench()
    bench.tell(signals.Planned(USERS))
    bench.create()
    channel = bench.the(signals.Subscribe).channel
    for _ in range(5):
        bench.tell(signals.CallFailed(channel, "403", is_refused=True, retry_after_s=300.0))
        assert bench.all(signals.Forget) == []
        bench.passes(299)
        assert bench.all(signals.Subscribe) == []
        bench.passes(31)
        assert bench.the(signals.Subscribe).channel == channel


def test_the_same_failure_over_and_over_is_told_ever_more_rarely() -> None:
    bench = Bench()
    bench.tell(signals.Planned(USERS))
    levels = []
    for _ in range(20):
        bench.tell(signals.CallFailed(bench.the(signals.Create).channel, "no"))
        levels += [each.level for each in bench.all(Tell) if each.event == "channel.call_failed"]
        bench.passes(31)
    assert levels.count("warning") == 5  # 1, 2, 4, 8, 16
    assert len(levels) == 20


def test_a_channel_that_does_not_bring_what_the_roster_shows_is_replaced_and_a_gap_told() -> None:
    bench = Bench()
    bench.live()
    bench.tell(signals.Doubted(bench.numbers.session))
    assert bench.events("channel.doubtful") == [{"scope": "c0/0", "reason": DEAF}]
    session = bench.numbers.session
    bench.tell(signals.Doubted(session))
    assert bench.events("channel.doubtful") == [], "it is said until another session begins"
    bench.rotate()
    bench.tell(signals.Doubted(session))
    assert bench.actions == []
    assert not bench.machine.wants_rotation(bench.now_s)


def test_the_gap_of_a_deaf_channel_stands_before_the_new_session() -> None:
    bench = Bench()
    bench.live()
    bench.tell(signals.Doubted(bench.numbers.session))
    bench.tell(signals.RotateAsked())
    bench.create()
    bench.subscribe()
    bench.tell(signals.Opened(bench.the(signals.Connect).line))
    gaps = [each.record for each in bench.all(Write) if isinstance(each.record, Gap)]
    assert [(gap.reason, gap.session) for gap in gaps] == [(DEAF, bench.numbers.session)]


def test_who_is_invalid_is_asked_for_again_when_the_roster_was_read() -> None:
    bench = Bench()
    bench.tell(signals.Planned(USERS))
    bench.create()
    channel = bench.the(signals.Subscribe).channel
    refused = {"b": "invalid"}
    bench.tell(signals.Subscribed(channel, USERS, refused, frozenset("b")))
    bench.connect()
    bench.passes(60)
    assert bench.all(signals.Subscribe) == []
    bench.tell(signals.RosterRead())
    assert bench.the(signals.Subscribe).users == USERS
    bench.tell(signals.Subscribed(channel, USERS, refused))
    bench.tell(signals.RosterRead())
    assert bench.all(signals.Subscribe) == [], "it lacks a permission only"


def test_changed_topics_replace_the_channel_unless_we_have_just_changed_them() -> None:
    bench = Bench()
    bench.tell(signals.Planned(USERS))
    bench.create()
    bench.subscribe()
    line = bench.the(signals.Connect).line
    bench.connect()
    bench.tell(signals.TopicsChanged(line))
    assert bench.events("channel.doubtful") == []
    bench.passes(POLICY.own_change_s)
    bench.tell(signals.TopicsChanged(line))
    assert bench.events("channel.doubtful") == [{"scope": "c0/0", "reason": TOPICS_CHANGED}]
    assert bench.machine.wants_rotation(bench.now_s)


def test_topics_that_change_while_a_call_of_ours_is_under_way_are_our_own_doing() -> None:
    bench = Bench()
    bench.tell(signals.Planned(USERS))
    bench.create()
    bench.subscribe()
    line = bench.the(signals.Connect).line
    bench.connect()
    bench.passes(2 * POLICY.own_change_s)
    bench.tell(signals.Planned(USERS | {"joins"}))
    asked = bench.the(signals.Subscribe)
    bench.tell(signals.TopicsChanged(line))  # the echo is faster than the answer
    bench.tell(signals.Subscribed(asked.channel, asked.users, {}))
    assert bench.events("channel.doubtful") == []


def test_doubts_that_follow_one_another_are_heard_ever_more_rarely() -> None:
    trust = Trust(POLICY)
    heard = [second for second in range(0, 100_000, 5) if trust.may_doubt(float(second))]
    gaps = [after - before for before, after in pairwise(heard)]
    assert gaps[:3] == [10, 20, 40]
    assert max(gaps) == POLICY.trust_most_s
    assert trust.may_doubt(1e6)
    assert trust.may_doubt(1e6 + POLICY.trust_first_s)


# Since when nothing is confirmed


def listened(bench: Bench, line: int) -> float:
    """Two frames come, 3 s apart; when the last one did."""
    for frames in (1, 2):
        bench.now_s += 3.0
        bench.tell(signals.Tick({line: frames}, is_reading=True))
    return bench.now_s


def live_line(bench: Bench) -> int:
    bench.tell(signals.Planned(USERS))
    bench.create()
    bench.subscribe()
    line = bench.the(signals.Connect).line
    bench.connect()
    return line


def ended_at_s(bench: Bench) -> float:
    (ends,) = [each.record for each in bench.all(Write) if isinstance(each.record, SessionEnds)]
    return ends.at_us / 1e6


def test_a_dead_channel_is_not_confirmed_since_its_last_frame_and_quiet_until_then() -> None:
    bench = Bench()
    line = live_line(bench)
    heard_s = listened(bench, line)
    for quiet_s in range(1, 35):
        bench.now_s += 1.0
        bench.tell(signals.Tick({line: 2}, is_reading=True))
        assert bench.machine.quiet_s == quiet_s
    bench.now_s += 1.0
    bench.tell(signals.Tick({line: 2}, is_reading=True))
    assert not bench.machine.is_up
    assert ended_at_s(bench) == heard_s
    assert bench.machine.heard_us == heard_s * 1e6
    assert bench.machine.quiet_s == 0.0


@pytest.mark.parametrize(
    ("code", "is_heard"), [(1000, True), (1005, True), (1012, True), (1006, False)]
)
def test_a_close_frame_is_the_last_one_that_was_heard(code: int, is_heard: bool) -> None:
    bench = Bench()
    line = live_line(bench)
    heard_s = listened(bench, line)
    bench.now_s += 9.0
    bench.tell(signals.LineLost(line, code))
    assert ended_at_s(bench) == (bench.now_s if is_heard else heard_s)


def test_a_channel_that_is_told_to_be_gone_was_heard_until_then() -> None:
    bench = Bench()
    line = live_line(bench)
    listened(bench, line)
    bench.now_s += 9.0
    bench.tell(signals.ChannelGone(line, "404"))
    assert ended_at_s(bench) == bench.now_s

"""No answer of a gateway makes a loop of requests that is faster than the back-off.

Both machines that connect, against a gateway that answers at once with whatever it has thought up,
again and again. The clock is the test's: an hour of such answers takes a moment.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.genesys.channel_plan import Slot
from actors.messages.control import SEQUENCE_END, Gap
from actors.receiver import channel_signals, signals
from actors.receiver.channel import ChannelMachine
from actors.receiver.channel_line import ChannelPolicy
from actors.receiver.channel_signals import Numbers
from actors.receiver.line import GAPS_MAX
from actors.receiver.signals import Tell, Write
from tests.actors.receiver.play import FullJitter, Play

LOOKED_AT_S = 300.0
TICK_S = 0.5
STEPS_MAX = 20_000
CONNECTS_MAX = 40
"""In five minutes: the back-off's longest wait is 30 s, and it begins at 4; a session that is
proven (60 s) forgives, and a token or an epoch may be tried anew once at once."""
CALLS_MAX = 160
"""The same of a channel: create, subscribe and connect, which wait for each other; a line of 10 s
is proven there."""

Answer = Callable[[Any, int], list[Any]]


@dataclass
class Loop:
    """A machine, and what is answered to each request: the next of a cycle."""

    handle: Callable[[Any, float, int], list[Any]]
    answers: dict[type, list[Answer]]
    now_s: float = 1_000.0
    requests: list[Any] = field(default_factory=list)
    actions: list[Any] = field(default_factory=list)
    _asked: dict[type, int] = field(default_factory=dict)

    def run(self, begun: list[Any], tick: Callable[[], Any]) -> None:
        waiting = deque(begun)
        end_s, steps = self.now_s + LOOKED_AT_S, 0
        while self.now_s < end_s:
            while waiting:
                steps += 1
                assert steps < STEPS_MAX, f"{len(self.requests)} requests without a pause"
                waiting += self._answered(waiting.popleft())
            self.now_s += TICK_S
            waiting += self._told(tick())

    def _answered(self, action: Any) -> list[Any]:
        self.actions.append(action)
        answers = self.answers.get(type(action))
        if not answers:
            return []
        self.requests.append(action)
        number = self._asked.get(type(action), 0)
        self._asked[type(action)] = number + 1
        done: list[Any] = []
        for signal in answers[number % len(answers)](action, number):
            done += self._told(signal)
        return done

    def _told(self, signal: Any) -> list[Any]:
        return self.handle(signal, self.now_s, round(self.now_s * 1e6))


# -- the session of the wsp dialect

REFUSALS: list[Answer] = [
    *(
        lambda asked, _, status=status, after_s=after_s: [
            signals.Refused(asked.line, status, after_s)
        ]
        for status in (400, 401, 403, 404, 429, 500, 503)
        for after_s in (None, 0.0)
    ),
    lambda asked, _: [signals.Unreachable(asked.line, "no route")],
    # Who gives tokens backs off from the gateway itself, and says for how long.
    lambda asked, _: [signals.TokenMissing(asked.line, "401", 8.0, is_refused=True)],
]
OPENED: Answer = lambda asked, _: [signals.Opened(asked.line, ((1, 10), (1, 20)))]  # noqa: E731


def _acknowledged(*more: Callable[[int], Any], name: str = "e") -> Answer:
    def answer(asked: Any, number: int) -> list[Any]:
        named = f"{name}{number}" if name == "new" else name
        told = signals.Acknowledged(asked.line, 100, named, 20)
        return [told, *(each(asked.line) for each in more)]

    return answer


CODES = (1000, 1001, 1005, 1006, 1012, 4001)
SUBSCRIBED: list[Answer] = [
    _acknowledged(),
    _acknowledged(name="new"),
    _acknowledged(lambda line: signals.HistorySeen(line, 100)),
    *(_acknowledged(partial(signals.Lost, code=code)) for code in CODES),
    _acknowledged(lambda line: signals.HistorySeen(line, 100), lambda _: signals.TokenRenewed()),
    _acknowledged(
        lambda line: signals.HistorySeen(line, 100), lambda line: signals.Lost(line, 1005)
    ),
    _acknowledged(lambda line: signals.HistorySeen(line, 100), lambda _: signals.HistoryWanted()),
    _acknowledged(*[lambda line: signals.GapSeen(line, 1, 50)] * 50),
    lambda asked, _: [signals.NotAcknowledged(asked.line)],
    lambda asked, _: [signals.Lost(asked.line, 1006)],
    lambda asked, _: [signals.Lost(asked.line, 1002, is_ours=True, highest=5)],
]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([OPENED, OPENED, OPENED, *REFUSALS]), min_size=1, max_size=4),
    st.lists(st.sampled_from(SUBSCRIBED), min_size=1, max_size=4),
    st.booleans(),
)
def test_whatever_a_wsp_gateway_answers_again_and_again_it_is_not_hammered(
    connected: list[Answer], subscribed: list[Answer], is_known: bool
) -> None:
    from actors.receiver.line import ReceiverPolicy
    from actors.receiver.session import SessionMachine

    machine = SessionMachine(
        ReceiverPolicy(attempts_max=0), FullJitter(), session=3, epoch=1, epoch_name="e",
        is_known=is_known,
    )  # fmt: skip
    loop = Loop(machine.handle, {signals.Connect: connected, signals.Subscribe: subscribed})
    loop.run(machine.start(loop.now_s, 0), signals.Tick)
    connects = [each for each in loop.requests if isinstance(each, signals.Connect)]
    assert 1 <= len(connects) <= CONNECTS_MAX
    rows = [each for each in loop.actions if isinstance(each, Write)]
    assert len(rows) <= len(connects) * (GAPS_MAX + 5) + 5


# -- the channel of the cloud dialect

FAILURES: list[Answer] = [
    lambda asked, _: [channel_signals.CallFailed(asked.channel, "no")],
    lambda asked, _: [channel_signals.CallFailed(asked.channel, "no", retry_after_s=0.0)],
    lambda asked, _: [channel_signals.CallFailed(asked.channel, "no", is_gone=True)],
    lambda asked, _: [channel_signals.CallFailed(asked.channel, "no", is_refused=True)],
]
CREATED: Answer = lambda asked, _: [channel_signals.Created(asked.channel)]  # noqa: E731
SHORT: Answer = lambda asked, _: [channel_signals.Created(asked.channel, 0.0)]  # noqa: E731
TAKEN: list[Answer] = [
    lambda asked, _: [channel_signals.Subscribed(asked.channel, asked.users)],
    lambda asked, _: [
        channel_signals.Subscribed(asked.channel, asked.users, dict.fromkeys(asked.users, "no"))
    ],
    lambda asked, _: [
        channel_signals.Subscribed(
            asked.channel, asked.users, dict.fromkeys(asked.users, "no"), asked.users
        )
    ],
]


def _opened(*more: Callable[[int], Any]) -> Answer:
    return lambda asked, _: [
        channel_signals.Opened(asked.line), *(each(asked.line) for each in more)
    ]  # fmt: skip


LINES: list[Answer] = [
    _opened(),
    _opened(channel_signals.ClosingAnnounced),
    _opened(*[channel_signals.ClosingAnnounced] * 50),
    _opened(lambda line: channel_signals.ChannelGone(line, "404")),
    *(_opened(partial(channel_signals.LineLost, code=code)) for code in CODES),
    _opened(channel_signals.ClosingAnnounced, lambda line: channel_signals.LineLost(line, 1000)),
    _opened(*[channel_signals.TopicsChanged] * 50),
    _opened(lambda _: channel_signals.Doubted(1), lambda _: channel_signals.RosterRead()),
    *(
        lambda asked, _, status=status: [signals.Refused(asked.line, status, 0.0)]
        for status in (400, 401, 404, 410, 429, 500)
    ),
    lambda asked, _: [signals.Unreachable(asked.line, "no route")],
]


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.sampled_from([CREATED, CREATED, SHORT, *FAILURES]), min_size=1, max_size=3),
    st.lists(st.sampled_from([*TAKEN, *TAKEN, *FAILURES]), min_size=1, max_size=3),
    st.lists(st.sampled_from(LINES), min_size=1, max_size=4),
)
def test_whatever_a_platform_answers_again_and_again_it_is_not_hammered(
    created: list[Answer], subscribed: list[Answer], connected: list[Answer]
) -> None:
    machine = ChannelMachine(Slot(0, 0), ChannelPolicy(), FullJitter(), Numbers())
    answers = {
        channel_signals.Create: created,
        channel_signals.Subscribe: subscribed,
        channel_signals.Connect: connected,
    }
    loop = Loop(machine.handle, answers)
    planned = channel_signals.Planned(frozenset({"a", "b"}))
    loop.run(machine.handle(planned, loop.now_s, 0), channel_signals.Tick)
    assert 1 <= len(loop.requests) <= CALLS_MAX
    told = [each for each in loop.actions if isinstance(each, Tell)]
    assert len(told) <= 6 * len(loop.requests) + 6


# -- what repeats per frame


def gaps_after(frames: list[tuple[int, int]]) -> list[tuple[int, int]]:
    play = Play()
    play.begin(newest=100_000)
    for first, last in frames:
        play.tell(signals.GapSeen(play.line, first, last))
    return [(gap.first, gap.last) for gap in play.written(Gap)]


def test_a_gap_that_is_told_ten_thousand_times_is_one_row() -> None:
    assert gaps_after([(1, 50)] * 10_000) == [(1, 50)]
    assert gaps_after([(1, 50), (3, 7), (1, 50), (50, 50)]) == [(1, 50)]


def test_gaps_without_end_end_the_session_and_the_next_one_waits() -> None:
    assert len(gaps_after([(2 * each, 2 * each) for each in range(1, 10_000)])) == GAPS_MAX
    play = Play()
    play.begin(newest=100_000)
    for each in range(1, 100):
        play.tell(signals.GapSeen(play.line, 2 * each, 2 * each))
    assert play.retry_delay_s() > 1.0
    assert any(close.code == 1002 for close in play.all(signals.Close))


def test_a_gap_before_another_one_is_told_too() -> None:
    assert gaps_after([(100, 200), (1, 50)]) == [(100, 200), (1, 50)]


def test_a_gap_names_nothing_that_we_had_when_we_asked() -> None:
    play = Play(
        session=7, epoch=3, epoch_name="e1", marks=((3, 5_000), (3, 5_200)), watermark=5_000
    )
    play.begin(newest=9_000)
    after = play.all(signals.Subscribe)[-1].resume_after
    assert after is not None
    play.tell(signals.GapSeen(play.line, 1, 6_000))
    (gap,) = play.written(Gap)
    assert (gap.first, gap.last) == (after + 1, 6_000)
    play.tell(signals.GapSeen(play.line, 1, after))
    assert len(play.written(Gap)) == 1


@pytest.mark.parametrize("last", [1, 100, SEQUENCE_END - 1])
def test_any_gap_is_told_once(last: int) -> None:
    assert gaps_after([(1, last)] * 3) == [(1, last)]


def test_a_line_that_is_told_to_close_says_so_once() -> None:
    machine = ChannelMachine(Slot(0, 0), ChannelPolicy(), random.Random(1), Numbers())
    answers = {
        channel_signals.Create: [CREATED],
        channel_signals.Subscribe: TAKEN[:1],
        channel_signals.Connect: [_opened(*[channel_signals.ClosingAnnounced] * 10_000)],
    }
    loop = Loop(machine.handle, answers)
    planned = channel_signals.Planned(frozenset({"a"}))
    loop.run(machine.handle(planned, loop.now_s, 0), channel_signals.Tick)
    told = [each for each in loop.actions if isinstance(each, Tell)]
    assert 0 < sum(each.event == "channel.closing" for each in told) <= len(loop.requests)

"""The reconnect machine under any order of signals."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.messages.control import (
    Gap,
    HistoryEnds,
    SessionBegins,
    SessionEnds,
)
from actors.receiver import signals
from actors.receiver.line import ReceiverPolicy
from actors.receiver.signals import Connect, Signal, Subscribe
from tests.actors.receiver.play import Play


@settings(max_examples=200, stateful_step_count=60, deadline=None)
class AnyGateway(RuleBasedStateMachine):
    """Whatever the world does, in any order: what must hold of every session machine."""

    def __init__(self) -> None:
        super().__init__()
        self.play = Play(policy=ReceiverPolicy(attempts_max=0))
        self.opened: set[int] = set()
        self.closed: set[int] = set()

    @property
    def live(self) -> list[int]:
        return [each.line for each in self.play.all(Connect) if each.line not in self.closed]

    @rule(data=st.data())
    def handshake(self, data: st.DataObject) -> None:
        line = data.draw(st.sampled_from([0, *self.live]))
        if line not in self.opened:
            self.opened.add(line)
            self.play.tell(signals.Opened(line, self.play.marks))

    @rule(
        data=st.data(),
        newest=st.integers(0, 20_000),
        name=st.sampled_from(["", "e1", "e2"]),
        watermark=st.integers(0, 20_000),
    )
    def acknowledge(self, data: st.DataObject, newest: int, name: str, watermark: int) -> None:
        line = data.draw(st.sampled_from([0, *self.live]))
        if line in self.opened:
            self.play.tell(signals.Acknowledged(line, newest, name, watermark))

    @rule(data=st.data(), sequence=st.integers(0, 20_000), is_history=st.booleans())
    def event(self, data: st.DataObject, sequence: int, is_history: bool) -> None:
        line = data.draw(st.sampled_from([0, *self.live]))
        self.play.tell(signals.EventSeen(line, sequence, is_history))

    @rule(data=st.data())
    def history(self, data: st.DataObject) -> None:
        line = data.draw(st.sampled_from([0, *self.live]))
        self.play.tell(signals.HistorySeen(line, 5))

    @rule(
        data=st.data(),
        code=st.sampled_from([1000, 1005, 1006]),
        is_ours=st.booleans(),
        highest=st.integers(0, 10),
    )
    def lose(self, data: st.DataObject, code: int, is_ours: bool, highest: int) -> None:
        line = data.draw(st.sampled_from([0, *self.live]))
        self.closed.add(line)
        if line in self.opened:
            self.play.tell(signals.Lost(line, code, is_ours, highest))
        else:
            self.play.tell(signals.Unreachable(line, "no route"))

    @rule(seconds=st.sampled_from([0.25, 3.0, 40.0]), is_reading=st.booleans())
    def wait(self, seconds: float, is_reading: bool) -> None:
        self.play.is_reading = is_reading
        self.play.wait(seconds)

    @rule(signal=st.sampled_from([signals.TokenRenewed(), signals.HistoryWanted()]))
    def want(self, signal: Signal) -> None:
        self.play.tell(signal)

    @rule()
    def overflow(self) -> None:
        self.play.tell(signals.Overflowed(self.play.marks))

    @precondition(lambda self: self.play.machine.due_s is not None)
    @rule()
    def retry(self) -> None:
        self.play.is_reading = True
        self.play.retry()

    @invariant()
    def sessions_are_numbered_in_order_and_end_at_most_once(self) -> None:
        begun = [record.session for record in self.play.written(SessionBegins)]
        assert begun == list(range(1, len(begun) + 1))
        ended = [each.session for each in self.play.written(SessionEnds) if each.session]
        assert len(ended) == len(set(ended))
        assert set(ended) <= set(begun)
        histories = [record.session for record in self.play.written(HistoryEnds)]
        assert len(histories) == len(set(histories))

    @invariant()
    def no_history_ends_after_its_session(self) -> None:
        ended: set[int] = set()
        for write in self.play.all(signals.Write):
            if isinstance(write.record, SessionEnds):
                ended.add(write.record.session)
            elif isinstance(write.record, HistoryEnds):
                assert write.record.session not in ended

    @invariant()
    def epochs_only_grow_and_gaps_are_ranges(self) -> None:
        epochs = [record.epoch for record in self.play.written(SessionBegins)]
        assert epochs == sorted(epochs)
        assert all(0 < gap.first <= gap.last for gap in self.play.written(Gap))

    @invariant()
    def it_always_has_a_line_or_a_plan(self) -> None:
        machine = self.play.machine
        has_given_up = machine.is_finished  # three subscriptions that nobody ever acknowledged
        assert machine._primary is not None or machine.due_s is not None or has_given_up

    @invariant()
    def a_line_is_told_only_what_it_can_do(self) -> None:
        for action in self.play.actions:
            if isinstance(action, Subscribe | signals.Ping | signals.Stream | signals.GoFast):
                assert action.line in self.opened


TestAnyGateway = AnyGateway.TestCase

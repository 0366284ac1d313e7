"""The life of the presence socket under any order of signals."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.sender import line_signals as words
from actors.sender.signals import LineDown, LineUp
from tests.actors.sender.line_play import Play

DELAY_MOST_S = 600.0
LINES_MAX = 3  # one on its way, one that carries, one that was replaced
CODES = st.sampled_from([1000, 1001, 1005, 1006, 1012, 4001])


@settings(max_examples=100, stateful_step_count=60, deadline=None)
class AnyGateway(RuleBasedStateMachine):
    """Whatever the world does, in any order: what must hold of every line machine."""

    def __init__(self) -> None:
        super().__init__()
        self.play = Play()
        self.seen = 0  # of the actions, that were judged
        self.connected: list[int] = []
        self.opened: set[int] = set()
        self.told_bound: set[int] = set()
        self.up: list[int] = []
        self.down: set[int] = set()
        self.is_stopped = False

    @property
    def open_lines(self) -> list[int]:
        return [line for line in self.connected if line not in self.down]

    @property
    def coming(self) -> list[int]:
        return [line for line in self.open_lines if line not in self.up]

    def any_line(self, data: st.DataObject) -> int:
        """One that is open, or one that is over."""
        over = [line for line in self.connected if line in self.down][-1:]
        return data.draw(st.sampled_from([*self.open_lines, *over] or [0]))

    @precondition(lambda self: self.coming)
    @rule()
    def success(self) -> None:
        """What happens most often outside of tests."""
        (line,) = self.coming
        if line not in self.opened:
            self.opened.add(line)
            self.play.tell(words.Opened(line))
        self.told_bound.add(line)
        self.play.tell(words.ChannelBound(line))

    @rule(data=st.data())
    def handshake(self, data: st.DataObject) -> None:
        line = self.any_line(data)
        self.opened.add(line)
        self.play.tell(words.Opened(line))

    @precondition(lambda self: self.opened)
    @rule(data=st.data())
    def binding(self, data: st.DataObject) -> None:
        line = data.draw(st.sampled_from(sorted(self.opened)))
        self.told_bound.add(line)
        self.play.tell(words.ChannelBound(line))

    @rule(data=st.data())
    def no_binding(self, data: st.DataObject) -> None:
        self.play.tell(words.NotBound(self.any_line(data), "not JSON"))

    @rule(data=st.data(), status=st.sampled_from([401, 403, 429, 500]), after=st.booleans())
    def refusal(self, data: st.DataObject, status: int, after: bool) -> None:
        line = self.any_line(data)
        if line not in self.opened:
            self.play.tell(words.Refused(line, status, 7.0 if after else None))

    @rule(data=st.data())
    def no_route(self, data: st.DataObject) -> None:
        line = self.any_line(data)
        if line not in self.opened:
            self.play.tell(words.Unreachable(line, "no route"))

    @rule(data=st.data())
    def no_token(self, data: st.DataObject) -> None:
        line = self.any_line(data)
        if line not in self.opened:
            self.play.tell(words.TokenMissing(line, "refused", 300.0))

    @rule(data=st.data(), code=CODES, is_ours=st.booleans())
    def loss(self, data: st.DataObject, code: int, is_ours: bool) -> None:
        line = self.any_line(data)
        if line in self.opened:
            self.play.tell(words.Lost(line, code, is_ours))

    @rule(data=st.data(), correlation=st.sampled_from("abc"), is_answer=st.booleans())
    def update(self, data: st.DataObject, correlation: str, is_answer: bool) -> None:
        line = self.any_line(data)
        self.play.tell((words.Answered if is_answer else words.Sent)(line, correlation))

    @rule(data=st.data())
    def doubt(self, data: st.DataObject) -> None:
        self.play.tell(words.TokenDoubted(self.any_line(data)))

    @rule()
    def renewal(self) -> None:
        self.play.tell(words.TokenRenewed())

    @rule(seconds=st.sampled_from([0.25, 1.0, 5.0, 20.0, 70.0]), talking=st.booleans())
    def time(self, seconds: float, talking: bool) -> None:
        self.play.wait(seconds, talking=talking)

    @rule(luck=st.integers(0, 9))
    def stop(self, luck: int) -> None:
        if luck == 0:
            self.play.tell(words.StopAsked())
            self.is_stopped = True

    @invariant()
    def all_holds(self) -> None:
        self._every_action_comes_in_its_turn()
        self._the_newest_bound_line_carries()
        self._it_never_gives_up()

    def _every_action_comes_in_its_turn(self) -> None:
        actions = [each for each in self.play.actions if not isinstance(each, words.Tell)]
        for i in range(self.seen, len(actions)):
            self._judge(actions[i], actions[i + 1 : i + 2])
        self.seen = len(actions)

    def _judge(self, action: words.Action, following: Sequence[words.Action]) -> None:
        match action:
            case words.Connect(line=line):
                assert line == len(self.connected) + 1
                assert not self.coming, "a second line on its way"
                self.connected.append(line)
                assert len(self.open_lines) <= LINES_MAX
            case words.Bind(line=line):
                assert line in self.opened
            case LineUp(line=line):
                assert line in self.told_bound
                assert line in self.open_lines
                assert line not in self.up
                self.up.append(line)
            case LineDown(line=line, reason=reason):
                assert line in self.open_lines
                assert reason
                self.down.add(line)
            case words.Ping(line=line):
                assert line in self.up
                assert line in self.open_lines
            case words.Close(line=line) | words.Abort(line=line):
                assert isinstance(following[0], LineDown), "told as soon as it is done"
                assert following[0].line == line

    def _the_newest_bound_line_carries(self) -> None:
        carries = bool(self.up) and self.up[-1] not in self.down
        assert self.play.machine.is_up == carries

    def _it_never_gives_up(self) -> None:
        due_s = self.play.machine.due_s
        is_coming = bool(self.coming)
        if self.is_stopped:
            assert due_s is None
            assert not self.open_lines
        elif not self.play.machine.is_up:
            assert is_coming or due_s is not None
        if due_s is not None:
            assert not is_coming
            assert due_s <= self.play.now_s + DELAY_MOST_S


TestAnyGateway = AnyGateway.TestCase

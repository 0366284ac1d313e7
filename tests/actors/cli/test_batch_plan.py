"""FileRun: a file of commands goes out in order, at the pace that is taken, and each line ends."""

from __future__ import annotations

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.cli.batch_file import PENDING, CsvLine, Outcome
from actors.cli.batch_plan import ASKED_MAX, FOLLOWED_MAX, UNAVAILABLE_TRIES, FileRun

DONE = Outcome("confirmed")
REFUSED = Outcome("refused", "unavailable")
LATENCY_S = 0.01


def lines(*users: str) -> list[CsvLine]:
    return [
        CsvLine(number, f"key-{number}", user, "busy", "", None)
        for number, user in enumerate(users, 2)
    ]


def many(count: int) -> list[CsvLine]:
    return lines(*(f"agent-{i}" for i in range(count)))


class Gate:
    """A runtime that takes `rate` commands in any one second, and says when to come back."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.taken_s: deque[float] = deque()
        self.refusals = 0
        self.most_in_a_second = 0

    def take(self, now_s: float) -> float | None:
        """None: taken; else come back after so long."""
        while self.taken_s and self.taken_s[0] <= now_s - 1:
            self.taken_s.popleft()
        if len(self.taken_s) >= self.rate:
            self.refusals += 1
            return self.taken_s[0] + 1 - now_s
        self.taken_s.append(now_s)
        self.most_in_a_second = max(self.most_in_a_second, len(self.taken_s))
        return None


def play(run: FileRun, gate: Gate, *, until: int = 1_000) -> float:
    """Until so many lines have their end; the seconds that it took on a clock that jumps."""
    now_s = run.pace.next_s
    while run.ended < until:
        assert now_s < 10_000, run.counts()
        line = run.next_line(now_s)
        if line is None:
            due_s = run.due_s
            assert due_s is not None
            now_s = max(due_s, now_s + 1e-6)
            continue
        again_s = gate.take(now_s)
        now_s += LATENCY_S
        if again_s is None:
            run.taken(line, now_s, is_replayed=False)
            run.came_to(line, DONE)
        else:
            run.refused_for_now(line, now_s, again_s)
    return now_s


def test_a_thousand_lines_go_as_fast_as_they_are_taken_with_few_refusals() -> None:
    run, gate = FileRun(many(1_000)), Gate(5)
    seconds = play(run, gate)
    assert run.counts() == {"confirmed": 1_000}
    assert seconds < 1_000 / 5 * 1.1
    assert gate.refusals <= 1_000 / 20
    assert gate.most_in_a_second <= 5


def test_it_finds_out_that_there_is_more_room_than_before() -> None:
    run, gate = FileRun(many(1_000)), Gate(2)
    play(run, gate, until=300)
    slow_s = run.pace.pause_s
    gate.rate = 50
    play(run, gate)
    assert slow_s > 0.4
    assert run.pace.pause_s < slow_s / 2


def test_where_others_use_all_there_is_the_pause_grows() -> None:
    run = FileRun(many(1))
    pauses = []
    now_s = 0.0
    for _ in range(4):
        line = run.next_line(now_s)
        assert line is not None
        run.refused_for_now(line, now_s, 0.5)
        pauses.append(run.pace.pause_s)
        assert run.next_line(now_s + 0.4) is None
        now_s = run.pace.next_s
    assert pauses == [0.2, 0.4, 0.8, 1.6]


def test_a_bad_minute_is_forgotten_within_the_next() -> None:
    run, gate = FileRun(many(1_000)), Gate(5)
    play(run, gate, until=100)
    gate.rate = 0  # as a sender that is killed again and again
    now_s = run.pace.next_s
    for _ in range(10):
        line = run.next_line(now_s)
        assert line is not None
        run.refused_for_now(line, now_s, 1.0)
        now_s = run.pace.next_s
    gate.rate = 5
    assert play(run, gate, until=400) - now_s < 300 / 5 * 1.1


def test_the_lines_of_one_agent_go_one_after_the_other() -> None:
    first, other, second = lines("A", "B", "A")
    run = FileRun([first, other, second])
    assert [run.next_line(0), run.next_line(0), run.next_line(0)] == [first, other, None]
    run.taken(first, 0, is_replayed=False)
    assert run.next_line(0) is None  # it has no end yet
    run.came_to(first, DONE)
    assert run.next_line(0) == second


def test_so_many_requests_are_on_their_way_at_once_and_no_more() -> None:
    run = FileRun(many(FOLLOWED_MAX + ASKED_MAX + 1))
    asked = [run.next_line(0) for _ in range(ASKED_MAX)]
    assert None not in asked
    assert run.next_line(0) is None
    assert run.due_s is None


def test_so_many_commands_are_followed_at_once_and_no_more() -> None:
    run = FileRun(many(FOLLOWED_MAX + 1))
    followed = [line for _ in range(FOLLOWED_MAX) if (line := take(run)) is not None]
    assert len(followed) == FOLLOWED_MAX
    assert run.next_line(0) is None
    run.came_to(followed[0], DONE)
    assert run.next_line(0) is not None


def take(run: FileRun) -> CsvLine | None:
    line = run.next_line(0)
    if line is not None:
        run.taken(line, 0, is_replayed=False)
    return line


def test_what_is_unavailable_is_tried_a_few_times_and_holds_the_others() -> None:
    run = FileRun(many(2))
    now_s = 0.0
    for _ in range(UNAVAILABLE_TRIES):
        line = run.next_line(now_s)
        assert line is not None
        assert line.number == 2
        run.unavailable(line, now_s, REFUSED)
        if not run.ended:
            assert run.next_line(now_s) is None
            now_s = run.pace.next_s
    assert dict(run.counts()) == {"refused": 1, PENDING: 1}


def test_what_an_earlier_run_has_done_costs_no_permit() -> None:
    run = FileRun(many(50))
    while not run.is_over:
        line = run.next_line(0)
        assert line is not None
        run.taken(line, 0, is_replayed=True)
        run.came_to(line, DONE._replace(is_replayed=True))
    assert run.replayed == 50


def test_results_stand_in_the_order_of_the_file() -> None:
    both = lines("A", "B")
    run = FileRun(both)
    run.next_line(0)
    run.next_line(0)
    run.came_to(both[1], DONE)
    assert list(run.results()) == [(both[0], Outcome(PENDING)), (both[1], DONE)]


@settings(max_examples=60, deadline=None)
@given(
    users=st.lists(st.sampled_from("ABCDE"), min_size=1, max_size=40),
    rng=st.randoms(use_true_random=False),
)
def test_whatever_is_answered_each_line_ends_once_and_agents_never_overtake(
    users: list[str], rng: object
) -> None:
    file = lines(*users)
    run = FileRun(file)
    now_s = 0.0
    asked: list[CsvLine] = []
    followed: list[CsvLine] = []
    ended: list[CsvLine] = []
    pick = rng.choice  # type: ignore[attr-defined]  # random.Random
    for _ in range(100_000):
        if run.is_over:
            break
        line = run.next_line(now_s)
        if line is not None:
            busy = {each.user for each in (*asked, *followed)}
            assert line.user not in busy
            asked.append(line)
        elif asked and pick((True, False, not followed)):
            line = asked.pop(pick(range(len(asked))))
            fate = pick(("taken", "again", "unavailable", "refused"))
            if fate == "taken":
                run.taken(line, now_s, is_replayed=False)
                followed.append(line)
            elif fate == "again":
                run.refused_for_now(line, now_s, 0.1)
            elif fate == "unavailable":
                before = run.ended
                run.unavailable(line, now_s, REFUSED)
                ended += [line] * (run.ended - before)
            else:
                run.came_to(line, REFUSED)
                ended.append(line)
        elif followed:
            line = followed.pop(pick(range(len(followed))))
            run.came_to(line, DONE)
            ended.append(line)
        if run.due_s is not None:
            now_s = max(now_s, run.due_s)
    assert run.is_over
    assert sorted(ended) == sorted(file)
    for user in set(users):
        numbers = [line.number for line in ended if line.user == user]
        assert numbers == sorted(numbers)

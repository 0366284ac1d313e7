"""FileRun: which line of a command file is sent next, and when. Pure: time is an argument.

Lines go in the file's order, except that an agent's lines go one after the other: the second of two
is judged by what the first has done. The pace is learned, because others may be sending, too: when
the runtime refuses for its rate, what it took within the last second is what it takes.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import Final

from actors.cli.batch_file import PENDING, CsvLine, Outcome

ASKED_MAX: Final = 4
"""Requests on their way at once: one alone would wait for each user check."""
FOLLOWED_MAX: Final = 200
"""Commands that were taken and have no end yet."""
WINDOW_S: Final = 1.0
CAUTION: Final = 1.05
EASE: Final = 0.00025
"""After a refusal the pause is a little longer than it must be, and each success shortens it, by so
much more for every success since: a refusal now and then finds out whether there is more room than
we know, and a pause that was learned in a bad moment is soon forgotten."""
BACKOFF_FIRST_S: Final = 0.2
BACKOFF_MAX_S: Final = 10.0
UNAVAILABLE_TRIES: Final = 5
UNAVAILABLE_PAUSE_S: Final = 2.0


class BatchPace:
    """How long to pause between two commands."""

    def __init__(self) -> None:
        self.next_s = 0.0
        self._learned_s = 0.0
        self._backoff_s = 0.0
        self._successes = 0  # since the last refusal
        self._taken_s: deque[float] = deque()

    @property
    def pause_s(self) -> float:
        return max(self._learned_s, self._backoff_s)

    def asked(self, now_s: float) -> None:
        self.next_s = max(self.next_s, now_s) + self.pause_s

    def taken(self, now_s: float) -> None:
        self._taken_s.append(now_s)
        self._forget(now_s)
        self._successes += 1
        self._learned_s *= max(1 - EASE * self._successes, 0.5)
        if self._backoff_s:
            self._backoff_s = 0.0
            self.next_s = now_s + self._learned_s

    def refused(self, now_s: float, retry_after_s: float) -> None:
        self._forget(now_s)
        self._successes = 0
        if self._taken_s:
            self._learned_s = CAUTION * WINDOW_S / len(self._taken_s)
        else:  # others use all that there is, or a sender that has just begun takes nothing yet
            self._backoff_s = min(max(2 * self.pause_s, BACKOFF_FIRST_S), BACKOFF_MAX_S)
        self.next_s = now_s + retry_after_s  # it has cost nothing, so no pause is due for it

    def hold(self, until_s: float) -> None:
        self.next_s = max(self.next_s, until_s)

    def _forget(self, now_s: float) -> None:
        while self._taken_s and self._taken_s[0] <= now_s - WINDOW_S:
            self._taken_s.popleft()


class FileRun:
    """One sending of one file. Each line is waiting, asked, followed or ended."""

    def __init__(self, lines: Sequence[CsvLine]) -> None:
        self._lines = {line.number: line for line in lines}
        self._outcomes: dict[int, Outcome] = {}
        self._asked: set[int] = set()
        self._followed: set[int] = set()
        self._tries: Counter[int] = Counter()
        self._queues: dict[str, deque[int]] = {}  # per agent, the one under way first
        for line in lines:
            self._queues.setdefault(line.user, deque()).append(line.number)
        self._ready = [queue[0] for queue in self._queues.values()]
        heapq.heapify(self._ready)
        self.pace = BatchPace()

    @property
    def is_over(self) -> bool:
        return len(self._outcomes) == len(self._lines)

    @property
    def ended(self) -> int:
        return len(self._outcomes)

    def counts(self) -> Counter[str]:
        """How many lines came to which outcome."""
        counts = Counter(outcome.step for outcome in self._outcomes.values())
        counts[PENDING] += len(self._lines) - len(self._outcomes)
        return +counts

    @property
    def replayed(self) -> int:
        return sum(outcome.is_replayed for outcome in self._outcomes.values())

    def reasons(self) -> list[tuple[Outcome, list[int]]]:
        """Why lines were not done, as far as it was said: what most lines have in common first,
        each with the numbers of its lines. Of an outcome here only step, code and detail count."""
        lines: dict[Outcome, list[int]] = {}
        for number, each in sorted(self._outcomes.items()):
            if each.code or each.detail:
                lines.setdefault(Outcome(each.step, each.code, each.detail), []).append(number)
        return sorted(lines.items(), key=lambda each: (-len(each[1]), each[1]))

    def results(self) -> Iterator[tuple[CsvLine, Outcome]]:
        """In the file's order."""
        for number, line in self._lines.items():
            yield line, self._outcomes.get(number, Outcome(PENDING))

    def next_line(self, now_s: float) -> CsvLine | None:
        """To be asked now; None: not yet, see `due_s`, or none is left."""
        if not self._has_room or not self._ready or now_s < self.pace.next_s:
            return None
        number = heapq.heappop(self._ready)
        self._asked.add(number)
        self.pace.asked(now_s)
        return self._lines[number]

    @property
    def due_s(self) -> float | None:
        """When to ask for the next line; None: something must be answered first."""
        return self.pace.next_s if self._ready and self._has_room else None

    @property
    def _has_room(self) -> bool:
        return len(self._asked) < ASKED_MAX and len(self._followed) < FOLLOWED_MAX

    # What came back for a line that was asked

    def taken(self, line: CsvLine, now_s: float, *, is_replayed: bool) -> None:
        """It is durable; its end is to be followed. A replay has cost no permit."""
        self._asked.remove(line.number)
        self._followed.add(line.number)
        if not is_replayed:
            self.pace.taken(now_s)

    def refused_for_now(self, line: CsvLine, now_s: float, retry_after_s: float) -> None:
        """For its rate, or for what is under way: nothing was bound to its key."""
        self._asked.remove(line.number)
        heapq.heappush(self._ready, line.number)
        self.pace.refused(now_s, retry_after_s)

    def unavailable(self, line: CsvLine, now_s: float, outcome: Outcome) -> None:
        """A line or a shard is away: tried again a few times, and all others wait as well."""
        self._asked.remove(line.number)
        self._tries[line.number] += 1
        if self._tries[line.number] < UNAVAILABLE_TRIES:
            heapq.heappush(self._ready, line.number)
            self.pace.hold(now_s + UNAVAILABLE_PAUSE_S)
        else:
            self._end(line, outcome)

    def came_to(self, line: CsvLine, outcome: Outcome) -> None:
        """Its end, asked or followed."""
        self._asked.discard(line.number)
        self._followed.discard(line.number)
        self._end(line, outcome)

    def _end(self, line: CsvLine, outcome: Outcome) -> None:
        assert line.number not in self._outcomes, f"line {line.number} ends twice"
        self._outcomes[line.number] = outcome
        queue = self._queues[line.user]
        assert queue.popleft() == line.number, f"line {line.number} overtook another one"
        if queue:
            heapq.heappush(self._ready, queue[0])
        else:
            del self._queues[line.user]

"""The merge: which events change what a shard holds, which are duplicates, which come late. Pure.

Knows no ring, no journal and no clock: parsed events and the time go in, agents, rows and counts
change. Rules and their order: `docs/design.md`, "A shard, step by step", 3.
"""

from __future__ import annotations

from array import array
from bisect import bisect
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

from xxhash import xxh3_64_intdigest

from actors.messages.control import (
    SEQUENCE_END,
    SEQUENCE_STEP_MAX,
    UNKNOWN,
    session_flags,
)
from actors.shard.agent_table import Agent, AgentTable, Appointment
from actors.shard.decode import AppointmentEvent, InternedNames, StateEvent, Times, checked
from actors.shard.dedup import WINDOW_WIDTH, HashWindow, SequenceWindow
from actors.shard.event_run import RejectedFrame, judge_run
from actors.shard.held_time import decides_nothing

SILENT_MAX = 2_048
"""Sequences handled without a row (duplicates of content) that a restart must know."""

NO_SESSION = -1
"""Flags of an event that names nobody, whichever session runs."""

OUTCOMES = ("received", "applied", "unchanged", "duplicates", "late", "shed", "quarantined")
"""`received` is the sum of the others at every quiet moment."""


class Merge:
    """Judges events one after the other and applies what is new."""

    def __init__(self, agent_table: AgentTable, names: InternedNames | None = None) -> None:
        self.agent_table = agent_table
        self.names = names or InternedNames()
        self.counts = dict.fromkeys(OUTCOMES, 0)
        self.unreadable: Counter[str] = Counter()
        """Cloud: parts of events that could not be read, by why; until somebody takes them."""
        self.epoch = 0
        self.newest = 0
        """The gateway's newest sequence that we were told of, in this epoch."""
        self.mark = 0
        """The highest sequence or watermark met in this epoch: a receiver resumes behind it."""
        self.session = 0
        """The session whose history names agents now."""
        self.window = SequenceWindow()
        self.hashes = HashWindow()
        self.silent: deque[int] = deque(maxlen=SILENT_MAX)
        self.silent_changed = False
        self.inherited = array("q")
        """Silent sequences of earlier lives, or of the shards whose agents were taken over."""
        self.times = Times()

    def begin_epoch(self, epoch: int) -> None:
        """The gateway numbers anew: no window and no mark of the old numbering counts."""
        assert epoch > self.epoch
        self.epoch = epoch
        self.newest = self.mark = 0
        self.window = SequenceWindow()
        self.silent.clear()
        self.inherited = array("q")
        self.silent_changed = True

    def silent_sequences(self) -> array[int]:
        """Handled without a row, and still within the window: what a successor must be told."""
        self.inherited = self.inherited[bisect(self.inherited, self.mark - WINDOW_WIDTH) :]
        return self.inherited + array("q", self.silent)

    def events(
        self,
        values: Sequence[Any],
        received_ns: Sequence[int],
        epochs: Sequence[int],
        flags: bytes,
        now_s: float,
    ) -> list[RejectedFrame]:
        """Judges and applies parsed frames in their order; returns those to quarantine.

        `epochs` are the low 16 bits of each frame's gateway epoch, `flags` a byte of its
        session's number (`session_flags`), as its record carried them.
        """
        self.counts["received"] += len(values)
        self.hashes.turn(now_s)
        findings: list[RejectedFrame] = []
        first = 0
        total = len(values)
        while first < total:  # a run of one epoch; nearly always the whole batch
            low = epochs[first]
            last = first + 1
            if epochs.count(low) == total:
                last = total
            else:
                while last < total and epochs[last] == low:
                    last += 1
            epoch = self._full_epoch(low)
            if epoch > self.epoch:
                self.begin_epoch(epoch)
            if epoch == self.epoch:
                judge_run(self, values, received_ns, flags, first, last, findings)
            else:  # what an old socket still brings after the gateway began to number anew
                for index in range(first, last):
                    received_us = received_ns[index] // 1000
                    reason = self.judge_slowly(
                        values[index], received_us, epoch, flags[index], SEQUENCE_END
                    )
                    if reason is not None:
                        findings.append(RejectedFrame(index, reason))
            first = last
        self.counts["quarantined"] += len(findings)
        return findings

    def _full_epoch(self, low: int) -> int:
        """The epoch whose low 16 bits these are, nearest to the current one."""
        if self.epoch == 0:
            return low
        return self.epoch + ((low - self.epoch + 0x8000) & 0xFFFF) - 0x8000

    def again(self, value: Any, received_us: int, now_s: float) -> str | None:
        """A frame that was set aside: judged as a live one, whatever the windows say of its
        sequence, and as a position no further than the mark, which it does not move. Returns why it
        is to be quarantined once more."""
        self.counts["received"] += 1
        self.hashes.turn(now_s)
        reason = self._once_more(value, received_us)
        self.counts["quarantined"] += reason is not None
        return reason

    def _once_more(self, value: Any, received_us: int) -> str | None:
        limit = max(self.newest, self.mark) + SEQUENCE_STEP_MAX + 1
        return self.judge_slowly(value, received_us, self.epoch, NO_SESSION, limit, is_again=True)

    def judge_slowly(  # noqa: PLR0911  one per reason
        self,
        value: Any,
        received_us: int,
        epoch: int,
        flags: int,
        limit: int,
        *,
        is_again: bool = False,
    ) -> str | None:
        """Checks, judges and applies one parsed frame; returns why it is to be quarantined."""
        event = checked(value)
        if isinstance(event, str):
            return event
        if event.sequence >= limit:
            return "sequence is implausibly far above the highest known"
        agent = self.agent_table.by_user.get(event.user_id)
        if agent is None and not self.agent_table.owns(event.user_id):
            return "another shard owns this agent"
        if isinstance(event, AppointmentEvent):
            self._appoint(agent, event)
            return None
        if agent is None and self.agent_table.is_full:
            return "too many agents"
        if self.names.is_full and event.state not in self.names.states:
            return "too many unknown states"
        event = self.names.shared(event)
        if event.is_history:
            self._apply_history(agent, event, received_us, epoch, flags)
        elif is_again:
            event = event._replace(sequence=min(event.sequence, self.mark))
            self._judge_content(agent, event, received_us, epoch, is_told=False)
        else:
            self._judge(agent, event, received_us, epoch)
        return None

    def _appoint(self, agent: Agent | None, event: AppointmentEvent) -> None:
        """An appointment is no state change: it moves no window and no mark and makes no row. Of
        an agent that nobody has named yet it is not kept."""
        self.counts["unchanged"] += 1
        if agent is not None:
            self.agent_table.appoint(agent, Appointment(event.start_us, event.end_us, event.at_us))

    def _apply_history(
        self, agent: Agent | None, event: StateEvent, received_us: int, epoch: int, flags: int
    ) -> None:
        """History carries old sequences: it is judged by what is held, and moves no mark. A change
        that it told first is no news when a replay, which reaches behind the first session's
        beginning, tells it as well. The history of an old socket names nobody for the session that
        has begun since."""
        if agent is None:
            agent = self.agent_table.admit(event.user_id)
        if flags in (0, session_flags(self.session)):
            agent.named = self.session
        is_news = (
            agent.state is None
            or agent.state == UNKNOWN
            or (epoch, event.sequence) > (agent.epoch, agent.sequence)
        )
        if is_news:
            if epoch == self.epoch and event.sequence <= self.newest:
                self.window.extend((event.sequence,))
            elif epoch == self.epoch:
                # Beyond what the history was asked at, or of another numbering: as a position it
                # could make the agent's live events late.
                event = event._replace(sequence=self.newest)
            self._apply(agent, event, received_us, epoch, "history")
        else:
            self.counts["unchanged"] += 1

    def _judge(self, agent: Agent | None, event: StateEvent, received_us: int, epoch: int) -> None:
        """A live or replayed event: duplicate, late, or applied."""
        sequence, counts = event.sequence, self.counts
        position = (epoch, sequence)
        in_window = epoch == self.epoch and sequence > self.mark - WINDOW_WIDTH
        if in_window and sequence in self.window:
            counts["duplicates"] += 1
            return
        if not in_window and agent is not None and position <= (agent.epoch, agent.sequence):
            counts["duplicates"] += 1
            return
        if in_window:
            self.window.add(sequence)
            self.mark = max(self.mark, sequence)
        self._judge_content(agent, event, received_us, epoch, is_told=in_window)

    def _judge_content(
        self, agent: Agent | None, event: StateEvent, received_us: int, epoch: int, *, is_told: bool
    ) -> None:
        """By what it says; the windows have judged it. `is_told`: a successor must be told that its
        sequence was handled, should no row say so."""
        sequence, counts = event.sequence, self.counts
        digest = digest_of(event.user_id, event.state, event.stamp, event.queue)
        if agent is None:
            agent = self.agent_table.admit(event.user_id)
        elif _repeats(agent, event, received_us, was_seen=digest in self.hashes):
            counts["duplicates"] += 1
            if is_told:
                self.silent.append(sequence)
                self.silent_changed = True
            return
        self.hashes.younger.add(digest)
        if agent.state is not None and (epoch, sequence) < (agent.epoch, agent.sequence):
            counts["late"] += 1
            self._write(agent, event, received_us, epoch, "late")
        else:
            self._apply(agent, event, received_us, epoch, "live")

    def _apply(
        self, agent: Agent, event: StateEvent, received_us: int, epoch: int, cause: str
    ) -> None:
        self.counts["applied"] += 1
        self._write(agent, event, received_us, epoch, cause)
        agent.state = event.state
        agent.at_us = event.at_us
        agent.queue = event.queue
        agent.presence = event.presence
        # An Unknown agent may be restored by an older history event: its position stays.
        agent.epoch, agent.sequence = max((epoch, event.sequence), (agent.epoch, agent.sequence))

    def _write(
        self, agent: Agent, event: StateEvent, received_us: int, epoch: int, cause: str
    ) -> None:
        self.agent_table.write(
            agent,
            event.state,
            at_us=event.at_us,
            received_us=received_us,
            epoch=epoch,
            sequence=event.sequence,
            queue=event.queue,
            presence=event.presence,
            correlation=event.correlation,
            cause=cause,
        )


def digest_of(user_id: str, state: str, stamp: str, queue: str | None) -> int:
    """What identifies an event whatever its sequence; the hot loop has it in line."""
    return xxh3_64_intdigest(f"{stamp}{user_id}{state}\x1f{queue}".encode())


def _repeats(agent: Agent, event: StateEvent, received_us: int, *, was_seen: bool) -> bool:
    """A re-delivery under another sequence, or an event that says what is held already. Else the
    sequence alone says which of two is the later one: a wall clock may stand wrong, or be set."""
    if agent.state == UNKNOWN:
        return False
    if was_seen and event.at_us < agent.at_us:
        return not decides_nothing(agent.at_us, event.at_us, received_us)
    return event.state == agent.state and event.at_us == agent.at_us and event.queue == agent.queue

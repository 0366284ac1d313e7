"""Organisation: the fake contact center as it stands: what has happened, under which numbers.

Joins event log, event times, numbering and order, and notes in the ledger what changes in them.
Knows no socket and no clock.
"""

from __future__ import annotations

from array import array
from dataclasses import asdict, dataclass

from tools.fake_gateway.event_times import EventTimes
from tools.fake_gateway.ledger import Ledger
from tools.fake_gateway.script import Script, ScriptSettings
from tools.fake_gateway.wsp.event_log import EventLog
from tools.fake_gateway.wsp.frames import FrameWriter
from tools.fake_gateway.wsp.numbering import Epoch, Numbering
from tools.fake_gateway.wsp.order import DeliveryOrder
from tools.fake_gateway.wsp.subscription import Subscription

FIRST_SEQUENCE = 10_000_001  # the digits of a sequence keep one width, as in a real stream
RETENTION_EVENTS = 5_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSettings:
    window: int = 0
    duplicates: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionAnswer:
    """To a subscription: the acknowledgement, what is missing, and where the stream goes on."""

    sequence: int
    epoch: Epoch
    position: int  # of the first event to be sent
    gap: tuple[int, int] | None  # sequences that cannot be replayed
    resume: str  # none | replay | gap | ignored


class Organisation:
    def __init__(
        self,
        settings: ScriptSettings,
        order: OrderSettings,
        ledger: Ledger,
        *,
        first_sequence: int = FIRST_SEQUENCE,
        retention_events: int = RETENTION_EVENTS,
    ) -> None:
        self.settings = settings
        self.script = Script(settings)
        self.event_log = EventLog(self.script)
        self.event_times = EventTimes(self.script.distance_min)
        self.numbering = Numbering(settings.agents)
        self.order = DeliveryOrder(settings.seed, order.window, order.duplicates)
        self.writer = FrameWriter(self.script)
        self.head = 0  # events that have happened
        self.retention_events = retention_events
        self._ledger = ledger
        ledger.write("run", script=asdict(settings), order=asdict(order))
        self.renumber(first_sequence)

    @property
    def newest_sequence(self) -> int:
        return self.numbering.newest_sequence(self.head)

    @property
    def sendable(self) -> int:
        return self.order.sendable(self.head)

    def renumber(self, first_sequence: int, *, is_named: bool = True) -> None:
        """A new gateway epoch. Its name is unique: nobody can resume in an epoch of another run.
        Not named: it is told under the name of the one before."""
        epochs = self.numbering.epochs
        name = f"{self.settings.origin_ms:x}-{self.settings.seed:x}-{len(epochs) + 1}"
        told = None if is_named else epochs[-1].wire
        epoch = Epoch(name, self.head, first_sequence, told)
        self.numbering.begin(epoch)
        self.writer.add_epoch(epoch)
        self._ledger.write("epoch", **epoch._asdict())

    def begin_stretch(self, first: int, now_ns: int, step_ns: int) -> None:
        stretch = self.event_times.begin(first, now_ns, step_ns)
        self.writer.add_stretch(stretch)
        self._ledger.write("stretch", **stretch._asdict())

    def advance(self, head: int) -> None:
        assert head == self.head or (head > self.head and self.event_times.stretches), head
        self.head = head

    @property
    def steps(self) -> int:
        """How many of the events that have happened are the script's."""
        return self.event_log.steps(self.head)

    def change(self, agent: int, presence: int, correlation: str, now_ns: int) -> int:
        """An update becomes the next event. Returns its number."""
        number = self.head
        last = self.event_log.last_change(agent, number)
        held_ms = self.script.initial_ms(agent) if last < 0 else self.event_times.at_ms(last)
        next_in = self.event_log.next_in(agent, number)
        change = self.event_log.caused(number, agent, presence, correlation)
        self.event_log.add(change)
        self.writer.add_change(change)
        self._ledger.write("change", **change._asdict())
        for stretch in self.event_times.insert(number, now_ns, held_ms=held_ms, next_in=next_in):
            self.writer.add_stretch(stretch)
            self._ledger.write("stretch", **stretch._asdict())
        self.head += 1
        return number

    def end_block(self) -> None:
        """What has begun of the order's last block is brought to its end, so that nothing waits."""
        self.advance(self.order.whole(self.head))

    def answer(self, asked: Subscription, *, ignores_sequence: bool = False) -> SubscriptionAnswer:
        """Replay of what follows the sequence, if it is of this epoch and retained; else a gap."""
        epoch, newest = self.numbering.current, self.newest_sequence
        position = self.order.begin_of(self.sendable)
        gap, resume = None, "none"
        is_of_epoch = asked.epoch is None or asked.epoch == epoch.wire
        if asked.sequence is None or (is_of_epoch and asked.sequence > newest):
            pass  # nothing to replay; a sequence of the future is none of ours
        elif ignores_sequence:
            resume = "ignored"
            if is_of_epoch and asked.sequence < newest:
                gap = (max(asked.sequence + 1, epoch.first_sequence), newest)
        elif not is_of_epoch:
            # What was missed in the other epoch nobody can tell; in this one, all of it.
            resume = "gap"
            gap = (1, newest)
        else:
            # Below its first event an epoch has only initial states, and those a history tells.
            behind = max(epoch.first, asked.sequence + 1 - epoch.first_sequence + epoch.first)
            if behind >= self.head - self.retention_events:
                resume = "replay"
                position = min(position, self.order.begin_of(behind))
            else:
                resume = "gap"
                gap = (max(asked.sequence + 1, epoch.first_sequence), newest)
        return SubscriptionAnswer(
            sequence=newest, epoch=epoch, position=position, gap=gap, resume=resume
        )

    def frames(self, first: int, end: int, shape: int) -> tuple[bytes, int]:
        """Positions first <= p < end of the stream, and how many frames they are."""
        if self.order.is_plain:
            return self.writer.frames(first, end, shape), end - first
        numbers = self.order.numbers(first, end, self.numbering.epoch_of(first).first)
        return self.writer.frames_of(numbers, shape), len(numbers)

    def last_changes(self) -> array[int]:
        return self.writer.last_changes(self.head)

"""Watch: what an onlooker at the receiver's edge notes down for the oracle. Decides nothing."""

from __future__ import annotations

from collections import defaultdict

from actors.messages.control import END_EXHAUSTED, ControlRecord, HistoryEnds, SessionEnds
from tests.simulation.gateway import Socket


class Watch:
    def __init__(self) -> None:
        self.epochs: dict[int, int] = {}
        """The gateway's epoch that each of the runtime's numbers stands for."""
        self.promised_from: int | None = None
        """The first event behind the first session that was kept."""
        self.endings: dict[int, frozenset[str] | None] = {}
        """By the time of a history's end: whom it had named. None: every try was spent."""
        self._run = 0
        self._named: defaultdict[tuple[int, int], set[str]] = defaultdict(set)

    def runtime_begins(self, *, known_epoch: int) -> None:
        self._run += 1
        if not known_epoch:  # nothing of a first session was ever committed
            self.promised_from = None
        # Nor anything of a numbering beyond the one that the journals know: its number is free.
        self.epochs = {number: of for number, of in self.epochs.items() if number <= known_epoch}

    def begins(self, session: int, epoch: int, socket: Socket) -> None:
        assert self.epochs.setdefault(epoch, socket.epoch) == socket.epoch, (
            f"epoch {epoch} stands for two numberings of the gateway"
        )
        if self.promised_from is None:
            self.promised_from = socket.head

    def names(self, session: int, user: str) -> None:
        self._named[self._run, session].add(user)

    def writes(self, record: ControlRecord) -> None:
        match record:
            case HistoryEnds(session=session, complete=True, at_us=at_us):
                self.endings[at_us] = frozenset(self._named[self._run, session])
            case SessionEnds(reason=reason, at_us=at_us) if reason == END_EXHAUSTED:
                self.endings[at_us] = None

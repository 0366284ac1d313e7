"""Owns what others see of a receiver: the words of its page, and the lines that would repeat.

It knows no ring and no session: it is told what to show. Counts go on where the last receiver's
ended; what is true only now is set anew by each.
"""

from __future__ import annotations

from typing import Any, Final

from actors.genesys.token_gauges import TOKEN_WORDS, TokenGauges
from actors.genesys.tokens import TokenProvider
from actors.messages.control import APPOINTMENT_EVENT
from actors.receiver.connection import ConnectionCounts
from actors.receiver.ring_writer import OUTLET_WORDS
from runtime.counters import Counters

RECEIVER_WORDS: Final = (
    *OUTLET_WORDS,
    "session",  # these outlive a receiver, the note (the name of the gateway epoch) with them
    "gateway_epoch",
    "sessions_begun",  # of this run; `session` counts on from the journals
    "connected",
    "history_running",
    "stale_since_us",  # 0: a session is up
    "heard_us",  # when the last frame came, by the wall clock; it outlives a receiver
    "quiet_s",  # for how long we have read and heard nothing; cloud: on the quietest channel
    "channels_quiet",  # cloud: on how many that is so for longer than usual
    "control_frames",
    "shed",
    "shed_appointments",  # of these
    "shed_others",
    "pauses",
    "reconnects",
    "handshake_refusals",
    *TOKEN_WORDS,
    "exhausted",
)
_COUNTED: Final = ("control_frames", "shed", "shed_appointments", "shed_others")
PRESSURE_LINE_EVERY_S: Final = 10.0  # a full ring may come and go several times a second


class Gauges:
    """For one receiver; the ring writer writes the words of `OUTLET_WORDS` itself."""

    def __init__(
        self, counters: Counters, tokens: TokenProvider, tally: ConnectionCounts, log: Any
    ) -> None:
        self._counters = counters
        self._token_gauges = TokenGauges(counters, tokens, log)
        self._tally = tally
        self._log = log
        self._before = {word: counters.get(word) for word in _COUNTED}
        self._pressure = PressureLines(counters, log)

    def start(self, at_us: int) -> None:
        """No session of ours is up yet."""
        self._counters.set("exhausted", 0)
        self.show_session(False, False, self._counters.get("heard_us") or at_us)

    def show(self) -> None:
        shed, appointments = self._tally.shed.total(), self._tally.shed[APPOINTMENT_EVENT]
        counts = (self._tally.control_frames, shed, appointments, shed - appointments)
        for word, count in zip(_COUNTED, counts, strict=True):
            self._counters.set(word, self._before[word] + count)
        self._token_gauges.show()

    def show_heard(self, heard_us: int, quiet_s: float) -> None:
        self._counters.set("heard_us", heard_us)
        self._counters.set("quiet_s", int(quiet_s))

    def show_session(self, is_up: bool, has_history: bool, at_us: int) -> None:
        """`at_us`: if none is up, since then."""
        put = self._counters.set
        put("connected", int(is_up))
        put("history_running", int(has_history))
        if is_up:
            put("stale_since_us", 0)
        elif self._counters.get("stale_since_us") == 0:
            put("stale_since_us", at_us)

    def show_pressure(self, is_on: bool, now_s: float) -> None:
        self._pressure.show(is_on, now_s, shed=dict(self._tally.shed))


class PressureLines:
    """Each pause is counted; told are the first, and one in a while of those that follow."""

    def __init__(self, counters: Counters, log: Any) -> None:
        self._counters = counters
        self._log = log
        self._told_s = float("-inf")
        self._is_told = False

    def show(self, is_on: bool, now_s: float, **more: object) -> None:
        """`more`: told with the end of it."""
        if is_on:
            self._counters.add("pauses")
            self._is_told = now_s >= self._told_s + PRESSURE_LINE_EVERY_S
            if self._is_told:
                self._told_s = now_s
                self._log.warning("pressure.on", pauses=self._counters.get("pauses"))
        elif self._is_told:
            self._log.info("pressure.off", **more)

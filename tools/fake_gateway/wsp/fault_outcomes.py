"""FaultOutcomes: each fault that a ledger tells of, and what became of it. Knows no journal.

Times are those of the ledger. A client is *back* when a socket has subscribed that the fault did
not meet.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tools.fake_gateway.connection import BY_CLIENT
from tools.fake_gateway.faults import BREAKING
from tools.fake_gateway.wsp.faults import ACK_FAULTS, GATE_FAULTS, PRESENCE_FAULTS

US_PER_S = 1_000_000
CUTTING = ("close", "drop", "expire-tokens", "renumber", "slow")
HOLDING = ("stall", "pause", "trickle")
ODD_HISTORIES = ("no-history-end", "slow-history", "omit-agents")
ENDS_WITHIN_S = 0.5  # a session that a client ends so soon after a fault it ended for it
_MEETS = {**dict.fromkeys(ACK_FAULTS, "update"), "slow-users": "look-up", "bind-missing": "binding"}


class Opened(NamedTuple):
    at_us: int
    socket: int


class FaultOutcomes:
    """What a ledger tells beside the events, by kind and in order."""

    def __init__(self) -> None:
        self.faults: list[Mapping[str, Any]] = []
        self.opened: list[Opened] = []
        self.closed: dict[int, tuple[int, str]] = {}  # when, how
        self.refused: list[tuple[int, str]] = []  # when, which gate
        self.missed: list[tuple[int, str]] = []  # when, gap or ignored
        self.bound: list[Opened] = []  # presence sockets
        # When something of that name came last.
        self.last_us: dict[str, int] = {}

    def add(self, line: Mapping[str, Any]) -> None:
        kind = line["kind"]
        if kind == "fault":
            self.faults.append(line)
        elif kind == "subscribed":
            self.opened.append(Opened(line.get("at_us", 0), line["socket"]))
        elif kind == "closed":
            self.closed[line["socket"]] = (line.get("at_us", 0), line.get("reason", ""))
        elif kind == "refused":
            self.refused.append((line["at_us"], line["gate"]))
        elif kind in ("gap", "ignored"):
            self.missed.append((line.get("at_us", 0), kind))
        elif kind == "presence-bound":
            self.bound.append(Opened(line["at_us"], line["socket"]))
        elif kind in ("update", "look-up", "presence-opened"):
            self.last_us["binding" if kind == "presence-opened" else kind] = line["at_us"]

    def report(self) -> list[dict[str, Any]]:
        """{kind, at_us, detail, became, back_s}; back_s is None where nobody had to come back."""
        return [self._trouble(place, line) for place, line in enumerate(self.faults)]

    def _trouble(self, place: int, line: Mapping[str, Any]) -> dict[str, Any]:
        kind, at_us = line["what"], line.get("at_us", 0)
        if kind in GATE_FAULTS:
            became, back_s = self._at_the_gate(place, line)
        elif kind in _MEETS:
            what = _MEETS[kind]
            is_met = self.last_us.get(what, -1) >= at_us
            became, back_s = f"met by the next {what}" if is_met else "nobody came", None
        elif kind in PRESENCE_FAULTS:
            became, back_s = self._on_presence(at_us, line["sockets"])
        elif kind == "retention":
            count = self._missed(at_us, "gap", line.get("seconds") or 0.0)
            became, back_s = f"{count} resumes met a gap", None
        elif kind == "ignore-sequence":
            is_met = self._missed(at_us, "ignored", 0.0) > 0
            became, back_s = "a resume was ignored" if is_met else "nobody resumed", None
        elif kind in ODD_HISTORIES:
            is_met = self._back_s(at_us, ()) is not None
            became, back_s = "met by the next history" if is_met else "nobody came", None
        else:
            became, back_s = self._on_sockets(line)
        return {
            "kind": kind,
            "at_us": at_us,
            "detail": line.get("detail") or {},
            "became": became,
            "back_s": back_s,
        }

    def _at_the_gate(self, place: int, line: Mapping[str, Any]) -> tuple[str, float | None]:
        """Refusals are ordered; they happen when somebody comes."""
        gate, at_us = GATE_FAULTS[line["what"]], line["at_us"]
        later = (each["at_us"] for each in self.faults[place + 1 :] if each["what"] == line["what"])
        end_us = next(later, 1 << 62)
        met = [when for when, which in self.refused if which == gate and at_us <= when < end_us]
        if not met:
            return "nobody came", None
        if gate in ("users", "webhooks"):
            return f"{len(met)} refused", None
        back_s = _back_s(self.bound if gate == "presence" else self.opened, met[0], ())
        return f"{len(met)} refused", back_s

    def _on_presence(self, at_us: int, met: list[int]) -> tuple[str, float | None]:
        if not met:
            return "nobody was there", None
        back_s = _back_s(self.bound, at_us, met)
        return ("bound again" if back_s is not None else "the socket was not replaced"), back_s

    def _missed(self, at_us: int, what: str, seconds: float) -> int:
        end_us = at_us + round(seconds * US_PER_S) if seconds else 1 << 62
        return sum(which == what and at_us <= when < end_us for when, which in self.missed)

    def _on_sockets(self, line: Mapping[str, Any]) -> tuple[str, float | None]:
        kind, at_us = line["what"], line.get("at_us", 0)
        met = line["sockets"] if "sockets" in line else [line["socket"]]
        if not met:
            return "nobody was there", None
        if kind in CUTTING:
            back_s = self._back_s(at_us, met)
            return ("reconnected" if back_s is not None else "nobody came back"), back_s
        # A socket whose client closes it under megabytes of ours may look merely lost.
        by_client = (BY_CLIENT, "lost") if kind in (*BREAKING, "poison") else (BY_CLIENT,)
        limit_us = at_us + round((ENDS_WITHIN_S + line.get("seconds", 0.0)) * US_PER_S)
        ends = [self.closed[socket] for socket in met if socket in self.closed]
        if any(when <= limit_us and how.startswith(by_client) for when, how in ends):
            return "ended by the runtime", self._back_s(at_us, met)
        return ("held, then went on" if kind in HOLDING else "the session went on"), None

    def _back_s(self, at_us: int, met: Iterable[int]) -> float | None:
        return _back_s(self.opened, at_us, met)


def _back_s(opened: list[Opened], at_us: int, met: Iterable[int]) -> float | None:
    """Until the first socket that the fault did not meet."""
    place = bisect_left(opened, (at_us, 0))
    first = next((one for one in opened[place:] if one.socket not in met), None)
    return None if first is None else round((first.at_us - at_us) / US_PER_S, 3)

"""Owns what the roster proves against what a shard holds, and which sessions are doubted for it.
Pure.

Theory. Heartbeats may go on while events do not (protocol.md §4, R10). The roster shows everybody's
presence and routing status every few minutes. A part that it shows with another value and a newer
time than what is held was not brought by the agent's channel, if it was old enough when it was read
for an event in flight to have come, and if everything that had come by then was judged. It is
applied, and the session that should have brought it is doubted until another one begins. The same
value with a newer time proves nothing: nobody promises that REST and events tell the same time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from actors.genesys.channel_plan import Slot, slot_of
from actors.messages.doubts import DOUBTS_MAX, decode_doubt, encode_doubt
from actors.shard.cloud_decode import AgentReading, Values
from actors.shard.native import PRESENCE, ROUTING, TIMELESS_US, Native, Presence

IN_FLIGHT_US: Final = 8_000_000
"""How long an event may take. Less than any interval at which the roster may be read."""
CAUSE: Final = "roster"
"""Of a transition that the roster told, in the journal."""


def proven(says: AgentReading, native: Native, read_us: int) -> Values | None:
    """What of it the channel should have brought by the time at which the roster was read."""
    presence, routing, _, _ = says.values
    if presence is not None:
        if not presence.definition and presence.system == native.system_presence:
            presence = presence._replace(definition=native.definition)
        is_other = _is_other(presence, native)
        held_us = _held_us(native, PRESENCE, native.presence_us)
        if not (is_other and is_evidence(presence.at_us, held_us, read_us)):
            presence = None
    if routing is not None:
        is_other = routing[0] != native.routing_status
        held_us = _held_us(native, ROUTING, native.routing_us)
        if not (is_other and is_evidence(routing[1], held_us, read_us)):
            routing = None
    return None if presence is None and routing is None else Values(presence, routing)


def _held_us(native: Native, field: int, at_us: int) -> int:
    """Since when the held value is: one that was told without a time, since it was received. Of a
    field that never had a time nothing follows."""
    return max(at_us, native.untimed_us(field)) if at_us > TIMELESS_US else at_us


def _is_other(presence: Presence, native: Native) -> bool:
    """A definition or a message that is not told is no other one."""
    return (presence.system, presence.definition) != (
        native.system_presence,
        native.definition,
    ) or presence.message not in ("", native.message)


def is_evidence(shown_us: int, held_us: int, read_us: int) -> bool:
    """Whether a part that is shown since then is newer than the held one, and was not in flight.
    Where one of the times is missing nothing follows."""
    return TIMELESS_US < held_us < shown_us <= read_us - IN_FLIGHT_US


class Doubts:
    """The sessions that did not bring what the roster shows."""

    def __init__(self) -> None:
        self._session: dict[str, int] = {}  # by scope

    def add(self, scope: str, session: int) -> bool:
        """True: nobody doubted this session before."""
        is_new = self._session.get(scope) != session
        self._session[scope] = session
        return is_new

    @property
    def is_any(self) -> bool:
        return bool(self._session)

    def restore(self, words: Iterable[int]) -> None:
        """What a predecessor's page shows."""
        for doubt in filter(None, map(decode_doubt, words)):
            self._session[Slot(doubt.client, doubt.slot).scope] = doubt.session

    def shown(self, session_of: Mapping[str, int]) -> list[int]:
        """As the page has them: those that still run, as many as find room, the oldest first. What
        finds none is shown when another one is over."""
        for scope, session in list(self._session.items()):
            if session_of.get(scope) != session:
                del self._session[scope]
        doubts = [
            encode_doubt(*slot_of(scope), session) for scope, session in self._session.items()
        ][:DOUBTS_MAX]
        return doubts + [0] * (DOUBTS_MAX - len(doubts))

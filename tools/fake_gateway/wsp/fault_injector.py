"""WspFaultInjector: what the faults of the wsp dialect do."""

from __future__ import annotations

import asyncio
import functools
import time
from typing import TYPE_CHECKING

from tools.fake_gateway.connection import STALL_FOREVER_S
from tools.fake_gateway.fault_injector import FaultInjector, disturb
from tools.fake_gateway.ledger import now_us
from tools.fake_gateway.wsp.faults import (
    ACK_FAULTS,
    FRAME_FAULTS,
    HISTORY_FAULTS,
    PRESENCE_FAULTS,
    PROFILES,
    WspFault,
)
from tools.fake_gateway.wsp.presence import PresenceConnection
from tools.fake_gateway.wsp.stream import Feed, Poison, Trickle

if TYPE_CHECKING:
    from tools.fake_gateway.wsp.server import WspGateway

UNNAMED_FALL_MIN = 1_000_000


class WspFaultInjector(FaultInjector[WspFault]):
    fault, profiles = WspFault, PROFILES

    def __init__(self, gateway: WspGateway) -> None:
        super().__init__(gateway)
        self._gateway = gateway

    def left(self) -> int:
        """Those that are planned or not over yet; refusals wait for somebody to come."""
        now_s = time.monotonic()
        is_planned = bool(self._plan.kinds) and self._traffic.load is not None
        held = sum(
            feed.is_paused(now_s) or feed.trickle is not None
            for feed in self._gateway.traffic.feeds.values()
        )
        return is_planned + held + super().left()

    def _is_ordered(self, fault: WspFault) -> bool:
        if fault.kind in ACK_FAULTS:
            return self._gateway.reception.is_ordered(fault.kind)
        return super()._is_ordered(fault)

    def _inject(self, fault: WspFault) -> None:
        gateway = self._gateway
        feeds = [one for one in gateway.traffic.feeds.values() if _meets(fault, one)]
        connections = [one for one in gateway.presence.connections.values() if _meets(fault, one)]
        is_of_presence = fault.kind in PRESENCE_FAULTS
        met: list[Feed] | list[PresenceConnection] = connections if is_of_presence else feeds
        if fault.kind not in (*FRAME_FAULTS, "poison"):  # those are noted when they are written
            self._ledger.write(
                "fault",
                what=fault.kind,
                sockets=[each.socket for each in met],
                seconds=fault.seconds,
                detail=fault.detail,
                at_us=now_us(),
            )
        if is_of_presence:
            gateway.presence.carry_out(fault, connections)
        elif fault.kind in FRAME_FAULTS:
            for feed in feeds:
                feed.broken += [fault.kind] * fault.count
        elif fault.kind == "renumber":
            self._renumber(fault)
        elif fault.kind == "expire-tokens":
            self._expire_tokens(fault, feeds, connections)
        elif not self._order(fault):
            for feed in feeds:
                if fault.kind == "trickle":
                    until_s = time.monotonic() + (fault.seconds or STALL_FOREVER_S)
                    feed.trickle = Trickle(until_s=until_s, events=fault.events or 1)
                else:
                    disturb(fault, feed)

    def _order(self, fault: WspFault) -> bool:
        """Whether it is one that waits for whom it will meet."""
        gateway, kind = self._gateway, fault.kind
        if kind in self._gates:
            self._gates[kind].order(fault)
        elif kind in ACK_FAULTS:
            gateway.reception.order(fault)
        elif kind in HISTORY_FAULTS:
            # `count` says so many histories; but of the agents to be omitted it is the number.
            histories = 1 if kind == "omit-agents" else fault.count
            gateway.notifications.odd_histories.extend([fault] * histories)
        elif kind == "slow-users":
            gateway.rest.slow_users_s.extend([fault.seconds] * fault.count)
        elif kind == "ignore-sequence":
            gateway.notifications.ignored_sequences += fault.count
        elif kind == "retention":
            self._shorten_retention(fault)
        elif kind == "poison":
            place = gateway.organisation.order.whole(gateway.organisation.head)
            gateway.traffic.poisons.append(Poison(place, fault.frame))
        else:
            return False
        return True

    def _expire_tokens(
        self, fault: WspFault, feeds: list[Feed], connections: list[PresenceConnection]
    ) -> None:
        self._gateway.tokens.expire_all()
        for connection in (*connections, *feeds):
            asyncio.get_running_loop().call_later(fault.seconds, connection.close, None)

    def _shorten_retention(self, fault: WspFault) -> None:
        organisation = self._gateway.organisation
        if fault.seconds:
            usual = self._gateway.settings.retention_events
            again = functools.partial(setattr, organisation, "retention_events", usual)
            asyncio.get_running_loop().call_later(fault.seconds, again)
        organisation.retention_events = fault.events

    def _renumber(self, fault: WspFault) -> None:
        """As a gateway that starts again: no socket survives, and it numbers from near 1."""
        organisation, stream = self._gateway.organisation, self._gateway.traffic
        organisation.end_block()
        first_sequence = fault.first_sequence or organisation.settings.agents + 1
        # Under the old name only what falls far enough can be told from the old numbering.
        falls = organisation.newest_sequence - first_sequence
        is_named = fault.named or falls < UNNAMED_FALL_MIN
        organisation.renumber(first_sequence, is_named=is_named)
        stream.poisons.clear()
        for feed in list(stream.feeds.values()):
            feed.drop()


def _meets(fault: WspFault, one: Feed | PresenceConnection) -> bool:
    return fault.socket in (None, one.socket)

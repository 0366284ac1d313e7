"""Mischief: carries out the faults of a schedule on a world. Knows not what they prove."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw

from actors.receiver import signals
from actors.receiver.line import lowest_mark
from tests.simulation import faults
from tests.simulation.gateway import Socket
from tests.simulation.organisation import Epoch
from tests.simulation.scale import MARGIN

if TYPE_CHECKING:
    from tests.simulation.world import World

_AGENT = '"data":{"userId":"x","state":"Talking","timestamp":"2026-11-21T22:00:00.000Z"}}'
ODD_FRAMES = tuple(
    frame.encode()
    for frame in (
        "{",
        "[1,2]",
        '{"type":"routing.agents.state","sequence":5}',
        '{"type":"gap","from":9,"to":3}',
        '{"type":"gap","from":1,"to":4611686018427387000}',
        '{"type":"routing.agents.state","sequence":4611686018427387000,' + _AGENT,
        '{"type":"routing.agents.state","sequence":true,' + _AGENT,
        '{"type":"routing.agents.state","sequence":0,' + _AGENT.replace("Talking", "Unknown"),
        '{"type":"routing.agents.apptent","sequence":7,"data":{"userId":"y","start":1}}',
    )
)


class Mischief:
    """`happens(what)` is False if the fault has nothing to befall yet: it is to be tried again."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = world.rng
        self._gateway = world.gateway
        self.overflow_wanted = False

    def happens(self, what: str) -> bool:  # noqa: PLR0911  one per family
        gateway = self._gateway
        if what in faults.HANDSHAKES:
            gateway.handshakes.append(what)
            return self._cut()
        if what in faults.SUBSCRIPTIONS:
            return self._subscription(what)
        if what in faults.SESSIONS:
            gateway.sessions.append(what)
            return self._cut()
        if what in faults.CLOSES:
            return self._close(faults.CLOSES[what], what)
        if what in faults.GATEWAY:
            return self._organisation(what)
        if what in faults.SHARDS:
            return self._shard(what)
        if what in faults.RECEIVER:
            return self._receiver(what)
        return self._line(what)

    def _done(self, what: str) -> bool:
        self._gateway.done[what] += 1
        return True

    def _some_socket(self) -> Socket | None:
        sockets = [socket for socket in self._gateway.sockets if socket.is_subscribed]
        return self._rng.choice(sockets) if sockets else None

    def _cut(self) -> bool:
        self._close(self._rng.choice((1000, 1006, 1012)), "")
        return True

    def _close(self, code: int, what: str) -> bool:
        socket = self._some_socket()
        if socket is None:
            return False
        self._gateway.close(socket, code)
        return self._done(what) if what else True

    def _subscription(self, what: str) -> bool:
        """Before the first acknowledgement, three of the first kind would rightly end us."""
        if self._world.page.get("sessions_begun") == 0:
            return False
        self._gateway.subscriptions.append(what)
        return self._cut()

    def _line(self, what: str) -> bool:
        gateway, now_s = self._gateway, self._world.clock.now_s()
        if what == "token ends":
            gateway.end_tokens()
            return self._done(what)
        if what == "poison frame":
            gateway.poisoned.add(len(gateway.organisation.events))
            return self._done(what)
        socket = self._some_socket()
        if socket is None:
            return False
        if what in faults.FRAMES:
            gateway.odd_frames(self._rng.sample(ODD_FRAMES, self._rng.randint(1, 4)))
        else:
            is_for_ever = what == "half-open"
            pause_s = 1e9 if is_for_ever else self._rng.uniform(1.0, 20.0)
            socket.stalled_until_s = now_s + pause_s
        return self._done("odd frames" if what in faults.FRAMES else what)

    def _organisation(self, what: str) -> bool:
        gateway, world = self._gateway, self._world
        organisation = gateway.organisation
        if what == "agent leaves":
            return organisation.leaves() is not None and self._done(what)
        if what == "retention shrinks":
            gateway.retained_from = len(organisation.events) - self._rng.randrange(3)
            return self._done(what)
        name = organisation.epochs[-1].name
        lowest = len(organisation.truth) + 3
        if what == "new epoch" and name:
            first = self._rng.choice((lowest, organisation.newest + 5_000))
            gateway.number_anew(Epoch(f"epoch-{len(organisation.epochs) + 1}", first))
            return self._done(what)
        # Without another name it shows only in a newest sequence far below what was routed.
        routed = lowest_mark(world.marks(), world.page.get("gateway_epoch"))
        if world.receiver is not None:
            routed = min(routed, world.receiver.ring_writer.watermark)
        if world.watch.epochs.get(world.page.get("gateway_epoch")) != organisation.epoch:
            return what == "sequence reset"  # the last one is not noticed yet
        if routed <= lowest + world.schedule.events + 4 * MARGIN:
            return what == "sequence reset"
        gateway.number_anew(Epoch(name, lowest))
        return self._done("sequence reset")

    def _receiver(self, what: str) -> bool:
        world = self._world
        receiver = world.receiver
        if receiver is None:
            return False
        if what == "token renewed":
            receiver.tokens = self._gateway.issue_token()
            world.at_receiver(lambda: receiver.signal(signals.TokenRenewed()))
        elif what == "receiver stops":
            world.receiver_stopped_until_s = world.clock.now_s() + self._rng.uniform(1.0, 40.0)
        else:
            self.overflow_wanted = True
            for index in range(len(world.shards)):
                world.stop_shard(index, 10.0)
            return True
        return self._done(what)

    def overflows(self) -> None:
        """As if the spill were over its bound, whenever something is spilled."""
        receiver = self._world.receiver
        if self.overflow_wanted and receiver is not None and receiver.ring_writer.is_spilling:
            self.overflow_wanted = False
            self._done("spill overflows")
            world, found = self._world, receiver
            world.at_receiver(lambda: found.signal(signals.Overflowed(found.marks())))

    def _shard(self, what: str) -> bool:
        world = self._world
        index = self._rng.randrange(len(world.shards))
        if what == "shard stops":
            world.stop_shard(index, self._rng.uniform(0.5, 12.0))
        else:
            errors = [apsw.FullError("full"), apsw.BusyError("busy"), apsw.IOError("broken")]
            # Long enough for somebody to be killed meanwhile.
            world.disks[index].errors += (errors * 5)[: self._rng.randint(1, 15)]
        return self._done(what)

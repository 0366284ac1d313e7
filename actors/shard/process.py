"""The entry of a shard's process: its rings, its inbox, its actor, until it is told to stop.

It decides nothing; what the actor does with a batch is in `actor.py`.
"""

from __future__ import annotations

import gc

from actors.shard.actor import BATCH_RECORDS, StateActor
from actors.shard.answering import Answering
from actors.shard.arguments import ShardArguments
from actors.shard.feed import Feed
from actors.shard.memberships import Memberships
from actors.shard.roster_ring import RosterRing
from runtime.child import Child
from runtime.counters import DRAINING
from runtime.inbox import RingInbox
from runtime.ring import Consumer
from runtime.ring_actor import wait_for

LINGER_S = 0.002


def run(child: Child, arguments: ShardArguments) -> None:
    """Entry of a shard's process: until SIGTERM, then drained, or until the actor fails."""
    # Batches free by reference count. The collector would walk all agents again and again (30 ms
    # at 50,000): it looks once a minute at what is new, and what survives is left alone for ever.
    gc.disable()
    consumers = [
        Consumer(block, generation=child.generation, producer_doorbell=doorbell)
        for block, doorbell in zip(arguments.rings, arguments.producer_doorbells, strict=True)
    ]
    answering = None
    if arguments.answering is not None:
        answering = Answering(arguments.answering, child.counters, child.generation)
    feed = None
    if arguments.feed is not None:
        feed = Feed(arguments.feed, child.counters, child.generation)
    roster = None
    if arguments.roster is not None:
        roster = RosterRing(arguments.roster, child.counters, child.generation, consumers)
    inbox = RingInbox(
        [*consumers, *(each.consumer for each in (answering, feed, roster) if each)],
        arguments.doorbell,
        linger_s=LINGER_S if arguments.journalled else 0.0,
        records_max=BATCH_RECORDS,
    )
    actor = StateActor.start(
        child,
        arguments,
        consumers,
        inbox,
        answering=answering,
        feed=feed,
        roster=roster,
        memberships=Memberships(arguments.roster_path, arguments.planner_counters),
    )

    def stop() -> None:
        child.set_phase(DRAINING)
        actor.stop(block=False)

    child.on_stop(stop)
    wait_for(actor)

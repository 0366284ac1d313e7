"""The oracle: what must hold of journals and memories when everything has come to rest.

It holds the journals against the organisation's truth. It knows no merge rule: only that each event
has one row, in the order of its agent, unless it could not be had and a gap row says so.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import NamedTuple

from actors.messages.control import UNKNOWN
from actors.messages.transition import GapRow, Transition
from actors.shard.merge import OUTCOMES
from tests.simulation.journal import Disk
from tests.simulation.organisation import Event
from tests.simulation.scale import MARGIN
from tests.simulation.world import World

Position = tuple[int, int]


class Finding(NamedTuple):
    """A promise that was not kept."""

    promise: str
    detail: str


def findings(world: World) -> list[Finding]:
    """Everything that is wrong with a world at rest."""
    return Judge(world).findings


class Judge:
    def __init__(self, world: World) -> None:
        self.world = world
        self.findings: list[Finding] = []
        organisation = world.gateway.organisation
        self.numbers = {epoch: number for number, epoch in world.watch.epochs.items()}
        facts = [*organisation.events, *organisation.initial]
        self.facts = {(event.epoch, event.sequence): event for event in facts}
        self.stated: Counter[Position] = Counter()
        for index, disk in enumerate(world.disks):
            self._journal(f"shard {index}", disk)
            self._sum(index, disk)
            self._memory(index, disk)
        for disk in world.disks:
            for gap in disk.gaps:
                self._gap(gap)
        self._nothing_is_lost()
        self._states_are_true()

    def _add(self, promise: str, detail: object) -> None:
        self.findings.append(Finding(promise, str(detail)))

    # Rows

    def _journal(self, name: str, disk: Disk) -> None:
        users = dict(disk.agents)
        rows: dict[int, list[Transition]] = defaultdict(list)
        for row in disk.rows:
            if row.agent:
                rows[row.agent].append(row)
        for agent, chain in rows.items():
            self._agent(f"{name} {users[agent]}", users[agent], chain)

    def _agent(self, where: str, user: str, chain: list[Transition]) -> None:
        previous, state = 0, None
        held: Position = (0, 0)
        for row in chain:
            if row.previous != previous or row.from_state != state:
                self._add("the chain of an agent's rows holds", (where, row))
            position = (row.epoch, row.sequence)
            if row.cause == "lost":
                self._lost(where, user, row)
            else:
                is_restored = state == UNKNOWN and row.cause == "history"
                self._fact(where, user, row, is_restored=is_restored)
                if row.cause == "late":
                    if position > held:
                        self._add("late is what is behind", (where, row))
                elif position <= held and not is_restored:
                    self._add("positions of an agent grow", (where, held, row))
            previous = row.id
            if row.cause != "late":
                state, held = row.to_state, max(held, position)

    def _fact(self, where: str, user: str, row: Transition, *, is_restored: bool) -> None:
        epoch = self.world.watch.epochs.get(row.epoch, -1)
        event = self.facts.get((epoch, row.sequence))
        if event is None or event.user != user:
            self._add("nothing is invented", (where, row))
            return
        told = (event.state, event.at_us, event.queue)
        if told != (row.to_state, row.at_us, row.queue):
            self._add("a row says what the event said", (where, row, event))
        if event.number < 0 and row.cause != "history":
            self._add("nothing is invented", (where, row))
        key = (epoch, row.sequence)
        if self.stated[key] and not is_restored:
            self._add("nothing happens twice", (where, row))
        self.stated[key] += 1

    def _lost(self, where: str, user: str, row: Transition) -> None:
        """Unknown only where a history did not name somebody, or every try was spent."""
        endings = self.world.watch.endings
        if row.to_state != UNKNOWN or row.at_us not in endings:
            self._add("Unknown has a reason", (where, row))
            return
        named = endings[row.at_us]
        if named is not None and user in named:
            self._add("who was named is not Unknown", (where, row))

    def _gap(self, gap: GapRow) -> None:
        """A gap row tells only what really was not to be had."""
        epoch = self.world.watch.epochs.get(gap.epoch, -1)
        gateway = self.world.gateway
        match gap.reason:
            case "a frame that breaks the protocol":
                is_true = any(
                    event.epoch == epoch
                    and gap.first_sequence - MARGIN <= event.sequence <= gap.last_sequence + MARGIN
                    for event in self._poison()
                )
            case _:
                why = {
                    "not retained by the gateway": "not retained",
                    "not replayed by the gateway": "ignored",
                    "the gateway numbers anew": "numbered anew",
                }[gap.reason]
                # A numbering that had no session has no epoch here: it came and went.
                is_true = epoch < 0 or any(
                    (span.epoch, span.why) == (epoch, why)
                    and span.first <= gap.first_sequence
                    and gap.last_sequence <= span.last
                    for span in gateway.unavailable
                )
        if not is_true or gap.first_sequence > gap.last_sequence:
            self._add("a gap is a gap", gap)

    # Sums, memories, states

    def _sum(self, index: int, disk: Disk) -> None:
        counts = disk.progress.counts
        total = sum(counts[name] for name in OUTCOMES if name != "received")
        if counts["received"] != total:
            self._add("the sum is exact", counts)
        causes = Counter(row.cause for row in disk.rows)
        if counts["applied"] != causes["live"] + causes["history"]:
            self._add("applied has one row each", (counts, causes))
        if counts["late"] != causes["late"]:
            self._add("late has one row each", (counts, causes))
        lent = self.world.intakes[index].received
        if counts["received"] - counts["shed"] != lent:  # what was shed is told, not sent
            self._add("each record of a ring counts once", (counts, lent))

    def _memory(self, index: int, disk: Disk) -> None:
        """The living shard holds what its journal says."""
        shard = self.world.shards[index]
        assert shard is not None
        states: dict[int, str] = {}
        for row in disk.rows:
            if row.agent and row.cause != "late":
                states[row.agent] = row.to_state
        held = {agent.id: agent.state for agent in shard.shard.agent_table.by_id}
        if {agent: state for agent, state in held.items() if state is not None} != states:
            self._add("memory is what the journal says", (index, held, states))
        if shard.shard.sessions.stale_since_us is not None:
            self._add("a whole history confirms everybody", index)

    def _states_are_true(self) -> None:
        organisation = self.world.gateway.organisation
        held = {
            agent.user_id: agent.state
            for shard in self.world.shards
            if shard is not None
            for agent in shard.shard.agent_table.by_id
        }
        for user, event in organisation.truth.items():
            if held.pop(user, None) != event.state:
                self._add("the last state is the truth", event)
        for user, state in held.items():
            if state != UNKNOWN or user not in organisation.gone:
                self._add("who is not named is Unknown", (user, state))

    # Nothing is lost

    def _nothing_is_lost(self) -> None:
        promised = self.world.watch.promised_from
        assert promised is not None
        for event in self.world.gateway.organisation.events[promised:]:
            is_stated = self.stated[event.epoch, event.sequence] or self._says_the_same(event)
            if not is_stated and not self._is_excused(event):
                self._add("nothing is lost", event)

    def _says_the_same(self, event: Event) -> bool:
        """Of two changes to one state within a second, with a gap between them, the second cannot
        be told from the first one sent again."""
        return self.world.schedule.is_coarse and any(
            self.stated[other.epoch, other.sequence]
            for other in self.world.gateway.organisation.events
            if (other.user, other.state, other.at_us, other.queue)
            == (event.user, event.state, event.at_us, event.queue)
        )

    def _is_excused(self, event: Event) -> bool:
        """A journal says that it is missing, and it really was not to be had."""
        number = self.numbers.get(event.epoch)
        gateway = self.world.gateway
        was_unavailable = (
            event.number in gateway.poisoned
            or self._is_beside(event)
            or any(
                span.epoch == event.epoch and span.first <= event.sequence <= span.last
                for span in gateway.unavailable
            )
        )
        if not was_unavailable:
            return False
        if number is None:  # a numbering that came and went while nobody looked
            return event.epoch < gateway.organisation.epoch
        return any(
            gap.epoch == number and gap.first_sequence <= event.sequence <= gap.last_sequence
            for disk in self.world.disks
            for gap in disk.gaps
        )

    def _is_beside(self, event: Event) -> bool:
        """A frame that breaks the protocol may be skipped with its neighbours: some of them stand
        behind it, and where it stands itself is known only up to the margin."""
        return any(
            each.epoch == event.epoch and abs(event.sequence - each.sequence) <= 2 * MARGIN + 1
            for each in self._poison()
        )

    def _poison(self) -> list[Event]:
        """What happened, and cannot be received."""
        events, poisoned = self.world.gateway.organisation.events, self.world.gateway.poisoned
        return [events[number] for number in poisoned if number < len(events)]

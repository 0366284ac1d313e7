"""Owns the channel plan: which agent is watched on which channel of which OAuth client.

Pure. It knows no channel's id, token or socket: a slot is a place in the plan, whose channel may be
rotated or lost without the plan's knowing (protocol.md §2.2).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

TOPICS_PER_CHANNEL_MAX: Final = 950  # of the 1000 that a channel takes
CHANNELS_OF_A_CLIENT: Final = 20  # that the platform allows
CHANNELS_PER_CLIENT_MAX: Final = 18  # of these: two are for rotations


class Slot(NamedTuple):
    """Where a channel stands: the client's number, and a number among the channels of it."""

    client: int
    slot: int

    @property
    def scope(self) -> str:
        """Its name in rings and journals; the same over all rotations of its channel."""
        return f"c{self.client}/{self.slot}"


def slot_of(scope: str) -> Slot:
    """The inverse of `Slot.scope`; ValueError for all else."""
    client, slash, slot = scope.removeprefix("c").partition("/")
    if scope.startswith("c") and slash and client.isdecimal() and slot.isdecimal():
        return Slot(int(client), int(slot))
    raise ValueError(f"{scope!r} is not the scope of a channel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a channel and a client take, with room to spare."""

    topics_per_channel_max: int = TOPICS_PER_CHANNEL_MAX
    channels_per_client_max: int = CHANNELS_PER_CLIENT_MAX

    def agents_per_channel(self, topics_per_agent: int) -> int:
        return self.topics_per_channel_max // topics_per_agent


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelPlan:
    """No agent stands in it twice, no slot is empty. `unmonitored`: for whom there is no room."""

    slots: Mapping[Slot, frozenset[str]] = field(default_factory=dict)
    unmonitored: frozenset[str] = frozenset()
    clients_needed: int = 0

    def places(self) -> dict[str, Slot]:
        """Where each monitored agent is."""
        return {user: slot for slot, users in self.slots.items() for user in users}


EMPTY: Final = ChannelPlan()


def plan(
    previous: ChannelPlan,
    users: Sequence[str],
    clients: int,
    topics_per_agent: int = 1,
    limits: Limits = Limits(),
) -> ChannelPlan:
    """The plan for these agents. Whoever had a place keeps it, unless it is gone or too small; who
    has none gets one, in the order of `users`: in channels that are open already, then in new ones
    of the client that has fewest. A channel that nobody is left on is gone."""
    assert clients >= 0, clients
    room = limits.agents_per_channel(topics_per_agent)
    assert room > 0, (limits, topics_per_agent)
    wanted = dict.fromkeys(users)
    kept = _kept(previous, wanted, clients, room, limits)
    placed = {user for members in kept.values() for user in members}
    homeless = iter([user for user in wanted if user not in placed])
    for slot in sorted(kept):
        _fill(kept[slot], homeless, room)
    left = list(homeless)
    for slot in _fresh(kept, clients, limits, -(-len(left) // room)):
        kept[slot], left = set(left[:room]), left[room:]
    return ChannelPlan(
        slots={slot: frozenset(kept[slot]) for slot in sorted(kept)},
        unmonitored=frozenset(left),
        clients_needed=-(-len(wanted) // (room * limits.channels_per_client_max)),
    )


def _kept(
    previous: ChannelPlan, wanted: Mapping[str, None], clients: int, room: int, limits: Limits
) -> dict[Slot, set[str]]:
    kept = {}
    for slot, members in previous.slots.items():
        if slot.client < clients and slot.slot < limits.channels_per_client_max:
            staying = {user for user in members if user in wanted}
            if len(staying) > room:
                staying = set(sorted(staying)[:room])
            if staying:
                kept[slot] = staying
    return kept


def _fill(members: set[str], homeless: Iterable[str], room: int) -> None:
    if len(members) < room:
        for user in homeless:
            members.add(user)
            if len(members) == room:
                return


def _fresh(kept: Mapping[Slot, object], clients: int, limits: Limits, count: int) -> list[Slot]:
    """At most so many unused slots, those of the client with fewest first."""
    used = [{slot.slot for slot in kept if slot.client == client} for client in range(clients)]
    fresh: list[Slot] = []
    while len(fresh) < count:
        client = min(range(clients), key=lambda each: (len(used[each]), each), default=None)
        if client is None or len(used[client]) >= limits.channels_per_client_max:
            break
        number = next(each for each in range(len(used[client]) + 1) if each not in used[client])
        used[client].add(number)
        fresh.append(Slot(client, number))
    return fresh


def unused_slots(clients: Iterable[int], used: Collection[Slot]) -> list[Slot]:
    """All that these clients could have and do not use."""
    return [
        Slot(client, number)
        for client in clients
        for number in range(CHANNELS_OF_A_CLIENT)
        if (client, number) not in used
    ]


class ChannelChange(NamedTuple):
    """What a channel must do to go from one plan to the next."""

    joined: frozenset[str]
    left: frozenset[str]


def changes(before: ChannelPlan, after: ChannelPlan) -> dict[Slot, ChannelChange]:
    """Only of the slots that change; one that is not in `after` is let go."""
    changed = {}
    for slot in sorted({*before.slots, *after.slots}):
        old = before.slots.get(slot, frozenset())
        new = after.slots.get(slot, frozenset())
        if old != new:
            changed[slot] = ChannelChange(new - old, old - new)
    return changed

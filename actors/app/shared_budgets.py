"""Owns where each process reads what the others use of an OAuth client: planner, receiver, sender.

Knows the words of their pages. In the wsp dialect there is no such budget, and nobody has a
neighbour.
"""

from __future__ import annotations

from actors.app.shared_memory import SharedMemory
from actors.genesys.pacer import WAITING_WORD, Neighbour
from actors.planner.arguments import budget_words
from actors.receiver.cloud_arguments import budget_words as receiver_words
from actors.settings.model import Settings


def planner_neighbours(
    settings: Settings, shared: SharedMemory
) -> tuple[tuple[Neighbour, ...], ...]:
    """Of each client: who uses it beside the planner."""
    clients = range(len(settings.all_credentials))
    uses = (
        (receiver_use(settings, shared, client), sender_use(settings, shared, client))
        for client in clients
    )
    return tuple(tuple(use for use in both if use is not None) for both in uses)


def planner_use(settings: Settings, shared: SharedMemory, client: int = 0) -> Neighbour | None:
    if settings.dialect != "cloud":
        return None
    return Neighbour(counters=shared.planner, words=budget_words(client))


def receiver_use(settings: Settings, shared: SharedMemory, client: int = 0) -> Neighbour | None:
    if settings.dialect != "cloud":
        return None
    place, receiver = divmod(client, settings.receivers)
    return Neighbour(counters=shared.receivers[receiver], words=receiver_words(place))


def sender_use(settings: Settings, shared: SharedMemory, client: int = 0) -> Neighbour | None:
    """Of the first client, if there is a sender."""
    if settings.dialect != "cloud" or not settings.sender.enabled or client:
        return None
    return Neighbour(counters=shared.sender, waiting=WAITING_WORD)

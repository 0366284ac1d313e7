"""Owns who belongs to which queue, as answers list it. Pure.

Somebody belongs to a queue who has joined it: a member who has not is offered no contact of it. A
listing of one page is whole. Pages shift while they are read (`paging`), so that of a listing of
several gone is who is missing twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from actors.messages.queues import queues_of


class QueueMembers(NamedTuple):
    """Who has joined one queue. `is_exact`: the listing was one page."""

    users: tuple[str, ...]
    is_exact: bool


def joined_of(entities: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Members of a queue who have not left it; where nothing is told of that, they have not."""
    return (each["id"] for each in entities if each.get("joined") is not False)


class Joined(NamedTuple):
    """What a read of all queues comes to. `missed`: pairs of user and queue that are kept because
    they were missing for the first time."""

    memberships: dict[str, list[str]]
    missed: frozenset[tuple[str, str]]


def joined(
    members: Mapping[str, QueueMembers],
    held: Mapping[str, str | None],
    missed: frozenset[tuple[str, str]],
) -> Joined:
    """The queues of everybody who belongs to one. `members`: of all queues; `held`, as texts, and
    `missed`: what the read before came to."""
    queues: dict[str, list[str]] = {}
    for queue in sorted(members):
        for user in members[queue].users:
            queues.setdefault(user, []).append(queue)
    missing: set[tuple[str, str]] = set()
    of_several = {queue for queue, found in members.items() if not found.is_exact}
    if of_several:
        for user, text in held.items():
            gone = of_several.intersection(queues_of(text)).difference(queues.get(user, ()))
            for queue in sorted(gone):
                if (user, queue) not in missed:
                    missing.add((user, queue))
                    queues.setdefault(user, []).append(queue)
    return Joined(queues, frozenset(missing))

"""Places: how far each sink is in each journal, and where it begins in one that is new to it.

Pure. A place that is done is one that nothing more will come from. What happened to journals while
nobody looked is read off the places themselves: where one is not done and its journal is gone, the
sink is told what it missed; one ahead of its journal's end means that an older copy of the journal
was put back, which from then on counts as another journal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from actors.sinks.journals import JournalFile

Begin: TypeAlias = Literal["oldest", "newest"]


class SinkPosition(NamedTuple):
    """Of one sink in one journal: everything up to `row` was delivered."""

    row: int
    is_done: bool = False


Places: TypeAlias = dict[str, SinkPosition]  # by the identity of the journal


class InitialPositions(NamedTuple):
    """What must be written before any child runs; the identities last."""

    places: dict[str, Places]  # by sink; only what is new or another
    identities: dict[int, str]  # by the number of the journal file


def beginning(
    files: Sequence[JournalFile],
    known: Mapping[str, Places],
    configured: Mapping[str, Begin],
    new_identity: Callable[[], str],
) -> InitialPositions:
    """Gives every sink, also one that is not configured at present, a place in every journal."""
    identities: dict[int, str] = {}
    changed: dict[str, Places] = {name: {} for name in {*known, *configured}}
    for number, file in enumerate(files):
        identity = file.identity
        before = {name: places[identity] for name, places in known.items() if identity in places}
        was_put_back = any(place.row > file.last_row for place in before.values())
        if not identity or was_put_back:
            identity = identities[number] = new_identity()
        for name, places in changed.items():
            if name in before and not was_put_back:
                continue
            place = before.get(name)
            if place is None:
                is_new = not known.get(name)
                places[identity] = _first_place(file, configured[name] if is_new else "oldest")
                continue
            places[identity] = SinkPosition(min(place.row, file.last_row))
            if place.row <= file.last_row:  # of the copy's future it was given nothing
                places[file.identity] = place._replace(is_done=True)
    return InitialPositions(
        {name: places for name, places in changed.items() if places}, identities
    )


def _first_place(file: JournalFile, begin: Begin) -> SinkPosition:
    if begin == "newest":
        return SinkPosition(file.last_row, is_done=file.is_archived)
    return SinkPosition(file.first_row - 1)

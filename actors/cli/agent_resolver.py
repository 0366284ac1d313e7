"""AgentResolver: which agent a person means, by an id as it stands, a full name, or nearly one.

Pure: who holds ids and names hands them in. A name is one whatever its case, spaces and way of
writing its accents; two agents of one name are told apart by their ids only.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from actors.genesys.cloud import user_id_of
from actors.messages.spelling import folded

ALIKE_MAX: Final = 3
NAMESAKES_MAX: Final = 10


class NamedAgent(NamedTuple):
    """Of a name that nobody knows: ""."""

    user_id: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.user_id})" if self.name else self.user_id


class Resolved(NamedTuple):
    """`agent` is who was meant; None: nobody, or one of several."""

    agent: NamedAgent | None
    namesakes: tuple[NamedAgent, ...] = ()
    """More than one agent has this very name."""
    alike: tuple[NamedAgent, ...] = ()
    """Whose id or name is near, the nearest first."""


def resolve(given: str, ids: Collection[str], names: Mapping[str, str]) -> Resolved:
    """`ids`: of all who are held; `names`: by id, also of such as are not held."""
    for user_id in (given, user_id_of(given.strip())):
        if user_id and user_id in ids:  # blanks name nobody
            return Resolved(NamedAgent(user_id, names.get(user_id, "")))
    wanted = folded(given)
    found = [NamedAgent(each, names[each]) for each in bearers(names).get(wanted, ())]
    if len(found) == 1:
        return Resolved(found[0])
    if found:
        return Resolved(None, namesakes=tuple(found))
    return Resolved(None, alike=_alike(wanted, ids, names))


def bearers(names: Mapping[str, str]) -> dict[str, list[str]]:
    """The ids of all who have a name, by the name folded."""
    found: dict[str, list[str]] = {}
    for each in sorted(names):
        if name := folded(names[each]):
            found.setdefault(name, []).append(each)
    return found


def _alike(wanted: str, ids: Collection[str], names: Mapping[str, str]) -> tuple[NamedAgent, ...]:
    if not wanted:
        return ()
    called: dict[str, list[str]] = {}
    for each in sorted({*ids, *names}):
        for word in {folded(each), folded(names.get(each, ""))} - {""}:
            called.setdefault(word, []).append(each)
    near = difflib.get_close_matches(wanted, called, n=ALIKE_MAX)
    near += [word for word in sorted(called) if wanted in word.split() and word not in near]
    found = dict.fromkeys(each for word in near for each in called[word])
    return tuple(NamedAgent(each, names.get(each, "")) for each in list(found)[:ALIKE_MAX])

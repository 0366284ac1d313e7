"""Owns what the roster shows of who each agent is, until it is written down.

It knows no call: whoever reads users has them noted. Kept are those of watched users only; whoever
is seen, but not watched, is forgotten with the end of the read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, Final, TypeAlias

import orjson

from actors.genesys.agent_profile import Profile, ProfileField, gone, profile_in, told_of, with_news
from actors.genesys.cloud_answers import Entity
from actors.planner.store import RosterStore

ROWS_MAX: Final = 2_000
"""Of one transaction."""
GONE_AFTER: Final = 3
"""Answers in a row without a field that is held, before it is believed to be gone."""
Durably: TypeAlias = Callable[[Callable[[], Any]], Any]
"""Does it, however long the disk takes."""


class ProfileNotes:
    """Of one planner."""

    def __init__(
        self, store: RosterStore, fields: Collection[ProfileField], durably: Durably
    ) -> None:
        self._store = store
        self._fields = frozenset(fields)
        self._durably = durably
        self._noted: dict[str, bytes] = {}
        """As JSON: half as large as what it says."""
        self._missing: dict[str, dict[str, int]] = {}
        """How often in a row fields that are held were missing, by user."""

    def note(self, users: Iterable[Entity]) -> None:
        """What an answer tells of them, over what others have told."""
        if not self._fields:
            return
        noted = self._noted
        for user in users:
            told = told_of(user, self._fields)
            if told:
                user_id = user["id"]
                before = noted.get(user_id)
                noted[user_id] = orjson.dumps(
                    told if before is None else {**orjson.loads(before), **told}
                )

    def write(self) -> int:
        """Of those who are watched, as far as it is news; how many."""
        names, noted = self._store.roster.names, self._noted
        ready = [user for user in noted if user in names]
        written = 0
        for first in range(0, len(ready), ROWS_MAX):
            some = {user: noted.pop(user) for user in ready[first : first + ROWS_MAX]}
            written += self._write(some)
        return written

    def end_read(self) -> None:
        """The roster was read whole: who is not watched by now is nobody to us."""
        self.write()
        self._noted.clear()
        names = self._store.roster.names
        self._missing = {user: each for user, each in self._missing.items() if user in names}

    def _doubted(self, user: str, held: Profile, told: Profile) -> set[str]:
        """What is missing, but not for long enough."""
        counts = self._missing.pop(user, {})
        counts = {field: counts.get(field, 0) + 1 for field in gone(held, told)}
        doubted = {field for field, times in counts.items() if times < GONE_AFTER}
        if doubted:
            self._missing[user] = {field: counts[field] for field in doubted}
        return doubted

    def _write(self, some: dict[str, bytes]) -> int:
        held = self._store.profiles(some)
        changed = {}
        for user, told in some.items():
            before = profile_in(held.get(user))
            news = orjson.loads(told)
            after = with_news(before, news, self._doubted(user, before, news))
            if after != before:
                changed[user] = orjson.dumps(after).decode()
        if changed:
            self._durably(lambda: self._store.put_profiles(changed))
        return len(changed)

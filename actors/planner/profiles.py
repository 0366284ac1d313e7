"""Owns what the roster shows of who each agent is, until it is written down.

It knows no call: whoever reads users has them noted. Kept are those of watched users only; whoever
is seen, but not watched, is forgotten with the end of the read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
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
        self._noted: dict[str, str] = {}
        """As JSON in a text: a tenth of what `orjson` holds on to for the bytes of a short one."""
        self._due: list[str] = []
        """Who can be written, the last one first: in their order each page of the file is written
        once."""
        self._planned: Mapping[str, str] = {}
        """As of when that was made."""
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
                if before is not None:
                    told = {**orjson.loads(before), **told}
                noted[user_id] = orjson.dumps(told).decode()
        self._planned = {}

    @property
    def is_due(self) -> bool:
        """Whether there is something to write. Nobody who is not watched is written down."""
        names = self._store.roster.names
        if not self._due and self._noted and self._planned is not names:
            self._planned = names
            self._due = sorted((user for user in self._noted if user in names), reverse=True)
        return bool(self._due)

    def write(self) -> int:
        """Of those who are watched, ROWS_MAX at most, as far as it is news; how many."""
        if not self.is_due:
            return 0
        due, self._due = self._due[-ROWS_MAX:], self._due[:-ROWS_MAX]
        return self._write({user: self._noted.pop(user) for user in due if user in self._noted})

    def end_read(self) -> None:
        """The roster was read whole: who is not watched by now is nobody to us."""
        names = self._store.roster.names
        self._noted = {user: told for user, told in self._noted.items() if user in names}
        self._missing = {user: each for user, each in self._missing.items() if user in names}

    def _doubted(self, user: str, held: Profile, told: Profile) -> set[str]:
        """What is missing, but not for long enough."""
        counts = self._missing.pop(user, {})
        counts = {field: counts.get(field, 0) + 1 for field in gone(held, told)}
        doubted = {field for field, times in counts.items() if times < GONE_AFTER}
        if doubted:
            self._missing[user] = {field: counts[field] for field in doubted}
        return doubted

    def _write(self, some: dict[str, str]) -> int:
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

"""Owns how the roster is read: who is to be watched, page by page, in the rate budget.

It knows no plan and no file but the one that a person may list ids in. A page that fails is asked
for again for a while; a read that was cut short is none, and removes nobody.
"""

from __future__ import annotations

import asyncio
import difflib
import random
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from actors.genesys.cloud import is_user_id
from actors.genesys.cloud_answers import Entity, ListingPage, name_of
from actors.genesys.cloud_errors import CloudError
from actors.genesys.cloud_rest import USERS_BY_ID_MAX, CloudRest, Collection, MemberKind
from actors.genesys.retry_after import wait_s
from actors.planner.arguments import WatchSelection
from actors.storage.text_file import text_of
from runtime.errors import ConfigurationError

FILE_BYTES_MAX: Final = 32 << 20
NAMES_SHOWN_MAX: Final = 5

Answer = TypeVar("Answer")
NameProgress = Callable[[Mapping[str, str]], None]


class UnresolvedError(ConfigurationError):
    """The settings name whom nobody finds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How a call that fails for a while is repeated before the read is given up."""

    tries_max: int = 8
    backoff_first_s: float = 2.0
    backoff_most_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One whole read. `names`: of everybody to be watched, in the gateway's order."""

    names: Mapping[str, str]
    missing: int = 0
    """Ids of the file that are no active user's."""


class RosterReader:
    """For one event loop. What it raises is a CloudError when patience is spent, and
    ConfigurationError for what only a person can cure."""

    def __init__(
        self,
        rest: CloudRest,
        watch: WatchSelection,
        *,
        rng: random.Random,
        retry: RetryPolicy | None = None,
    ) -> None:
        self._rest = rest
        self._watch = watch
        self._rng = rng
        self._retry = retry or RetryPolicy()
        self._missed: set[str] = set()  # by a read that may have overlooked them

    async def read(self, held: Mapping[str, str], told: NameProgress = lambda _: None) -> Read:
        """`held`: whom we watch already, with their names. `told` hears from time to time of those
        who were found so far."""
        match self._watch.kind:
            case "file":
                return await self._read_file()
            case "queues" | "groups":
                return Read(names=await self._read_members(self._watch.kind, held, told))
            case "divisions":
                divisions = await self._resolved("divisions")
                return Read(names=await self._read_users(held, told, divisions))
        return Read(names=await self._read_users(held, told, None))

    async def queue_names(self) -> dict[str, str]:
        """Of all queues, for people to read."""
        return {each["id"]: name_of(each) async for each in self._entities(self._named("queues"))}

    # -- all, or those of some divisions ---------------------------------------------------------

    async def _read_users(
        self, held: Mapping[str, str], told: NameProgress, divisions: frozenset[str] | None
    ) -> dict[str, str]:
        names: dict[str, str] = {}
        async for page in self._pages(self._rest.user_page):
            names |= _named(user for user in page.entities if _is_in(user, divisions))
            told(names)
        # Whoever joins or leaves while we read shifts the pages behind: somebody may have slipped
        # from the page to come into the one that was read. So who is missing is asked for by id.
        vanished = [user for user in held if user not in names]
        async for user in self._by_id(vanished):
            if _is_in(user, divisions):
                names[user["id"]] = name_of(user)
        return names

    # -- members of queues or groups -------------------------------------------------------------

    async def _read_members(
        self, kind: MemberKind, held: Mapping[str, str], told: NameProgress
    ) -> dict[str, str]:
        names: dict[str, str] = {}
        is_exact = True
        for collection in sorted(await self._resolved(kind)):
            async for page in self._pages(partial(self._rest.member_page, kind, collection)):
                names |= _named(page.entities)
                is_exact = is_exact and page.pages <= 1
                told(names)
        missed = {user for user in held if user not in names}
        if is_exact:
            missed, kept = set(), {}
        else:  # pages shift here as well, and an id says nothing of a queue: gone is who is missing
            kept = {user: held[user] for user in held if user in missed - self._missed}  # twice
        self._missed = missed
        return names | kept

    async def _resolved(self, kind: Collection) -> frozenset[str]:
        """The ids that the settings mean, by id or by name without regard to case. Raises
        UnresolvedError if one is not found, or means several."""
        wanted = dict.fromkeys(self._watch.ids)
        found: dict[str, set[str]] = {text: set() for text in wanted}
        texts = {text.strip().casefold(): text for text in wanted}
        names: dict[str, str] = {}
        async for each in self._entities(self._named(kind)):
            names[name_of(each).casefold()] = name_of(each)
            for spelt in (each["id"].casefold(), name_of(each).casefold()):
                if spelt in texts:
                    found[texts[spelt]].add(each["id"])
        if unknown := [text for text, ids in found.items() if not ids]:
            raise UnresolvedError(
                f"watch_ids: unknown {kind} {_shown(unknown)}{_near(unknown, names)}"
            )
        if several := [text for text, ids in found.items() if len(ids) > 1]:
            raise UnresolvedError(
                f"watch_ids: more than one of the {kind} is named {_shown(several)}; specify their "
                "ids"
            )
        return frozenset(each for ids in found.values() for each in ids)

    # -- a file ----------------------------------------------------------------------------------

    async def _read_file(self) -> Read:
        assert self._watch.file is not None, "checked by the settings"
        wanted = listed_ids(self._watch.file)
        found = {user["id"]: name_of(user) async for user in self._by_id(wanted)}
        names = {user: found[user] for user in wanted if user in found}
        return Read(names=names, missing=len(wanted) - len(names))

    # -- calls -----------------------------------------------------------------------------------

    async def _by_id(self, ids: Sequence[str]) -> AsyncIterator[Entity]:
        for first in range(0, len(ids), USERS_BY_ID_MAX):
            some = ids[first : first + USERS_BY_ID_MAX]
            for user in await self._patiently(partial(self._rest.users_by_id, some)):
                yield user

    def _named(self, kind: Collection) -> AsyncIterator[ListingPage]:
        return self._pages(partial(self._rest.named_page, kind))

    async def _entities(self, pages: AsyncIterator[ListingPage]) -> AsyncIterator[Entity]:
        async for page in pages:
            for entity in page.entities:
                yield entity

    async def _pages(
        self, page: Callable[[int], Awaitable[ListingPage]]
    ) -> AsyncIterator[ListingPage]:
        number, pages = 1, 1
        while number <= pages:
            found = await self._patiently(partial(page, number))
            yield found
            number, pages = number + 1, found.pages

    async def _patiently(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        tries = 0
        while True:
            try:
                return await call()
            except CloudError as error:
                tries += 1
                if not error.is_passing or tries >= self._retry.tries_max:
                    raise
                await asyncio.sleep(self._wait_s(error, tries))

    def _wait_s(self, error: CloudError, tries: int) -> float:
        retry = self._retry
        return wait_s(
            tries,
            self._rng,
            error.retry_after_s,
            first_s=retry.backoff_first_s,
            most_s=retry.backoff_most_s,
        )


def _named(users: Iterable[Entity]) -> Iterator[tuple[str, str]]:
    return ((user["id"], name_of(user)) for user in users)


def _is_in(user: Entity, divisions: frozenset[str] | None) -> bool:
    if divisions is None:
        return True
    division = user.get("division")
    return isinstance(division, dict) and division.get("id") in divisions


def _near(unknown: Sequence[str], names: Mapping[str, str]) -> str:
    """What each may have meant; `names`: of all there are, by their case-folded form."""
    found = dict.fromkeys(
        names[near]
        for text in unknown[:NAMES_SHOWN_MAX]
        for near in difflib.get_close_matches(text.strip().casefold(), names, n=2)
    )
    return f"; did you mean {' or '.join(map(repr, found))}?" if found else ""


def _shown(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - NAMES_SHOWN_MAX} more" if len(texts) > NAMES_SHOWN_MAX else ""
    return ", ".join(map(repr, texts[:NAMES_SHOWN_MAX])) + more


def listed_ids(path: Path) -> list[str]:
    """One id a line; empty lines and what follows a # are skipped, an id counts once. Raises
    ConfigurationError for a file that cannot be read, lists nobody, or is none of ids."""
    try:
        with path.open("rb") as file:
            read = file.read(FILE_BYTES_MAX + 1)
        if len(read) > FILE_BYTES_MAX:
            raise ConfigurationError(f"watch_file = {path}: larger than {FILE_BYTES_MAX >> 20} MB")
        content = text_of(read)
    except OSError as error:
        raise ConfigurationError(f"watch_file = {path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationError(f"watch_file = {path}: {error}") from None
    ids: dict[str, None] = {}
    for number, line in enumerate(content.split("\n"), 1):
        text = line.partition("#")[0].strip().strip("\"',;").strip().lower()
        if text:
            if not is_user_id(text):
                raise ConfigurationError(
                    f"watch_file = {path}: line {number} is not a user id; write one id per line, "
                    "optionally followed by a comment after #"
                )
            ids[text] = None
    if not ids:
        raise ConfigurationError(f"watch_file = {path}: the file lists no users")
    return list(ids)

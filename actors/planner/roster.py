"""Owns how the roster is read: who is to be watched, page by page, in the rate budget.

It knows no plan and no file but the one that a person may list ids in; how a call is made is
`roster_calls`'. A read that was cut short is none, and removes nobody.
"""

from __future__ import annotations

import difflib
import random
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from actors.genesys.cloud import is_user_id, user_id_of
from actors.genesys.cloud_answers import Entity, ListingPage, name_of
from actors.genesys.cloud_errors import OddAnswerError
from actors.genesys.cloud_rest import USERS_BY_ID_MAX, CloudRest, Collection, MemberKind
from actors.genesys.observation import OBSERVED_PARTS
from actors.genesys.paging import Query
from actors.messages.spelling import folded
from actors.planner.arguments import WatchSelection
from actors.planner.members import QueueMembers, joined_of
from actors.planner.observer import Observer
from actors.planner.roster_calls import RetryPolicy, RosterCalls, Tell, each_of
from actors.storage.text_file import text_of
from runtime.errors import ConfigurationError

FILE_BYTES_MAX: Final = 32 << 20
NAMES_SHOWN_MAX: Final = 5
SHARED_FROM_PAGES: Final = 5
"""So many are read by all OAuth clients: one more call of each shows whether it sees everybody."""
CALLS_BY_ID_MAX: Final = 10
"""A file of more is read by pages of everybody first, if these are fewer calls."""

NameProgress = Callable[[Mapping[str, str]], None]


class UnresolvedError(ConfigurationError):
    """The settings name whom nobody finds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One whole read. `names`: of everybody to be watched, in the gateway's order."""

    names: Mapping[str, str]
    missing: int = 0
    """Ids of the file that are no active user's."""
    pages_unread: int = 0
    """That could not be read; whoever is watched already and missing may stand there."""


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
        others: Sequence[CloudRest] = (),
        tell: Tell | None = None,
        observer: Observer | None = None,
        parts: Sequence[str] = (),
    ) -> None:
        """`parts`: to be asked for of each user, beside those that show its state."""
        self._observer = observer or Observer()
        self._parts = (*OBSERVED_PARTS, *parts)
        self._calls = RosterCalls(rest, others, rng=rng, retry=retry, tell=tell)
        self._watch = watch
        self._missed: set[str] = set()  # by a read that may have overlooked them
        self.members: dict[str, QueueMembers] = {}
        """Who has joined the queues that the last read was of, by queue."""

    async def read(self, held: Mapping[str, str], told: NameProgress = lambda _: None) -> Read:
        """`held`: whom we watch already, with their names. `told` hears from time to time of those
        who were found so far."""
        self._calls.begin()
        self._observer.seen.clear()
        self.members = {}
        missing = 0
        match self._watch.kind:
            case "file":
                names, missing = await self._read_file()
            case "queues" | "groups":
                names = await self._read_members(self._watch.kind, held, told)
            case "divisions":
                names = await self._read_users(held, told, await self.resolved("divisions"))
            case _:
                names = await self._read_users(held, told, None)
        # A name that could not be read this time is the one that was read before.
        names = {user: name or held.get(user, "") for user, name in names.items()}
        return Read(names=names, missing=missing, pages_unread=self._calls.pages_unread)

    async def queue_names(self) -> dict[str, str]:
        """Of all queues, for people to read."""
        return {each["id"]: name_of(each) async for each in self._entities(self._named("queues"))}

    # -- all, or those of some divisions ---------------------------------------------------------

    async def _read_users(
        self, held: Mapping[str, str], told: NameProgress, divisions: frozenset[str] | None
    ) -> dict[str, str]:
        names: dict[str, str] = {}
        async for page in self._calls.pages(self._user_page):
            names |= _named(user for user in page.entities if _is_in(user, divisions, held))
            told(names)
            if page.number == 1 and page.pages >= SHARED_FROM_PAGES:
                await self._calls.share(page.total)
        # Whoever joins or leaves while we read shifts the pages behind: somebody may have slipped
        # from the page to come into the one that was read. So who is missing is asked for by id.
        vanished = [user for user in held if user not in names]
        async for user in self._by_id(vanished):
            if _is_in(user, divisions, held):
                names[user["id"]] = name_of(user)
        return names

    # -- members of queues or groups -------------------------------------------------------------

    async def _read_members(
        self, kind: MemberKind, held: Mapping[str, str], told: NameProgress
    ) -> dict[str, str]:
        found: dict[str, dict[str, str]] = {}
        everybody: dict[str, str] = {}
        is_exact = True

        async def read(collection: str) -> None:
            nonlocal is_exact
            members, joined, number = found[collection], dict[str, None](), 0
            unread = self._calls.pages_unread

            async def page_of(rest: CloudRest, number: int, query: Query) -> ListingPage:
                page = rest.member_page(kind, collection, number, query)
                return await self._observer.page(rest, page)

            async for page in self._calls.pages(page_of):
                members |= _named(page.entities)
                everybody.update(_named(page.entities))
                is_exact = is_exact and page.number == 1 and page.pages <= 1
                joined |= dict.fromkeys(joined_of(page.entities))
                number = page.number
                told(everybody)
            if kind == "queues" and unread == self._calls.pages_unread:
                self.members[collection] = QueueMembers(tuple(joined), is_exact=number <= 1)

        collections = sorted(await self.resolved(kind))
        await self._calls.share()
        found = {each: {} for each in collections}
        await each_of(collections, read)
        names = {user: name for members in found.values() for user, name in members.items()}
        return self._with_kept(names, held, is_exact=is_exact)

    def _with_kept(
        self, names: dict[str, str], held: Mapping[str, str], *, is_exact: bool
    ) -> dict[str, str]:
        """Pages of members shift as well, and an id says nothing of a queue: of several pages, gone
        is who is missing twice. What stands on a page that could not be read is not missing."""
        missed = {user for user in held if user not in names}
        if self._calls.pages_unread:
            return names | {user: held[user] for user in held if user in missed}
        if is_exact:
            self._missed = set()
            return names
        kept = {user: held[user] for user in held if user in missed - self._missed}
        self._missed = missed
        return names | kept

    async def resolved(self, kind: Collection) -> frozenset[str]:
        """The ids that the settings mean, by id or by name (`folded`). Raises UnresolvedError if
        one is not found, or means several."""
        found: dict[str, set[str]] = {text: set() for text in self._watch.ids}
        texts: dict[str, list[str]] = {}
        for text in found:
            texts.setdefault(folded(text), []).append(text)
        names: dict[str, str] = {}
        async for each in self._entities(self._named(kind)):
            name = name_of(each)
            names[folded(name)] = name
            for spelt in {folded(each["id"]), folded(name)}:
                for text in texts.get(spelt, ()):
                    found[text].add(each["id"])
        names.pop("", None)
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

    async def _read_file(self) -> tuple[dict[str, str], int]:
        """With how many of the file are no active user's."""
        assert self._watch.file is not None, "checked by the settings"
        wanted = dict.fromkeys(listed_ids(self._watch.file), "")
        found: dict[str, str] = {}
        calls = -(-len(wanted) // USERS_BY_ID_MAX)
        if calls > CALLS_BY_ID_MAX and await self._is_by_pages(calls):
            async for page in self._calls.pages(self._user_page):
                found |= _wanted(page.entities, wanted)
        left = [each for each in wanted if each not in found]
        if len(left) > CALLS_BY_ID_MAX * USERS_BY_ID_MAX:
            await self._calls.share()
        async for user in self._by_id(left):
            found |= _wanted([user], wanted)
        names = {user: found[user] for user in wanted if user in found}
        return names, len(wanted) - len(names)

    async def _is_by_pages(self, calls: int) -> bool:
        """Whether everybody is read in fewer calls than these ids."""
        try:
            return (await self._calls.patiently(lambda rest: rest.user_page(1))).pages < calls
        except OddAnswerError:
            return False

    # -- calls -----------------------------------------------------------------------------------

    async def _by_id(self, ids: Sequence[str]) -> AsyncIterator[Entity]:
        for first in range(0, len(ids), USERS_BY_ID_MAX):
            some = ids[first : first + USERS_BY_ID_MAX]
            for user in await self._calls.patiently(partial(self._users_by_id, some)):
                yield user

    async def look_at(self, users: Sequence[str]) -> None:
        """At the state of these, USERS_BY_ID_MAX at most: who was named, but not shown."""
        await self._calls.patiently(partial(self._users_by_id, users), 1)

    async def _user_page(self, rest: CloudRest, number: int, query: Query) -> ListingPage:
        page = rest.user_page(number, self._parts, query)
        return await self._observer.page(rest, page)

    async def _users_by_id(self, ids: Sequence[str], rest: CloudRest) -> list[Entity]:
        return await self._observer.users(rest, rest.users_by_id(ids, self._parts))

    def _named(self, kind: Collection) -> AsyncIterator[ListingPage]:
        """Whole: a name on a page that cannot be read is not unknown."""

        async def page_of(rest: CloudRest, number: int, query: Query) -> ListingPage:
            return await rest.named_page(kind, number, query)

        return self._calls.pages(page_of, is_whole=True)

    async def _entities(self, pages: AsyncIterator[ListingPage]) -> AsyncIterator[Entity]:
        async for page in pages:
            for entity in page.entities:
                yield entity


def _wanted(users: Iterable[Entity], wanted: Mapping[str, str]) -> dict[str, str]:
    """Of the users those of the file, which has ids in lower case, by that spelling."""
    return {user["id"].lower(): name_of(user) for user in users if user["id"].lower() in wanted}


def _named(users: Iterable[Entity]) -> Iterator[tuple[str, str]]:
    return ((user["id"], name_of(user)) for user in users)


def _is_in(user: Entity, divisions: frozenset[str] | None, held: Mapping[str, str]) -> bool:
    """Whoever is watched already and has no division told stays: absent is not told."""
    if divisions is None:
        return True
    division = user.get("division")
    if division is None:
        return user["id"] in held
    id_ = division.get("id") if isinstance(division, dict) else None
    return isinstance(id_, str) and user_id_of(id_) in divisions


def _near(unknown: Sequence[str], names: Mapping[str, str]) -> str:
    """What each may have meant; `names`: of all there are, by their folded form."""
    found = dict.fromkeys(
        names[near]
        for text in unknown[:NAMES_SHOWN_MAX]
        for near in difflib.get_close_matches(folded(text), names, n=2)
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

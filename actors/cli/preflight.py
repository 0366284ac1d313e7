"""Online: whether the gateway lets us do what the settings ask for, tried out and told in words.

It prints nothing and claims nothing: a runtime may run beside it. In the cloud dialect it makes one
channel per OAuth client and lets it go again; others are counted, never touched.
"""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

import httpx

from actors.genesys import presence, wsp
from actors.genesys.channel_plan import CHANNELS_OF_A_CLIENT, EMPTY, plan
from actors.genesys.cloud import COUNTED, subscribed_topic
from actors.genesys.cloud_answers import RejectedTopic
from actors.genesys.cloud_errors import CloudError, ForbiddenError
from actors.genesys.cloud_rest import SNAPSHOT_PARTS, CloudRest, MemberKind
from actors.genesys.definitions import Definitions
from actors.genesys.http import GatewayAddress, http_client, reach
from actors.genesys.pacer import Pacer
from actors.genesys.proxy import proxy_for
from actors.genesys.rate_budget import Budget, shares
from actors.genesys.tokens import TokenProvider, TokenUnavailableError
from actors.planner.arguments import WatchSelection
from actors.planner.roster import RosterReader
from actors.planner.roster_calls import RetryPolicy, coming_and_going
from actors.settings.cloud import CloudSettings
from actors.settings.gateway_addresses import gateway_addresses
from actors.settings.model import Settings
from runtime.clock import Clock, SystemClock
from runtime.errors import (
    EXIT_CLEAN,
    EXIT_CONFIGURATION,
    EXIT_TEMPORARY,
    ConfigurationError,
)

Verdict: TypeAlias = Literal["good", "wrong", "no answer", "not tried"]
"""`wrong`: a person must act; `no answer`: it may pass by itself."""

PATIENCE: Final = RetryPolicy(tries_max=2)
"""A person is waiting."""
PERMISSION_OF: Final = {
    "definitions": "presence:presenceDefinition:view",
    "queues": "routing:queue:view",
    "groups": "directory:group:view",
    "divisions": "authorization:division:view",
    "channel of ours": "users:activity:view",
    "users": "directory:user:view",
}
"""By a word of the trial."""
CHANNELS_THERE_MAX: Final = CHANNELS_OF_A_CLIENT - 1
"""From so many on none is made: somebody else may make one at the same moment."""
ROLES: Final = "in Admin, assign the OAuth client a role with it, for the divisions of the agents"
CREDENTIALS: Final = (
    "the OAuth client must exist in this region, use the grant type Client Credentials, "
    "and be active"
)


class Trial(NamedTuple):
    """One thing that was tried; `who`: the OAuth client, by its place in the settings."""

    who: str
    what: str
    verdict: Verdict
    said: str


def exit_code(trials: Iterable[Trial]) -> int:
    verdicts = {trial.verdict for trial in trials}
    if "wrong" in verdicts:
        return EXIT_CONFIGURATION
    return EXIT_TEMPORARY if "no answer" in verdicts else EXIT_CLEAN


async def try_out(settings: Settings, clock: Clock | None = None) -> list[Trial]:
    """All that can be tried, the first OAuth client first. Raises ConfigurationError for a
    `ca_file` or proxy that is none."""
    proxy_for(settings.api_url, settings.proxy, os.environ)
    found, user, visible = list[Trial](), "", 0
    for number, address in enumerate(gateway_addresses(settings)):
        async with http_client(reach(address)) as http:
            client = _Client(settings, number, address, http, clock=clock or SystemClock())
            client.user, client.visible = user, visible
            trials = client.of_cloud() if settings.dialect == "cloud" else client.of_wsp()
            found += [trial async for trial in trials]
            user, visible = client.user, client.visible
    return found


class _Client:
    """One OAuth client and what it may."""

    def __init__(
        self,
        settings: Settings,
        number: int,
        address: GatewayAddress,
        http: httpx.AsyncClient,
        *,
        clock: Clock,
    ) -> None:
        self.user = ""  # somebody whom the clients see, the first of them first
        self.visible = 0  # users, to the client that sees most
        self._settings = settings
        self._number = number
        self._address = address
        self._http = http
        self._clock = clock
        self._last: Trial
        self._seen = 0  # users

    async def of_wsp(self) -> AsyncIterator[Trial]:
        """A token for each of its uses."""
        uses = [("token of the receiver", wsp.SCOPES)]
        uses += [("token of the sender", presence.SCOPES)] if self._settings.sender.enabled else []
        for what, scopes in uses:
            yield await self._token(what, self._tokens(scopes), f"with {' '.join(scopes)}")

    async def of_cloud(self) -> AsyncIterator[Trial]:
        tokens = self._tokens(())
        yield await self._token("token", tokens, "")
        if self._last.verdict != "good":
            return
        rate = self._settings.cloud.requests_per_minute
        pacer = Pacer(Budget(shares(rate).planner, total=rate), self._clock)
        rest = CloudRest(self._address, tokens, self._http, pacer, clock=self._clock)
        yield await self._call("users and their presences", lambda: self._look(rest))
        if self._number == 0:
            async for trial in self._of_planner(rest):
                yield trial
            if self._settings.sender.enabled:
                yield await self._call("presence definitions", lambda: self._definitions(rest))
        async for trial in self._of_channels(rest):
            yield trial

    # -- what only the planner does --------------------------------------------------------------

    async def _of_planner(self, rest: CloudRest) -> AsyncIterator[Trial]:
        """Whom the settings mean, found as the planner finds them, and whether all of them fit."""
        cloud = self._settings.cloud
        if cloud.watch != "all":
            what = "file of users" if cloud.watch == "file" else f"names of {cloud.watch}"
            yield await self._call(what, lambda: self._watched(rest, cloud))
            if self._last.verdict != "good":
                return
        if cloud.watch in {"queues", "groups"}:
            what, kind = f"members of {cloud.watch}", cloud.watch
            yield await self._call(what, lambda: self._members(rest, kind))
        if cloud.watch != "queues":
            yield await self._call("queues", lambda: self._queues(rest))
        yield self._trial("OAuth clients", *self._enough())

    def _reader(self, rest: CloudRest, cloud: CloudSettings) -> RosterReader:
        watch = WatchSelection(kind=cloud.watch, ids=cloud.watch_ids, file=cloud.watch_file)
        rng = random.Random()  # noqa: S311 - jitter
        return RosterReader(rest, watch, rng=rng, retry=PATIENCE)

    async def _members(self, rest: CloudRest, kind: MemberKind) -> str:
        """The first page of the first of them."""
        found = await self._reader(rest, self._settings.cloud).resolved(kind)
        page = await rest.member_page(kind, min(found), 1)
        more = ", more pages follow" if page.pages > 1 else ""
        return f"{len(page.entities)} on the first page of the first of {len(found)} {kind}{more}"

    async def _queues(self, rest: CloudRest) -> str:
        """Their names are for people only, so that nothing fails without them."""
        try:
            page = await rest.named_page("queues", 1)
        except CloudError as error:
            if error.is_passing:
                raise
            missing = _lacking(error.missing_permissions, PERMISSION_OF["queues"])
            return f"optional: queues are shown by their ids: {error}: {missing}"
        return f"names of {page.total or len(page.entities)} queues visible"

    async def _definitions(self, rest: CloudRest) -> str:
        """As the sender reads them, with their labels in all languages."""
        entities = await rest.definitions()
        found = Definitions(entities)
        if not len(found):
            raise ConfigurationError(f"no presence definition in use is visible; {ROLES}")
        spoken = {
            language
            for each in entities
            if isinstance(labels := each.get("languageLabels"), dict)
            for language in labels
        }
        return f"{len(found)} in use, with labels in {len(spoken)} languages"

    async def _watched(self, rest: CloudRest, cloud: CloudSettings) -> str:
        read = await self._reader(rest, cloud).read({})
        self._seen = len(read.names)
        if cloud.watch == "file":
            missing = f"; {read.missing} do not belong to an active user" if read.missing else ""
            said = f"{self._seen + read.missing} ids in {cloud.watch_file}{missing}"
            if not self._seen:
                raise ConfigurationError(said)
            return said
        if not self._seen:
            raise ConfigurationError(f"found, but these {cloud.watch} contain no active user")
        return f"all {len(cloud.watch_ids)} found, with {self._seen} agents"

    def _enough(self) -> tuple[Verdict, str]:
        """Whether all agents fit on the channels of the clients that there are."""
        clients, cloud = len(self._settings.all_credentials), self._settings.cloud
        agents = [str(number) for number in range(self._seen)]
        planned = plan(EMPTY, agents, clients, COUNTED[cloud.topics], cloud.limits)
        said = f"{clients} configured, {planned.clients_needed} needed for {self._seen} agents"
        if planned.unmonitored:
            return "wrong", f"{said}; {len(planned.unmonitored)} agents would not be monitored"
        return "good", said

    # -- what every client does ------------------------------------------------------------------

    async def _look(self, rest: CloudRest) -> str:
        page = await rest.user_page(1, SNAPSHOT_PARTS)
        if not page.entities:
            raise ConfigurationError(f"the OAuth client sees no active user; {ROLES}")
        self.user = self.user or page.entities[0]["id"]
        self._seen = len(page.entities) if page.total is None else page.total
        if self._number and self._seen < self.visible - coming_and_going(self.visible):
            raise ConfigurationError(
                f"only {self._seen} of the {self.visible} active users that client 1 sees are "
                f"visible; all OAuth clients need the same roles and divisions"
            )
        self.visible = max(self.visible, self._seen)
        return f"{self._seen} active users visible"

    async def _of_channels(self, rest: CloudRest) -> AsyncIterator[Trial]:
        there = 0

        async def count() -> str:
            nonlocal there
            there = (await rest.channels()).total
            return f"{there} of {CHANNELS_OF_A_CLIENT} exist already; none of them is changed"

        yield await self._call("channels", count)
        if self._last.verdict != "good" or not self.user:
            return
        if there >= CHANNELS_THERE_MAX:
            why = "another one could replace an existing one; unused channels expire within 24 h"
            yield self._trial("a channel of ours", "not tried", why)
            return
        yield await self._call("a channel of ours", lambda: self._subscribe(rest))

    async def _subscribe(self, rest: CloudRest) -> str:
        topic = subscribed_topic(self.user, self._settings.cloud.topics)
        channel = await rest.create_channel()
        try:
            taken = await rest.put_topics(channel.id, [topic])
        finally:
            await rest.let_go(channel.id)
        if taken.rejected:
            refused = taken.rejected[0]
            raise ConfigurationError(
                f"created, but the topic {topic} was refused: {_refused(refused)}"
            )
        return "created, subscribed and released; it expires within 24 h"

    # -- how it is tried -------------------------------------------------------------------------

    def _tokens(self, scopes: Sequence[str]) -> TokenProvider:
        return TokenProvider(
            self._address,
            scopes,
            self._http,
            clock=self._clock,
            rng=random.Random(),  # noqa: S311 - jitter
        )

    async def _token(self, what: str, tokens: TokenProvider, more: str) -> Trial:
        async def ask() -> str:
            left_s = (await tokens.current()).seconds_left(self._clock.now_s())
            return " ".join(each for each in (f"for {left_s:.0f} s", more) if each)

        return await self._call(what, ask)

    async def _call(self, what: str, work: Callable[[], Awaitable[str]]) -> Trial:
        try:
            return self._trial(what, "good", await work())
        except ForbiddenError as error:
            usual = next((PERMISSION_OF[each] for each in PERMISSION_OF if each in what), "")
            missing = _lacking(error.missing_permissions, usual)
            return self._trial(what, "wrong", f"{error}: {missing}")
        except TokenUnavailableError as error:
            return self._trial(what, "no answer", str(error))
        except CloudError as error:
            return self._trial(what, "no answer" if error.is_passing else "wrong", str(error))
        except ConfigurationError as error:
            is_token = what.startswith("token") and "scope" not in str(error)
            more = f"; {CREDENTIALS}" if is_token else ""
            return self._trial(what, "wrong", f"{error}{more}")

    def _trial(self, what: str, verdict: Verdict, said: str) -> Trial:
        self._last = Trial(f"client {self._number + 1}", what, verdict, said)
        return self._last


def _refused(topic: RejectedTopic) -> str:
    if topic.missing_permissions or not topic.reason:
        return _lacking(topic.missing_permissions, PERMISSION_OF["channel of ours"])
    return topic.reason


def _lacking(permissions: Sequence[str], usual: str = "") -> str:
    """`usual`: what the platform's documentation names, for a gateway that names none."""
    if permissions:
        return f"missing permission: {', '.join(permissions)}; {ROLES}"
    return f"a permission is missing{usual and f', usually {usual}'}; {ROLES}"

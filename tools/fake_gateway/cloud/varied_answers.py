"""VariedAnswers: REST answers as the platform may give them as well (protocol.md §4).

Works on what a resource has answered, so that it knows paths and fields, but no resource. Whoever
is left out of an answer is told in the next one that they are in, but for a few: of them `expand`
never tells the part, and who wants to know it has to ask for that (R3).
"""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Any

import orjson
from aiohttp import web

from tools.fake_gateway.cloud.problems import ApiError
from tools.fake_gateway.cloud.variations import HAMMERED, Variations

Entity = dict[str, Any]
Note = Callable[..., None]
"""Writes a line `varied` in the ledger: what, and of whom."""

USERS, DEFINITIONS = "/api/v2/users", re.compile(r"/api/v2/presence/?definitions")
TOKENS = "/oauth/token"
_SPECIFIC = re.compile(
    r"/api/v2/users/(presences/\w+/bulk|[^/]+/routingstatus|[^/]+/presences/\w+)$"
)
BREAKS = (b"\\ud83d", b"\\udc00 ", b"\x01", b"\x1f", b"\\ud83d\\ud83d")
"""What no strict reader of JSON takes: half an emoji, and raw control characters."""
MARK = "@broken text@"  # until the answer is bytes
FAR_TIMES = ("0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59.999-05:00")
LANGUAGES = ("ja", "pt_BR", "fr", "es", "it", "nl", "sv", "pl", "tr", "ko")
LARGE_BYTES = 40_000
CALL, TOKEN, HANDSHAKE = "call", "token", "handshake"
WRITE = "write"
NO_WAIT = "retry-after-zero"
PLACES = (CALL, WRITE, TOKEN, HANDSHAKE)
# Between two refusals of one kind of call, seconds and calls: who waits and comes again is let in.
# There are many writes, and each is of somebody else.
APART_S = {CALL: 12.0, WRITE: 1.0, TOKEN: 6.0, HANDSHAKE: 12.0}
PASSES_MIN = {CALL: 4, WRITE: 2, TOKEN: 1, HANDSHAKE: 4}
NEVER_TOLD_MAX = 3  # of each part: whom no page tells it of; only who is asked for by name
TOKENS_CLOSED_S = 1.5  # after a refusal with `Retry-After: 0`: nobody is let in any sooner
HAMMERED_AFTER = 30  # requests in that time: nobody backs off
ONE_PAGE_MAX = 12  # of one kind in one answer: then the next one shall have some
_LEFT_OUT = {"presence-left-out": "presence", "routing-left-out": "routingStatus"}
_OPTIONAL = ("chat", "addresses", "primaryContactInfo", "email", "selfUri", "version")
_OF_PRESENCE = ("message", "primary", "selfUri", "id", "source")
_STATUSES = (429, 503)


class VariedAnswers:
    """`told`: hears of everybody of whom a page of users has told all."""

    def __init__(
        self,
        variations: Variations,
        note: Note,
        agents: Mapping[str, int],
        told: Callable[[int], None] = lambda _: None,
        *,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._variations = variations
        self._note = note
        self._agents = agents
        self._told = told
        self._now_s = now_s
        self._rng = variations.rng
        self._left: set[tuple[str, str]] = set()  # (user, part) that the last answer left out
        self._never: set[tuple[str, str]] = set()  # likewise, and every answer after it
        self._carried: Entity | None = None  # by a shift, from the page before
        self._forms = 0
        self._refused_s: dict[str, float] = {}  # by kind of call, the last time
        self._closed_until_s, self._asked_again = -math.inf, 0
        self._passed: Counter[str] = Counter()  # by kind of call, since then

    # Before an answer.

    def refuse(self, place: str, call: str = "") -> None:
        """Raises ApiError, with a `Retry-After` in one of its forms. Of those without one, only a
        503: a client may take a budget that says nothing for used up, for a minute."""
        now_s = self._now_s()
        if place == TOKEN:
            self._keep_closed(now_s)
        kind = place + call
        self._passed[kind] += 1
        is_too_soon = now_s < self._refused_s.get(kind, -math.inf) + APART_S[place]
        if is_too_soon or self._passed[kind] <= PASSES_MIN[place]:
            return
        is_token = place == TOKEN and self._variations.owed(NO_WAIT, now_s) > 0
        # Tokens are few, and nowhere else does it matter as much who asks again at once.
        for name in (NO_WAIT,) if is_token else self._variations.shuffled(tuple(_FORMS)):
            if self._variations.take(name, now_s):
                self._forms += 1
                self._refused_s[kind], self._passed[kind] = now_s, 0
                is_absent = name == "retry-after-absent"
                status = 503 if is_absent else _STATUSES[self._forms % len(_STATUSES)]
                self._note(name, place=place, status=status)
                problem = ApiError(status, "refused", "Not now")
                if (value := _FORMS[name]()) is not None:
                    problem.headers["Retry-After"] = value
                if place == TOKEN and name == NO_WAIT:
                    self._closed_until_s, self._asked_again = now_s + TOKENS_CLOSED_S, 0
                raise problem

    def _keep_closed(self, now_s: float) -> None:
        """`Retry-After: 0` is no promise: who asks again at once is refused again, and counted."""
        if now_s < self._closed_until_s:
            self._asked_again += 1
            if self._asked_again == HAMMERED_AFTER:
                self._note(HAMMERED, requests=HAMMERED_AFTER)
            problem = ApiError(503, "refused", "Not now")
            problem.headers["Retry-After"] = "0"
            raise problem

    # After it.

    def vary(self, request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
        """Every answer of 200."""
        if not isinstance(answer, web.Response) or not isinstance(answer.body, bytes):
            return answer
        if answer.status != 200:
            return answer
        path, is_get = request.path, request.method == "GET"
        if path == USERS and is_get:
            return self._page_of_users(request, answer, answer.body)
        change: Callable[[Any], Any] | None = None
        if path == TOKENS:
            change = self._token
        elif DEFINITIONS.fullmatch(path):
            change = self._definitions
        elif is_get and _SPECIFIC.match(path):
            change = self._specific
        if change is None or not self._variations.is_on:
            return answer
        return _with(answer, change(orjson.loads(answer.body)))

    def _token(self, told: Entity) -> Entity:
        if self._variations.take("expires-in", self._now_s()):
            seconds = told["expires_in"]
            told["expires_in"] = self._rng.choice((str(seconds), seconds - 0.25, f"{seconds}.0"))
            self._note("expires-in", told=str(told["expires_in"]))
        return told

    def _definitions(self, told: Any) -> Any:
        entities = told["entities"] if isinstance(told, dict) else told
        if entities and self._variations.take("broken-label", self._now_s()):
            labels = self._rng.choice(entities).get("languageLabels")
            if isinstance(labels, dict):
                for language in LANGUAGES:
                    labels[language] = f"Pause {MARK}"
                    self._note("broken-label", language=language)
        return told

    def _specific(self, told: Any) -> Any:
        """What was asked for is there; only what may be absent is not."""
        one = told if isinstance(told, dict) else None
        if one is not None and self._variations.take("optional-field", self._now_s()):
            one.pop(self._rng.choice(("message", "selfUri")), None)
            self._note("optional-field", field="of one")
        return told

    # A page of users.

    def _page_of_users(
        self, request: web.Request, answer: web.Response, body: bytes
    ) -> web.Response:
        told = orjson.loads(body)
        if self._variations.is_on:
            told = self._users(request, told)
        for user in told["entities"]:
            agent = self._agents.get(user["id"].lower())
            if agent is not None and all(part in user for part in _LEFT_OUT.values()):
                self._told(agent)
        return _with(answer, told) if self._variations.is_on else answer

    def _users(self, request: web.Request, told: Entity) -> Entity:
        entities: list[Entity] = told["entities"]
        if not entities and self._carried is None:
            return told
        here = {one["id"].lower() for one in entities}
        told_again = {key for key in self._left if key[0] in here}
        for name, change in (
            ("presence-left-out", self._leave_out),
            ("routing-left-out", self._leave_out),
            ("other-source", self._show_other),
            ("optional-field", self._leave_field),
            ("large-entity", self._enlarge),
            ("broken-name", self._break_name),
            ("odd-time-rest", self._odden_time),
            ("foreign-case-rest", self._shout),
        ):
            self._some(name, entities, change)
        self._left -= told_again
        for user in entities:
            for name, part in _LEFT_OUT.items():
                if (user["id"].lower(), name) in self._never:
                    user.pop(part, None)
        now_s = self._now_s()
        if "id" not in request.query:
            self._shift(told, entities, now_s)
        if len(entities) > 1 and self._variations.take("page-order", now_s):
            self._rng.shuffle(entities)
            self._note("page-order", users=len(entities))
        return told

    def _some(
        self, name: str, entities: list[Entity], change: Callable[[str, Entity], bool]
    ) -> None:
        """As many users of the page as are due, and as let it happen."""
        now_s, wanted = self._now_s(), min(ONE_PAGE_MAX, max(2, len(entities) // 20))
        for user in self._rng.sample(entities, min(len(entities), 4 * wanted)):
            if not wanted or not self._variations.owed(name, now_s):
                break
            if change(name, user):
                self._variations.take(name, now_s)
                wanted -= 1

    def _leave_out(self, name: str, user: Entity) -> bool:
        part = _LEFT_OUT[name]
        if part not in user or (user["id"].lower(), name) in self._left:
            return False
        del user[part]
        self._left.add((user["id"].lower(), name))
        if sum(each == name for _, each in self._never) < NEVER_TOLD_MAX:
            self._never.add((user["id"].lower(), name))
        self._tell(name, user)
        return True

    def _show_other(self, name: str, user: Entity) -> bool:
        """What the user is elsewhere; of the presence that counts nothing is told."""
        key = (user["id"].lower(), "presence-left-out")
        presence = user.get("presence")
        if not isinstance(presence, dict) or key in self._left:
            return False
        self._left.add(key)
        presence |= {"source": "MICROSOFTTEAMS", "primary": False}
        presence["presenceDefinition"] = {
            "id": "6a3af858-942f-489d-9700-5f9bcdcdae9b",
            "systemPresence": "Available",
        }
        self._tell(name, user)
        return True

    def _leave_field(self, name: str, user: Entity) -> bool:
        presence = user.get("presence")
        if isinstance(presence, dict) and self._rng.random() < 0.5:
            field = self._rng.choice(_OF_PRESENCE)
            if field == "message" and presence.get("message"):
                return False  # it would be told otherwise
            holder = presence
        else:
            field, holder = self._rng.choice(_OPTIONAL), user
        if field not in holder:
            return False
        if self._rng.random() < 0.3 and field != "primary":
            holder[field] = None
        else:
            del holder[field]
        self._tell(name, user, field=field)
        return True

    def _enlarge(self, name: str, user: Entity) -> bool:
        one = {"id": "00000000-0000-4000-8000-0000000000a1", "name": "Skill", "proficiency": 3.0}
        user["skills"] = [one | {"selfUri": "/api/v2/routing/skills/x"}] * (LARGE_BYTES // 130)
        user["biography"] = {"biography": "Ä" * 2000, "interests": ["…"] * 50}
        self._tell(name, user)
        return True

    def _break_name(self, name: str, user: Entity) -> bool:
        if not isinstance(user.get("name"), str):
            return False
        user["name"] += f" {MARK}"
        self._tell(name, user)
        return True

    def _odden_time(self, name: str, user: Entity) -> bool:
        holder, field = self._rng.choice(
            (("presence", "modifiedDate"), ("routingStatus", "startTime"))
        )
        part = user.get(holder)
        if not isinstance(part, dict) or field not in part:
            return False
        form = self._rng.choice(("missing", "null", *FAR_TIMES))
        if form == "missing":
            del part[field]
        else:
            part[field] = None if form == "null" else form
        self._tell(name, user, form=form)
        return True

    def _shout(self, name: str, user: Entity) -> bool:
        if user["id"].isupper():
            return False
        user["id"] = user["id"].upper()
        self._tell(name, user)
        return True

    def _shift(self, told: Entity, entities: list[Entity], now_s: float) -> None:
        """Somebody joins or leaves between two pages."""
        size, number = told["pageSize"], told["pageNumber"]
        if number == 1:
            self._carried = None
        if self._carried is not None:
            entities.insert(0, self._carried)
            self._carried = entities.pop() if len(entities) > size else None
            return
        if not entities or not self._variations.take("page-shift", now_s):
            return
        if len(entities) < size:  # the last page
            entities.append(self._rng.choice(entities))
            user, how = entities[-1], "twice on one page"
        elif number < told.get("pageCount", number + 1):
            self._carried = user = entities[-1]
            how = "on two pages"
        else:
            user, how = entities.pop(), "on none"
        self._tell("page-shift", user, how=how)

    def _tell(self, name: str, user: Entity, **more: Any) -> None:
        agent = self._agents.get(user["id"].lower())
        self._note(name, agent=agent, **more)


def _with(answer: web.Response, told: Any) -> web.Response:
    body = orjson.dumps(told)
    mark = orjson.dumps(MARK)[1:-1]
    for number in range(body.count(mark)):
        body = body.replace(mark, BREAKS[number % len(BREAKS)], 1)
    answer.body = body
    return answer


_FORMS: Mapping[str, Callable[[], str | None]] = {
    "retry-after-zero": lambda: "0",
    "retry-after-fraction": lambda: "0.4",
    "retry-after-date": lambda: formatdate(time.time() + 1.6, usegmt=True),
    "retry-after-absent": lambda: None,
}

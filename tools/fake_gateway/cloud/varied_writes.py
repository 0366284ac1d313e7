"""VariedWrites: changes by calls that are answered before they are made, or never made (R5).

Stands between the resources, which change people, and what changes them. A change that is held back
leaves its agent as it was, so that the resource's own answer tells that; what else the answer must
say is added behind it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import orjson
from aiohttp import web

from tools.fake_gateway.cloud.definitions import DEFINITIONS
from tools.fake_gateway.cloud.organisation import CloudOrganisation
from tools.fake_gateway.cloud.people import Changing, set_presence
from tools.fake_gateway.cloud.variations import Variations
from tools.fake_gateway.cloud.varied_answers import Note

CLIENT = "client "
AFTER_S = (0.5, 5.0)
OTHER_BY_MS = 9
_HELD_BACK = ("pending", "pending-never", "not-primary")
_BULK = "/api/v2/users/presences/bulk"
_ONE = "/presences/"


class VariedWrites:
    """`change` is given to the resources instead of the real one."""

    def __init__(
        self,
        variations: Variations,
        note: Note,
        organisation: CloudOrganisation,
        change: Changing,
        later: Callable[[float, Callable[[], None]], object] | None = None,
    ) -> None:
        self._variations = variations
        self._note = note
        self._organisation = organisation
        self._change = change
        self._later = later
        self._told: dict[str, tuple[str, int]] = {}  # by user, until the call is answered
        self.waiting = 0  # changes that will come

    def change(
        self,
        agent: int,
        *,
        by: str,
        presence: int | None = None,
        routing: int | None = None,
        message: str | None = None,
    ) -> int:
        now_s = time.monotonic()
        if presence is not None and by.startswith(CLIENT):
            for name in self._variations.shuffled(_HELD_BACK):
                if self._variations.take(name, now_s):
                    self._told[self._organisation.script.users[agent]] = name, presence
                    self._note(name, agent=agent, presence=presence, by=by)
                    if name == "pending":
                        self._come_later(agent, presence, message or "", by)
                    return time.time_ns() // 1_000_000
        return self._change(agent, by=by, presence=presence, routing=routing, message=message)

    def _come_later(self, agent: int, presence: int, message: str, by: str) -> None:
        def come() -> None:
            self.waiting -= 1
            set_presence(self._organisation, self._change, agent, presence, message, by=by)

        self.waiting += 1
        later = self._later or asyncio.get_running_loop().call_later
        later(self._variations.rng.uniform(*AFTER_S), come)

    def vary(self, request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
        """An answer to a write."""
        is_one = request.method in ("PATCH", "PUT") and _ONE in request.path
        if not is_one or answer.status != 200 or not isinstance(answer, web.Response):
            return answer
        if not isinstance(answer.body, bytes) or not (self._told or self._variations.is_on):
            return answer
        told = orjson.loads(answer.body)
        for presence in told if isinstance(told, list) else [told]:
            if isinstance(presence, dict):
                self._vary_one(presence)
        self._told.clear()
        answer.body = orjson.dumps(told)
        return answer

    def _vary_one(self, told: dict[str, Any]) -> None:
        user = str(told.get("id", "")).lower()
        agent = self._organisation.agents.get(user)
        name, presence = self._told.pop(user, ("", 0))
        if agent is None or told.get("primary") is False:
            return
        if name:
            definition = DEFINITIONS[presence]
            wanted = {"id": definition.id, "systemPresence": definition.system_presence}
            if name == "not-primary":
                told |= {"primary": False, "presenceDefinition": wanted}
            else:
                told["futurePresenceDefinition"] = wanted
        elif self._variations.take("other-date", time.monotonic()):
            by_ms = self._variations.rng.choice([-1, 1]) * self._variations.rng.randint(
                1, OTHER_BY_MS
            )
            true = told["modifiedDate"]
            at = datetime.fromisoformat(true) + timedelta(milliseconds=by_ms)
            told["modifiedDate"] = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            us = round((at - timedelta(milliseconds=by_ms)).timestamp() * 1e6)
            self._note("other-date", agent=agent, at_us=us, told_us=us + by_ms * 1000)

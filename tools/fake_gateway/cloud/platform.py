"""Platform: the variations of a gateway, put together, and counted as they happen.

Decides nothing: what each is, when it is due and what it does stands in the modules beside.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tools.fake_gateway.cloud.api_middleware import TOKEN_PATH, asked_json
from tools.fake_gateway.cloud.problems import ApiError
from tools.fake_gateway.cloud.variations import VARIATIONS, Variations
from tools.fake_gateway.cloud.varied_answers import CALL, HANDSHAKE, TOKEN, WRITE, VariedAnswers
from tools.fake_gateway.cloud.varied_channels import VariedChannels
from tools.fake_gateway.cloud.varied_frames import VariedFrames
from tools.fake_gateway.cloud.varied_writes import VariedWrites
from tools.fake_gateway.ledger import now_us
from tools.fake_gateway.rest import json_response

if TYPE_CHECKING:
    from tools.fake_gateway.cloud.server import CloudGateway


class Platform:
    """Of a gateway whose organisation and traffic there are; `counts`: by variation."""

    def __init__(self, gateway: CloudGateway) -> None:
        organisation, traffic = gateway.organisation, gateway.traffic
        self.variations = Variations(str(gateway.settings.script.seed), VARIATIONS)
        self.counts: Counter[str] = Counter()
        self._traffic = traffic
        self._ledger = gateway.ledger
        self._organisation = organisation
        self._answers = VariedAnswers(
            self.variations, self._note, organisation.agents, self._told_of
        )
        self.writes = VariedWrites(self.variations, self._note, organisation, traffic.change)
        self._frames = VariedFrames(self.variations, self._note, organisation, traffic.is_alone)
        self.channels = VariedChannels(self.variations, self._note, gateway)
        self._told_ms: dict[int, int] = {}  # by agent, its newest change of which a call told
        gateway.ledger.write("variations", names=self.variations.names)

    def _note(self, what: str, **more: Any) -> None:
        self.counts[what] += 1
        self._ledger.write("varied", what=what, **more, on_us=now_us())

    def _told_of(self, agent: int) -> None:
        self._told_ms[agent] = self._newest_ms(agent)

    def _newest_ms(self, agent: int) -> int:
        held = self._organisation.activity.held(agent)
        return max(held.presence_ms, held.routing_ms)

    @property
    def unheard(self) -> int:
        """Agents whose topics were lost, and of whose newest change no call has told either."""
        deaf = self._traffic.deaf_agents()
        return sum(self._told_ms.get(one, 0) < self._newest_ms(one) for one in deaf)

    def turn(self) -> None:
        """Nothing happens any more when the load is over: what was lost must come right."""
        if self._traffic.load_state == "done":
            self.variations.is_on = False
        self.channels.turn()

    def frames(self, frames: bytes, now_s: float) -> bytes:
        return self._frames.vary(frames, now_s)

    def handshake(self) -> web.StreamResponse | None:
        """A refusal, now and then."""
        try:
            self._answers.refuse(HANDSHAKE)
        except ApiError as problem:
            self._ledger.refused("handshake", problem.status, now_us())
            answer = json_response(problem.envelope(), problem.status)
            answer.headers.update(problem.headers)
            return answer
        return None

    async def before(self, request: web.Request) -> None:
        """Raises ApiError."""
        route = request.match_info.route.resource
        call = f"{request.method} {route.canonical if route is not None else '?'}"
        is_write = request.method != "GET" and request.path.startswith("/api/v2/users")
        place = TOKEN if request.path == TOKEN_PATH else WRITE if is_write else CALL
        try:
            self._answers.refuse(place, call)
        except ApiError as problem:
            self._ledger.refused("token" if place == TOKEN else "rest", problem.status, now_us())
            raise
        if request.path.endswith("/subscriptions") and request.method in ("POST", "PUT"):
            asked = await asked_json(request)
            self.channels.check_topics(asked if isinstance(asked, list) else [])

    def after(self, request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
        return self.writes.vary(request, self._answers.vary(request, answer))

    def status(self) -> dict[str, Any]:
        """`unsettled`: what will still happen, and `unheard`: what must still be found."""
        return {
            "counts": {name: self.counts[name] for name in self.variations.names},
            "unsettled": self.writes.waiting + self.channels.away,
            "unheard": self.unheard,
        }

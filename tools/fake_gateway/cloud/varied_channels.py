"""VariedChannels: what happens to channels and people by themselves (protocol.md §4, R9, R10, R19).

Looks each turn what is due.
"""

from __future__ import annotations

import time
from itertools import cycle
from typing import TYPE_CHECKING, Any

from tools.fake_gateway.cloud.channels import Channel
from tools.fake_gateway.cloud.problems import bad_request
from tools.fake_gateway.cloud.variations import IN_USE, Variations
from tools.fake_gateway.cloud.varied_answers import Note
from tools.fake_gateway.ledger import now_us

if TYPE_CHECKING:
    from tools.fake_gateway.cloud.server import CloudGateway

AWAY_S = (1.0, 4.0)
DELETED_S = (4.0, 8.0)
RESULTS = ("400", "401", "410", 410)
ENDS = ("revoked", "lost", "forgotten", "unsubscribed")  # how a channel ends with its token
BEATS: tuple[dict[str, Any], ...] = (
    {"topicName": "channel.metadata", "eventBody": {"message": "Heartbeat"}},
    {"topicName": "CHANNEL.METADATA", "eventBody": {"message": "WebSocket heartbeat", "at": 1}},
    {"topicName": "channel.metadata", "version": "2", "eventBody": {}},
    {"topicName": "channel.metadata", "eventBody": None},
    {"topicName": "v2.system.heartbeat", "eventBody": {"message": "still here"}},
    {"message": "heartbeat"},
    {"message": "WebSocket Heartbeat"},
)


class VariedChannels:
    def __init__(self, variations: Variations, note: Note, gateway: CloudGateway) -> None:
        self._variations = variations
        self._note = note
        self._gateway = gateway
        self._rng = variations.rng
        self._beats = cycle(self._rng.sample(BEATS, len(BEATS)))
        self._deleted: set[int] = set()
        self._unusable: dict[int, int | str] = {}  # by channel the result that it was told
        self._back: list[tuple[float, int]] = []  # (when, who) of those that are away

    # R9

    def _end_with_tokens(self, now_s: float) -> None:
        """Channels whose token is over, connected or not."""
        for channel in list(self._gateway.channels):
            if channel.grant.expires_s <= now_s:
                self._note("token-ends-channel", channel=channel.serial)
                if channel.is_connected and channel.topics:
                    self._note(IN_USE, channel=channel.serial)
                self._lose(channel, self._rng.choice(ENDS))

    # By time

    def turn(self) -> None:
        """Whoever is away comes back even when nothing is to happen any more."""
        now_s = time.monotonic()
        self._end_with_tokens(now_s)
        self._refuse_unusable()
        self._come_back(now_s)
        if not self._variations.is_on:
            return
        for name, happen in (
            ("deaf", self._deafen),
            ("socket-result", self._tell_result),
            ("heartbeat", self._beat),
            ("comes-and-goes", self._go),
        ):
            if self._variations.take(name, now_s) and not happen(now_s):
                self._variations.give_back(name)

    @property
    def away(self) -> int:
        return len(self._back)

    def _connected(self) -> Channel | None:
        connected = [one for one in self._gateway.channels if one.is_connected and one.topics]
        return self._rng.choice(connected) if connected else None

    def _deafen(self, _: float) -> bool:
        """Some topics of one channel, or all of them."""
        channel = self._connected()
        if channel is None or self._gateway.traffic.load is None:
            return False
        agents = self._gateway.traffic.heard_of(channel.number)
        if not agents:
            return False
        count = self._rng.choice((1, min(5, len(agents)), -(-len(agents) // 4), len(agents)))
        some = self._rng.sample(agents, count)
        self._gateway.traffic.deafen(channel.number, some)
        self._note("deaf", channel=channel.serial, agents=some, head=self._gateway.head)
        return True

    def _tell_result(self, _: float) -> bool:
        """And the socket is closed. The channel stays until its token ends, of use to nobody: each
        further socket is told the same."""
        channel = self._connected()
        connection = None if channel is None else self._gateway.sockets.connection_of(channel)
        if channel is None or connection is None or self._gateway.traffic.load is None:
            return False
        result = self._rng.choice(RESULTS)
        self._note("socket-result", channel=channel.serial, result=result)
        self._unusable[channel.serial] = result
        self._refuse_unusable()
        return True

    def _refuse_unusable(self) -> None:
        for channel in self._gateway.channels:
            result = self._unusable.get(channel.serial)
            connection = self._gateway.sockets.connection_of(channel)
            if result is not None and connection is not None:
                said = {"result": result, "message": "Channel is not usable"}
                self._gateway.sockets.tell(channel, said)
                connection.close(1000, f"result {result}")

    def _beat(self, _: float) -> bool:
        channel = self._connected()
        if channel is None:
            return False
        words = next(self._beats)
        self._gateway.sockets.tell(channel, words)
        self._note("heartbeat", channel=channel.serial, words=str(words))
        return True

    def _lose(self, channel: Channel, reason: str) -> None:
        self._gateway.channels.remove(channel)
        self._gateway.lost(channel, reason)

    # People

    def check_topics(self, asked: Any) -> None:
        """Raises ApiError if one is of somebody who was deleted a moment ago, errors ignored or
        not: the whole call is refused. Mostly nobody is; now and then somebody just was."""
        texts = [str(one.get("id")) for one in asked if isinstance(one, dict)]
        agents = {text: self._gateway.organisation.agents.get(_user_of(text)) for text in texts}
        invalid = next((text for text in texts if agents[text] in self._deleted), None)
        if invalid is None and len(texts) > 1:
            invalid = self._rng.choice(texts)
            agent = agents[invalid]
            if (
                agent is None
                or self._gateway.organisation.states[agent] != "active"
                or not self._variations.take("invalid-topic", time.monotonic())
            ):
                return
            self._leave(agent, "deleted", DELETED_S)
            self._deleted.add(agent)
        if invalid is not None:
            self._note("invalid-topic", agent=agents[invalid], topics=len(texts))
            named = f": {invalid}" if self._rng.random() < 0.5 else ""
            raise bad_request(f"Invalid topic{named}", "notification.invalid.topic")

    def _go(self, _: float) -> bool:
        organisation = self._gateway.organisation
        agent = self._rng.randrange(organisation.settings.agents)
        if organisation.states[agent] != "active":
            return False
        self._leave(agent, "inactive", AWAY_S)
        self._note("comes-and-goes", agent=agent)
        return True

    def _leave(self, agent: int, state: str, span_s: tuple[float, float]) -> None:
        self._gateway.traffic.settle()
        self._gateway.organisation.set_state(agent, state, now_us())
        self._back.append((time.monotonic() + self._rng.uniform(*span_s), agent))

    def _come_back(self, now_s: float) -> None:
        due = [agent for at_s, agent in self._back if at_s <= now_s]
        if due:
            self._back = [(at_s, agent) for at_s, agent in self._back if at_s > now_s]
            for agent in due:
                self._deleted.discard(agent)
                self._gateway.organisation.set_state(agent, "active", now_us())


def _user_of(topic: str) -> str:
    parts = topic.lower().split(".")
    return parts[2].partition("?")[0] if len(parts) > 2 else ""

"""Subscribers: which socket an agent's events were put on at any moment, told line by line. Pure.

A channel has one socket at a time; an agent may stand on more channels than one.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Instead of the number of a socket. LEFT_OUT: the client wants to hear nothing of the agent. DEAF:
# there is a socket, but the agent's topic was lost without a word.
NOBODY, SEVERAL, LEFT_OUT, DEAF = 0, -1, -2, -3


@dataclass(slots=True, kw_only=True)
class Socket:
    number: int
    channel: int
    opened_us: int
    opened_head: int
    closed_us: int | None = None
    closed_head: int | None = None
    reason: str = ""

    @property
    def is_left(self) -> bool:
        """By the client, or not at all: nothing that we did ended it."""
        return self.closed_us is None or self.reason.startswith("closed by the client")


class Subscribers:
    def __init__(self, agents: int) -> None:
        self.told = array("i", [LEFT_OUT]) * agents  # by agent: a socket, or one of the above
        self.begun = array("q", [-1]) * agents  # the first event that an agent may be told with
        self.sockets: dict[int, Socket] = {}
        self.last_socket = array("i", [NOBODY]) * agents
        self.left = array("q", [-1]) * agents  # since which event they are left out, or -1
        self.was_left = bytearray(agents)
        self.masks: set[int] = set()
        self._former: list[int] = []
        self._deaf: dict[int, set[int]] = {}  # by channel
        self._refused: set[int] = (
            set()
        )  # whose topics were told to be invalid, until they are taken
        self._channels: list[list[int]] = [[] for _ in range(agents)]  # by agent
        self._agents: dict[int, list[int]] = {}  # by channel
        self._socket_of: dict[int, int] = {}  # by channel

    def add(self, line: Mapping[str, Any]) -> None:
        kind = line["kind"]
        if kind == "topics":
            self._subscribed(line["channel"], line["agents"], line["head"])
            self.masks.update(line["masks"])
            self._leave_out(line["head"])
        elif kind == "opened":
            self.sockets[line["socket"]] = Socket(
                number=line["socket"],
                channel=line["channel"],
                opened_us=line["at_us"],
                opened_head=line["head"],
            )
            self._socket_of[line["channel"]] = line["socket"]
            self._look(self._agents.get(line["channel"], ()), line["head"])
        elif kind == "closed":
            self._closed(line)
        elif kind == "gone":
            self._socket_of.pop(line["channel"], None)
            self._subscribed(line["channel"], [], line["head"])

    def deafen(self, channel: int, agents: list[int], head: int) -> None:
        """Until the channel is subscribed anew."""
        self._deaf.setdefault(channel, set()).update(agents)
        self._look(agents, head)

    def refuse(self, agent: int, head: int) -> None:
        """Their topic is invalid: a client that leaves it out does what it was told."""
        self._refused.add(agent)
        self._look((agent,), head)

    def _subscribed(self, channel: int, agents: list[int], head: int) -> None:
        former = self._agents.get(channel, [])
        for agent in former:
            self._channels[agent].remove(channel)
        for agent in agents:
            self._channels[agent].append(channel)
        self._agents[channel] = agents
        self._refused.difference_update(agents)
        self._deaf.pop(channel, None)
        self._former = former
        self._look({*former, *agents}, head)

    def _leave_out(self, head: int) -> None:
        """Who stands on no channel because a client said so; who stands on a channel that is gone
        is to be heard of again."""
        for agent in self._former:
            if not self._channels[agent]:
                self.told[agent] = LEFT_OUT
                self.left[agent] = head
                self.was_left[agent] = 1

    def _closed(self, line: Mapping[str, Any]) -> None:
        socket = self.sockets[line["socket"]]
        socket.closed_us, socket.closed_head = line["at_us"], line["head"]
        socket.reason = line["reason"]
        if self._socket_of.get(socket.channel) == socket.number:
            del self._socket_of[socket.channel]
            self._look(self._agents.get(socket.channel, ()), line["head"])

    def _look(self, agents: Any, head: int) -> None:
        for agent in agents:
            sockets = [
                self._socket_of[channel]
                for channel in self._channels[agent]
                if channel in self._socket_of and agent not in self._deaf.get(channel, ())
            ]
            if sockets:
                self.told[agent] = sockets[0] if len(sockets) == 1 else SEVERAL
            else:
                is_deaf = any(channel in self._socket_of for channel in self._channels[agent])
                self.told[agent] = DEAF if is_deaf else NOBODY
            self.left[agent] = -1
            if agent in self._refused and self.told[agent] == NOBODY:
                self.told[agent], self.left[agent], self.was_left[agent] = LEFT_OUT, head, 1
            if sockets:
                self.last_socket[agent] = sockets[-1]
                if self.begun[agent] < 0:
                    self.begun[agent] = head

"""Owns what the sender's loop does in the wsp dialect: presence sockets and the user check.

It decides nothing: wishes of the actor and actions of the line machine are carried out, and what
happens is told to both.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import httpx

from actors.genesys import presence
from actors.genesys.rest import Users
from actors.sender import line_signals as words
from actors.sender import signals
from actors.sender.line import ConnectionMachine, SenderPolicy
from actors.sender.loop_life import TICK_S, LoopLife
from actors.sender.socket import Heard, PresenceSocket

LINES_END_S: Final = 3.0
UNAUTHORISED: Final = 401


class Loop(LoopLife):
    """Over a presence socket."""

    scopes = presence.SCOPES

    def __init__(self, *, policy: SenderPolicy | None = None, **around: Any) -> None:
        super().__init__(**around)
        self._machine = ConnectionMachine(policy or SenderPolicy(), self._rng)
        self._sockets: dict[int, PresenceSocket] = {}
        self._lives: dict[int, asyncio.Task[None]] = {}  # of the same lines
        self._last: PresenceSocket | None = None
        self._odd_line = 0  # of which an odd frame was told last
        self._checking: set[str] = set()
        self._before = {word: self._counters.get(word) for word in ("users_asked", "users_spared")}
        self._users: Users

    # Life

    def _open(self, client: httpx.AsyncClient) -> None:
        self._users = Users(self._address, self._tokens, client, clock=self._clock)

    def _begin_way(self) -> None:
        self._carry_out(self._machine.start(self._clock.now_s()))

    async def _end_way(self) -> None:
        """Let the lines say goodbye."""
        lives = [life for line, life in self._lives.items() if self._sockets[line].is_open]
        if lives:
            await asyncio.wait(lives, timeout=LINES_END_S)

    def _stop_way(self) -> None:
        self._signal(words.StopAsked())

    def _token_renewed(self) -> None:
        self._signal(words.TokenRenewed())

    def _ticked(self) -> float:
        frames = {line: socket.frames for line, socket in self._sockets.items()}
        self._signal(words.Tick(frames))
        due_s = self._machine.due_s
        return TICK_S if due_s is None else due_s - self._clock.now_s()

    def _show(self) -> None:
        self._gauges.show()
        counted = {"users_asked": self._users.asked, "users_spared": self._users.spared}
        for word, count in counted.items():
            self._counters.set(word, self._before[word] + count)

    # What the actor wishes

    def _send(self, change: signals.Send | signals.Patch) -> None:
        assert isinstance(change, signals.Send), "the machine speaks this dialect"
        socket = self._sockets.get(change.line)
        if socket is None or not socket.can_send:
            self._counters.add("updates_not_sent")
            self._tell(signals.NotSent(change.correlation))
            return
        socket.send(change.frame)  # raises nothing: a transport that cannot write is lost
        self._counters.add("updates_sent")
        self._signal(words.Sent(change.line, change.correlation))

    def _check(self, user_id: str) -> None:
        """One answer serves all who asked meanwhile."""
        if user_id not in self._checking:
            self._checking.add(user_id)
            self._spawn(self._ask_for, user_id)

    async def _ask_for(self, user_id: str) -> None:
        try:
            verdict = await self._users.check(user_id)
        finally:
            self._checking.discard(user_id)
        self._tell(signals.UserChecked(user_id, *verdict))

    # What the line machine wants

    def _signal(self, signal: words.Signal) -> None:
        if isinstance(signal, words.Refused):
            self._counters.add("handshake_refusals")
        self._carry_out(self._machine.handle(signal, self._clock.now_s()))

    def _carry_out(self, actions: list[words.Action]) -> None:
        for action in actions:
            match action:
                case words.Connect(line=line, fresh_token=fresh_token):
                    self._connect(line, fresh_token)
                case signals.LineUp():
                    self._counters.add("lines_bound")
                    self._tell(action)
                case signals.LineDown():
                    self._counters.add("lines_ended")
                    self._tell(action)
                case words.Tell(event=event, fields=fields, level=level):
                    getattr(self._log, level)(event, **dict(fields))
                case (
                    words.Bind(line=line)
                    | words.Ping(line=line)
                    | words.Close(line=line)
                    | (words.Abort(line=line))
                ) if line in self._sockets:
                    self._at_line(self._sockets[line], action)
        if actions:
            self._counters.set("connected", int(self._machine.is_up))

    def _at_line(self, socket: PresenceSocket, action: words.Action) -> None:
        match action:
            case words.Bind():
                socket.bind()
            case words.Ping():
                socket.ping()
            case words.Close(code=code):
                socket.close(code)
            case words.Abort():
                socket.abort()

    def _connect(self, line: int, fresh_token: bool) -> None:
        rejected = self._last.token if fresh_token and self._last is not None else None
        socket = PresenceSocket(line, address=self._address, route=self._route, tell=self._on_heard)
        self._sockets[line] = self._last = socket

        async def live() -> None:
            try:
                end = await socket.live(self._tokens, rejected)
            finally:
                del self._sockets[line], self._lives[line]
            self._signal(end)

        self._lives[line] = self._spawn(live)

    def _on_heard(self, line: int, heard: Heard) -> None:
        match heard:
            case presence.UpdateAcknowledgement():
                self._counters.add("acknowledgements")
                self._tell(signals.Acknowledged(*heard))
                self._signal(words.Answered(line, heard.correlation))
                if heard.status == UNAUTHORISED:
                    self._signal(words.TokenDoubted(line))
            case presence.InvalidPresenceFrame(reason=reason):
                self._counters.add("malformed_frames")
                if line != self._odd_line:  # each is counted, one of a line is told
                    self._odd_line = line
                    self._log.warning("line.frame_malformed", line=line, reason=reason)
            case _:
                self._signal(heard)

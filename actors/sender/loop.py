"""Owns what the sender's process does on its event loop: the presence socket, HTTP and timers.

It decides nothing: wishes of the actor and actions of the line machine are carried out, and what
happens is told to both. It runs in the main thread beside the actor's; only `wish` and `stop` may
be called from others.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from typing import Any, Final

import structlog

from actors.genesys import presence
from actors.genesys.http import GatewayAddress, Reach, http_client, reach
from actors.genesys.rest import Users
from actors.genesys.token_gauges import TOKEN_WORDS, TokenGauges
from actors.genesys.tokens import TokenProvider
from actors.sender import line_signals as words
from actors.sender import signals
from actors.sender.delivery import Webhook
from actors.sender.line import LineMachine, Policy
from actors.sender.socket import Heard, PresenceSocket
from actors.sender_settings import SenderSettings
from runtime.clock import Clock, SystemClock
from runtime.counters import Counters

TICK_S: Final = 0.25
LINES_END_S: Final = 3.0
UNAUTHORISED: Final = 401
LOOP_WORDS: Final = (
    "connected",
    "lines_bound",
    "lines_ended",
    "handshake_refusals",
    "malformed_frames",
    "updates_sent",
    "updates_not_sent",
    "acknowledgements",
    "users_asked",
    "users_spared",
    "webhook_posts",
    *TOKEN_WORDS,
)


class Loop:
    """One life. `tell` takes each signal in the loop's thread, and must not wait.

    `counters` has the words of LOOP_WORDS; nobody else writes them.
    """

    def __init__(
        self,
        *,
        address: GatewayAddress,
        settings: SenderSettings,
        counters: Counters,
        tell: Callable[[signals.Signal], None],
        clock: Clock | None = None,
        policy: Policy | None = None,
    ) -> None:
        self._address = address
        self._settings = settings
        self._counters = counters
        self._tell = tell
        self._clock = clock or SystemClock()
        self._chance = random.Random()  # noqa: S311 - jitter
        self._machine = LineMachine(policy or Policy(), self._chance)
        self._log = structlog.get_logger("actors.sender")
        self._wishes: deque[signals.Wish] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None  # while it lives
        self._is_stopped = False
        self._over = asyncio.Event()
        self._failure: BaseException | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._sockets: dict[int, PresenceSocket] = {}
        self._lives: dict[int, asyncio.Task[None]] = {}  # of the same lines
        self._last: PresenceSocket | None = None
        self._odd_line = 0  # of which an odd frame was told last
        self._checking: set[str] = set()
        self._before = {word: counters.get(word) for word in ("users_asked", "users_spared")}
        self._users: Users
        self._webhook: Webhook
        self._tokens: TokenProvider
        self._way: Reach
        self._gauges: TokenGauges
        self._timer: asyncio.TimerHandle | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self.ticked_s = float("-inf")
        """When the loop showed last that it runs: on the clock, every TICK_S."""

    # For any thread

    def wish(self, wishes: Iterable[signals.Wish]) -> None:
        """Have these done, in order, behind all before them. Before the loop lives they wait."""
        self._wishes.extend(wishes)
        self._call(self._grant)

    def stop(self) -> None:
        """Say goodbye and end. May interrupt anything, and be called twice."""
        self._is_stopped = True
        self._call(self._on_stop)

    def _call(self, work: Callable[[], None]) -> None:
        loop = self._loop
        if loop is not None:
            try:
                loop.call_soon_threadsafe(work)
            except RuntimeError:  # it has just ended: what is left undone, a successor finds
                return

    # Life

    async def live(self) -> None:
        """Until it is stopped. Raises what went wrong with us, and ConfigurationError if the
        gateway refuses who we are."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._on_loop_error)
        self._way = reach(self._address)
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(http_client(self._way))
            self._tokens = TokenProvider(
                self._address,
                presence.SCOPES,
                client,
                clock=self._clock,
                chance=self._chance,
                in_service=self._counters.get("token_refreshes") > 0,
            )
            self._users = Users(self._address, self._tokens, client, clock=self._clock)
            self._webhook = Webhook(self._settings.webhook, self._address, self._way.ssl_context)
            await stack.enter_async_context(self._webhook)
            self._gauges = TokenGauges(self._counters, self._tokens, self._log)
            self._loop = loop
            self._begin()
            await self._over.wait()
            await self._end()
        if self._failure is not None:
            raise self._failure

    def _begin(self) -> None:
        self._counters.set("connected", 0)
        self._spawn(self._renew_tokens)
        self._carry_out(self._machine.start(self._clock.now_s()))
        self._tick()
        self._grant()
        if self._is_stopped:
            self._on_stop()

    async def _end(self) -> None:
        """Let the lines say goodbye; what else is under way is cut, and tried again by the next."""
        self._loop = None
        for timer in (self._timer, self._alarm):
            if timer is not None:
                timer.cancel()
        lives = [life for line, life in self._lives.items() if self._sockets[line].is_open]
        if lives and self._failure is None:  # after a failure nobody has closed them
            await asyncio.wait(lives, timeout=LINES_END_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._show()

    def _on_stop(self) -> None:
        if not self._over.is_set():
            self._log.info("sender.stops")
            self._signal(words.StopAsked())
            self._over.set()

    def _fail(self, failure: BaseException) -> None:
        if self._failure is None:
            self._failure = failure
        self._over.set()

    def _on_loop_error(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is None or isinstance(error, OSError):  # the network's, told by a transport
            self._log.warning("loop.warning", cause=str(error or context.get("message")))
        else:
            self._fail(error)

    def _spawn(self, work: Callable[..., Awaitable[None]], *given: Any) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._guarded(work, *given))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guarded(self, work: Callable[..., Awaitable[None]], *given: Any) -> None:
        try:
            await work(*given)
        except Exception as error:
            self._fail(error)

    # What the actor wishes

    def _grant(self) -> None:
        while self._wishes and not self._over.is_set():
            match self._wishes.popleft():
                case signals.Send() as send:
                    self._send(send)
                case signals.CheckUser(user_id=user_id) if user_id not in self._checking:
                    self._checking.add(user_id)
                    self._spawn(self._check, user_id)
                case signals.Deliver() as delivery:
                    self._spawn(self._deliver, delivery)
                case signals.WakeAt(due_s=due_s):
                    self._wake_at(due_s)

    def _send(self, send: signals.Send) -> None:
        socket = self._sockets.get(send.line)
        if socket is None or not socket.can_send:
            self._counters.add("updates_not_sent")
            self._tell(signals.NotSent(send.correlation))
            return
        socket.send(send.frame)  # raises nothing: a transport that cannot write is lost
        self._counters.add("updates_sent")
        self._signal(words.Sent(send.line, send.correlation))

    async def _check(self, user_id: str) -> None:
        """One answer serves all who asked meanwhile."""
        try:
            verdict = await self._users.check(user_id)
        finally:
            self._checking.discard(user_id)
        self._tell(signals.UserChecked(user_id, *verdict))

    async def _deliver(self, delivery: signals.Deliver) -> None:
        self._counters.add("webhook_posts")
        self._tell(await self._webhook.deliver(delivery))

    def _wake_at(self, due_s: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        left_s = max(due_s - self._clock.now_s(), 0.0)
        self._alarm = asyncio.get_running_loop().call_later(left_s, self._on_alarm, due_s)

    def _on_alarm(self, due_s: float) -> None:
        if self._clock.now_s() < due_s:  # the loop's time is cut to milliseconds
            self._wake_at(due_s)
        else:
            self._alarm = None
            self._tell(signals.Due())

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
        socket = PresenceSocket(line, address=self._address, way=self._way, tell=self._on_heard)
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
            case presence.Acknowledgement():
                self._counters.add("acknowledgements")
                self._tell(signals.Acknowledged(*heard))
                self._signal(words.Answered(line, heard.correlation))
                if heard.status == UNAUTHORISED:
                    self._signal(words.TokenDoubted(line))
            case presence.OddFrame(reason=reason):
                self._counters.add("malformed_frames")
                if line != self._odd_line:  # each is counted, one of a line is told
                    self._odd_line = line
                    self._log.warning("line.frame_malformed", line=line, reason=reason)
            case _:
                self._signal(heard)

    async def _renew_tokens(self) -> None:
        while True:
            await self._tokens.renew_when_due()
            self._log.info("token.refreshed", seconds_left=round(self._tokens.seconds_left))
            self._signal(words.TokenRenewed())

    # Time

    def _tick(self) -> None:
        if self._over.is_set():
            return
        self.ticked_s = self._clock.now_s()
        frames = {line: socket.frames for line, socket in self._sockets.items()}
        self._signal(words.Tick(frames))
        self._show()
        due_s = self._machine.due_s
        left_s = TICK_S if due_s is None else due_s - self._clock.now_s()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(min(max(left_s, 0.001), TICK_S), self._tick)

    def _show(self) -> None:
        self._gauges.show()
        counted = {"users_asked": self._users.asked, "users_spared": self._users.spared}
        for word, count in counted.items():
            self._counters.set(word, self._before[word] + count)

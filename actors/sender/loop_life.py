"""Owns the life of the sender's event loop in either dialect: wishes, timers, webhooks and a token.

It decides nothing, and knows no way to the gateway: `actors.sender.loop` has sockets,
`actors.sender.cloud_loop` calls. It runs in the main thread beside the actor's; only `wish` and
`stop` may be called from others.
"""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from typing import Any, ClassVar, Final

import httpx
import structlog

from actors.genesys.http import GatewayAddress, Route, http_client, reach
from actors.genesys.token_gauges import TokenGauges
from actors.genesys.tokens import TokenProvider
from actors.sender import signals
from actors.sender.delivery import CommandWebhook
from actors.settings.sender import SenderSettings
from runtime import loop_child
from runtime.clock import Clock, SystemClock
from runtime.counters import Counters

TICK_S: Final = 0.25


class LoopLife(ABC):
    """One life. `tell` takes each signal in the loop's thread, and must not wait.

    `counters` has the words of `words.LOOP_WORDS`; nobody else writes them.
    """

    scopes: ClassVar[tuple[str, ...]] = ()
    """What the token must be granted; none where roles decide."""

    def __init__(
        self,
        *,
        address: GatewayAddress,
        settings: SenderSettings,
        counters: Counters,
        tell: Callable[[signals.Signal], None],
        clock: Clock | None = None,
    ) -> None:
        self._address = address
        self._settings = settings
        self._counters = counters
        self._tell = tell
        self._clock = clock or SystemClock()
        self._rng = random.Random()  # noqa: S311 - jitter
        self._log = structlog.get_logger("actors.sender")
        self._wishes: deque[signals.Wish] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None  # while it lives
        self._is_stopped = False
        self._over = asyncio.Event()
        self._failure: BaseException | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._webhook: CommandWebhook
        self._tokens: TokenProvider
        self._route: Route
        self._gauges: TokenGauges
        self._timer: asyncio.TimerHandle | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self.ticked_s = float("-inf")
        """When the loop showed last that it runs: on the clock, every TICK_S."""

    # What a dialect does at each turn of it

    @abstractmethod
    def _open(self, client: httpx.AsyncClient) -> None:
        """Make what needs a client; nothing is sent yet."""

    @abstractmethod
    def _begin_way(self) -> None:
        """Find a way to the gateway."""

    @abstractmethod
    async def _end_way(self) -> None:
        """Let what is under way end, if it is quick."""

    @abstractmethod
    def _stop_way(self) -> None:
        """It was asked to stop."""

    @abstractmethod
    def _send(self, change: signals.Send | signals.Patch) -> None: ...

    @abstractmethod
    def _check(self, user_id: str) -> None: ...

    @abstractmethod
    def _token_renewed(self) -> None: ...

    @abstractmethod
    def _show(self) -> None:
        """Put its counts onto the page."""

    @abstractmethod
    def _ticked(self) -> float:
        """A moment has passed: in how many seconds the next one is wanted, at the latest."""

    # For any thread

    def wish(self, wishes: Iterable[signals.Wish]) -> None:
        """Have these done, in order, behind all before them. Before the loop lives they wait."""
        self._wishes.extend(wishes)
        self._call(self._grant)

    def stop(self) -> None:
        """Say goodbye and end. May interrupt anything, and be called twice."""
        self._is_stopped = True
        self._call(self._on_stop)

    def renew_soon(self) -> None:
        """Ask for a new token: who we are may have changed. May interrupt anything."""
        self._call(self._on_renew)  # on the loop there are tokens

    def _on_renew(self) -> None:
        self._tokens.renew_soon()

    def _call(self, work: Callable[[], None]) -> None:
        if self._loop is not None:
            loop_child.call(self._loop, work)

    # Life

    async def live(self) -> None:
        """Until it is stopped. Raises what went wrong with us, and ConfigurationError if the
        gateway refuses who we are."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._on_loop_error)
        self._route = reach(self._address)
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(http_client(self._route))
            self._tokens = TokenProvider(
                self._address,
                self.scopes,
                client,
                clock=self._clock,
                rng=self._rng,
                in_service=self._counters.get("token_refreshes") > 0,
                without_scope="set sender.enabled = false if presences are not to be changed",
            )
            self._open(client)
            stack.push_async_callback(self._tokens.close)
            self._webhook = CommandWebhook(
                self._settings.webhook, self._address, self._route.ssl_context
            )
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
        self._begin_way()
        self._tick()
        self._grant()
        if self._is_stopped:
            self._on_stop()

    async def _end(self) -> None:
        """Say goodbye; what else is under way is cut, and tried again by the next."""
        self._loop = None
        for timer in (self._timer, self._alarm):
            if timer is not None:
                timer.cancel()
        if self._failure is None:  # after a failure nobody has closed anything
            await self._end_way()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._show()

    def _on_stop(self) -> None:
        if not self._over.is_set():
            self._log.info("sender.stops")
            self._stop_way()
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

    async def _renew_tokens(self) -> None:
        while True:
            await self._tokens.renew_when_due()
            self._log.info("token.refreshed", seconds_left=round(self._tokens.seconds_left))
            self._token_renewed()

    # What the actor wishes

    def _grant(self) -> None:
        while self._wishes and not self._over.is_set():
            match self._wishes.popleft():
                case signals.Send() | signals.Patch() as change:
                    self._send(change)
                case signals.CheckUser(user_id=user_id):
                    self._check(user_id)
                case signals.Deliver() as delivery:
                    self._spawn(self._deliver, delivery)
                case signals.WakeAt(due_s=due_s):
                    self._wake_at(due_s)

    async def _deliver(self, delivery: signals.Deliver) -> None:
        self._counters.add("webhook_posts")
        self._tell(await self._webhook.deliver(delivery))

    # Time

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

    def _tick(self) -> None:
        if self._over.is_set():
            return
        self.ticked_s = self._clock.now_s()
        wanted_s = self._ticked()
        self._show()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(min(max(wanted_s, 0.001), TICK_S), self._tick)

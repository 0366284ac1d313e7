"""Owns the life of the web child: socket, rings, beats. It decides nothing and knows no route."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import secrets
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final, cast

import structlog
import uvicorn
from starlette.types import ASGIApp

from actors.settings.web import WebSettings
from actors.web import address, names
from actors.web.access_middleware import AccessChecks, AccessMiddleware
from actors.web.access_setup import make_guards, read_again
from actors.web.app import make_app
from actors.web.arguments import WebArguments
from actors.web.board import Board
from actors.web.command_reader import CommandReader
from actors.web.command_submission import CommandSubmission
from actors.web.hub import Hub
from actors.web.instruments import Instruments
from actors.web.journals import Journals
from actors.web.link import SenderLink
from actors.web.listener import PAGE, PROBES, ListeningSocket, ListenSetting
from actors.web.metrics import make_metrics
from actors.web.minutes import Minutes
from actors.web.name_reader import NameReader
from actors.web.network import NetworkProtocol, Room
from actors.web.parts import WebParts
from actors.web.peer import PeerProtocol
from actors.web.probe_requests import ProbeRequests
from actors.web.stream_places import StreamPlaces
from actors.web.tick import TickLoop
from actors.web.unix_socket import UnixSocket
from runtime import loop_child
from runtime.child import Child
from runtime.clock import Clock, SystemClock
from runtime.counters import Counters
from runtime.ring import Consumer, Producer

BEAT_S: Final = 0.5
DRAIN_S: Final = 5
"""A request that is still served then is cut."""
DATE_EVERY_S: Final = 1.0
NICENESS: Final = 5
"""People who look do not slow down what they look at."""
GARBAGE_CHECKED_EVERY: Final = 50_000
"""Objects more than before: what stays, tens of thousands of agents, is not looked at each time.
Halves what it takes to tell of 50,000 agents at once."""
LIFE_BYTES: Final = 4
"""Of randomness in the name of a life: ids of the stream of another one mean nothing."""
PROBES_CONNECTIONS_MAX: Final = 256
"""At `web.probes_listen`, apart from those of the page."""
DESCRIPTORS: Final = 65_536
"""A connection each; the usual soft limit of 1,024 is a few hundred people."""


def run(child: Child, arguments: WebArguments) -> None:
    """The entry of the child. Raises TemporaryError when its socket cannot be made."""
    gc.set_threshold(GARBAGE_CHECKED_EVERY)
    sys.modules.setdefault("pydantic.v1", cast("Any", None))  # FastAPI would look at it: 30 ms
    _raise_descriptors()
    loop_child.run(_live(child, arguments, SystemClock()))


async def _live(child: Child, arguments: WebArguments, clock: Clock) -> None:
    link = SenderLink(
        Producer(arguments.orders, generation=child.generation, doorbell=arguments.sender_doorbell),
        Consumer(arguments.outcomes, generation=child.generation),
        arguments.doorbell,
        child.counters,
    )
    reader = CommandReader(arguments.data_dir)
    submission = CommandSubmission(link, reader, clock, sender_enabled=arguments.sender_enabled)
    guards = make_guards(arguments, child.counters, clock)
    listeners = _listeners(arguments.settings, child.counters)
    unix = UnixSocket(arguments.data_dir)
    tick = TickLoop(arguments, child.counters, child.generation, clock)
    board = _board(arguments, tick, clock)
    tick.is_followed = lambda: board.hub.readers > 0
    minutes = Minutes(arguments.data_dir, tick.model)
    minutes.restore(clock.wall_us())
    tick.listeners += (minutes.keep, _readers_shown(child.counters, board.hub))
    names_file = arguments.settings.names_file
    name_reader = NameReader(
        lambda: names.read(arguments.data_dir, arguments.dialect, names_file), board.name_all
    )
    journals = Journals(arguments.data_dir)
    try:
        parts = WebParts(
            submission=submission,
            command_reader=reader,
            sessions=guards.sessions,
            wrong_sign_in=guards.wrong_sign_in,
            instruments=Instruments(arguments, clock),
            metrics=make_metrics(arguments, clock, tick.model),
            model=tick.model,
            feed=tick.reader,
            clock=clock,
            board=board,
            journals=journals,
            places=StreamPlaces(arguments.settings.readers_max),
            reasons=lambda: [why for each in listeners.values() for why in each.reasons()],
            dialect=arguments.dialect,
        )
        routes = make_app(parts)
        web = Web(child, link, AccessMiddleware(routes, guards), unix)
        if PAGE in listeners:
            web.listen(listeners[PAGE], arguments.settings.connections_max)
        if PROBES in listeners:
            probes = ProbeRequests(routes, guards)
            web.listen(listeners[PROBES], PROBES_CONNECTIONS_MAX, probes)
        loop_child.on_reload(child, _read_tokens(guards, arguments, board.hub))
        web.on_close(board.hub.close)
        name_reader.start()
        tick.start()
        os.nice(NICENESS)
        await web.live()
    finally:
        name_reader.stop()
        tick.stop()
        unix.remove()
        journals.close()
        reader.close()


def _board(arguments: WebArguments, tick: TickLoop, clock: Clock) -> Board:
    board = Board(
        tick.model,
        Hub(secrets.token_hex(LIFE_BYTES)),
        clock,
        name=arguments.name,
        thresholds=arguments.settings.thresholds,
    )
    tick.listeners.append(board.publish)
    return board


def _listeners(settings: WebSettings, counters: Counters) -> dict[ListenSetting, ListeningSocket]:
    wanted = {PAGE: settings.address, PROBES: settings.probes_address}
    return {
        setting: ListeningSocket(place, counters, setting)
        for setting, place in wanted.items()
        if place is not None
    }


def _read_tokens(guards: AccessChecks, arguments: WebArguments, hub: Hub) -> Callable[[], None]:
    def read() -> None:
        if read_again(guards.tokens, arguments.settings.tokens_file):
            # Nobody knows whose each stream is: whoever may follow it comes back by itself.
            hub.close()

    return read


def _readers_shown(counters: Counters, hub: Hub) -> Callable[..., None]:
    """What of the stream our page tells, once a tick; a successor counts on."""
    before = counters.get("stream_resyncs")

    def show(*_told: object) -> None:
        counters.set("stream_readers", hub.readers)
        counters.set("stream_resyncs", before + hub.resyncs)

    return show


class Web:
    """One life, once everything is at hand."""

    def __init__(
        self,
        child: Child,
        link: SenderLink,
        app: AccessMiddleware,
        unix: UnixSocket,
    ) -> None:
        self._child = child
        self._link = link
        self._unix = unix
        self._listeners: list[tuple[ListeningSocket, Callable[[], asyncio.Protocol]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._log = structlog.get_logger("actors.web")
        self._failure: BaseException | None = None
        self._is_open = False
        self._requests_before = child.counters.get("requests")
        self._on_close: Callable[[], None] = lambda: None
        self._server = _Server(_configured(app))

    def on_close(self, callback: Callable[[], None]) -> None:
        """Have `callback` called when we stop: answers that would never end do so then."""
        self._on_close = callback

    def listen(
        self, listener: ListeningSocket, connections_max: int, app: ASGIApp | None = None
    ) -> None:
        """Have this address served as well, by `app` or as the Unix socket is."""
        config = self._server.config if app is None else _configured(app)
        room = Room(connections_max, self._child.counters)

        def protocol() -> NetworkProtocol:
            return NetworkProtocol(
                room,
                config=config,
                server_state=self._server.server_state,
                app_state=self._server.lifespan.state,
            )

        self._listeners.append((listener, protocol))

    async def live(self) -> None:
        """Until we are stopped, or something of ours fails."""
        self._loop.set_exception_handler(self._on_loop_error)
        self._link.open()
        self._child.set_phase(Counters.LOADED)
        self._beat()
        self._child.set_phase(Counters.RUNNING)
        loop_child.on_stop(self._child, self._stop)
        self._log.info("web.serves")
        self._server.on_started = self._open
        await self._server.serve(sockets=[self._unix.bound])
        self._stop()
        if self._failure is not None:
            raise self._failure
        self._log.info("web.stops")

    def _open(self) -> None:
        """The network as well; whatever it says to that, the Unix socket is served."""
        for listener, protocol in self._listeners:
            self._begin(partial(self._listen, listener, protocol))
        self._is_open = True

    def _begin(self, what: Callable[[], Awaitable[None]]) -> None:
        task = self._loop.create_task(self._told_of(what))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _told_of(self, what: Callable[[], Awaitable[None]]) -> None:
        try:
            await what()
        except Exception as error:
            self._fail(error)

    async def _listen(
        self, listener: ListeningSocket, protocol: Callable[[], asyncio.Protocol]
    ) -> None:
        self._server.servers.append(await listener.open(protocol))  # closed with the others

    def _peer_protocol(self) -> PeerProtocol:
        return PeerProtocol(
            config=self._server.config,
            server_state=self._server.server_state,
            app_state=self._server.lifespan.state,
        )

    def _stop(self) -> None:
        if not self._link.is_closed:
            self._child.set_phase(Counters.DRAINING)
            self._link.close()
            self._on_close()
            for task in self._tasks:
                task.cancel()
            self._server.end()

    def _on_loop_error(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is None or isinstance(error, OSError):  # a client's, told by a transport
            self._log.warning("loop.warning", cause=str(error or context.get("message")))
            return
        self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self._stop()

    def _beat(self) -> None:
        """Life, and what may have been missed."""
        self._child.beat()
        counters, state = self._child.counters, self._server.server_state
        counters.set("connections", len(state.connections))
        counters.set("requests", self._requests_before + state.total_requests)
        if not self._link.is_closed:
            self._link.look()
            if self._is_open and self._unix.is_gone:
                self._begin(
                    partial(self._unix.make_again, self._peer_protocol, self._server.servers)
                )
        self._loop.call_later(BEAT_S, self._beat)


def _configured(app: ASGIApp) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        http=PeerProtocol,
        ws="none",
        lifespan="off",
        log_config=None,  # ours stands already
        log_level="error",  # what a stranger sends is no line of ours
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=address.BACKLOG,
        timeout_graceful_shutdown=DRAIN_S,
    )
    config.load()
    return config


class _Server(uvicorn.Server):
    """Without uvicorn's signal handlers: SIGTERM is the child's. And without its look at itself
    ten times a second, a seventh of what the child cost while nothing happened."""

    on_started: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ended = asyncio.Event()

    def end(self) -> None:
        self.should_exit = True
        self._ended.set()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):  # which writes the date that answers bear
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), DATE_EVERY_S)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.on_started()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _raise_descriptors() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

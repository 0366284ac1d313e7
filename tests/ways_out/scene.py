"""Scene: a whole runtime into which the corpus has come by every way in: ids, states, queues,
names, presences, frames that nobody can read, reasons of changes, refusals of the gateway."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
import orjson

from tests.gateway.loopback import BINARY, CLOSE, Request, Socket, accept, answer
from tests.gateway.scripted import ScriptedGateway, ack, bind, history_complete, silent
from tests.processes.service import Service, UnixConnection, eventually
from tests.ways_out.corpus import texts

TOKEN: Final = "w" * 32
AT: Final = "2026-11-21T22:00:00.000Z"
USERS: Final = texts(100, bytes_max=128)
STATES: Final = texts(64)
QUEUES: Final = texts(128)
PRESENCES: Final = texts(32)


def _events() -> list[bytes]:
    frames = []
    for number, user in enumerate(USERS, 1):
        data = {
            "userId": user, "state": STATES[number % len(STATES)], "timestamp": AT,
            "queueId": QUEUES[number % len(QUEUES)], "presence": PRESENCES[number % len(PRESENCES)],
        }  # fmt: skip
        told = {"type": "routing.agents.state", "sequence": number, "history": True, "data": data}
        frames.append(orjson.dumps(told))
    return frames


def _unreadable() -> list[bytes]:
    """Set aside with what they say."""
    return [orjson.dumps({"type": text, "sequence": text, "data": text}) for text in texts()]


class HostileGateway(ScriptedGateway):
    """In a thread of its own; what it names is the corpus, whatever is asked."""

    client_id, client_secret = "client", "the-secret-of-the-client"

    def __init__(self) -> None:
        super().__init__()
        self.posts: list[Request] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._refused = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.__aenter__(), self._loop).result(10)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self.__aexit__(None, None, None), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def handle(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        if "sec-websocket-key" in request.headers:
            socket = accept(request, reader, writer)
            plays = self._stream if "notifications" in request.target else self._presence
            await plays(socket)
            return False
        if request.path == "/hook":
            self.posts.append(request)
            status, body = 200, b""
        else:
            status, body = self._answer(request)
        writer.write(answer(status, body))
        await writer.drain()
        return True

    async def _stream(self, socket: Socket) -> None:
        frames = _events()
        await socket.acknowledge(len(frames))
        socket.send(*frames, history_complete(len(frames)), *_unreadable())
        await silent(socket)

    async def _presence(self, socket: Socket) -> None:
        await bind(socket)
        while True:
            opcode, payload = await socket.receive()
            if opcode == CLOSE:
                return
            if opcode == BINARY:
                self._refused += 1
                said = texts(200)[self._refused % len(texts(200))]
                correlation = payload.rpartition(b"|corr:")[2].decode()
                told = {"success": False, "status": 403, "message": said, "code": said}
                socket.send(ack(correlation, **told))


class WaysOutScene:
    """What is running, and where it can be asked."""

    def __init__(self, service: Service, gateway: HostileGateway, folder: Path) -> None:
        self.service, self.gateway, self.folder = service, gateway, folder
        self.lines = folder / "lines.jsonl"
        told = [line["page"] for line in service.lines() if line["event"] == "web.listens"]
        self.http = httpx.Client(
            base_url=told[-1].rstrip("/"), headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=30, trust_env=False,
        )  # fmt: skip

    def listed(self, path: str) -> Any:
        return self.http.get(path).json()


def _change(service: Service, user: str, reason: str) -> int:
    from actors.web.address import connect_path

    with connect_path(service.data_dir) as path, closing(UnixConnection(path)) as connection:
        body = json.dumps({"state": "available", "force": True, "reason": reason})
        headers = {"Content-Type": "application/json"}
        target = f"/api/agents/{quote(user, safe='')}/presence"
        connection.request("POST", target, body, headers)
        return connection.getresponse().status


@contextmanager
def scene(folder: Path) -> Iterator[WaysOutScene]:
    """Ended with its last process."""
    tokens, names, config = folder / "tokens", folder / "names.csv", folder / "settings.toml"
    tokens.write_text(f"write reader {TOKEN}\n")
    tokens.chmod(0o600)
    quoted = [text.replace('"', '""') for text in texts(190)]
    ids = [text.replace('"', '""') for text in [*USERS, *QUEUES]]
    rows = [f'"{each}","{quoted[(number + 1) % len(quoted)]}"' for number, each in enumerate(ids)]
    names.write_text("id,name\n" + "\n".join(rows) + "\n", encoding="utf-8", newline="")
    gateway = HostileGateway()
    gateway.start()
    config.write_text(
        f'[web]\ntokens_file = "{tokens}"\nnames_file = "{names}"\nrequests_per_s = 0\n'
        f'[[sinks]]\nname = "lines"\nkind = "jsonl"\npath = "{folder / "lines.jsonl"}"\n'
        f'[[sinks]]\nname = "hook"\nkind = "webhook"\nurl = "{gateway.base_url}/hook"\n'
    )
    service = Service(gateway, folder)  # type: ignore[arg-type]
    before = dict(os.environ)
    try:
        service.start("--config", str(config))
        eventually(lambda: b"history.complete" in service.log.read_bytes(), "the history is read")
        eventually(lambda: b"web.listens" in service.log.read_bytes(), "the page is served")
        ready = WaysOutScene(service, gateway, folder)
        eventually(lambda: len(ready.listed("/api/agents?limit=200")["agents"]) == len(USERS),
                   "every agent is shown")  # fmt: skip
        taken = [
            _change(service, user, text) for user, text in zip(USERS, texts(150), strict=False)
        ]
        assert 202 in taken, taken
        eventually(lambda: ready.listed("/api/quarantine")["quarantine"], "frames are set aside")
        eventually(lambda: ready.lines.exists() and gateway.posts, "the sinks have rows")
        yield ready
        ready.http.close()
    finally:
        os.environ.clear()
        os.environ.update(before)
        service.close()
        gateway.stop()

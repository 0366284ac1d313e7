"""Stream: one reader of the hub as an ASGI answer. Knows no event; decides nothing.

It sends what the reader has, as soon as it has something, until the reader is over or whoever reads
is gone. A client that does not read makes it wait in `send`, and nobody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from actors.web.hub import Hub, StreamFilter, Subscriber

MEDIA_TYPE: Final = "text/event-stream"


class StreamAnswer(Response):
    """Raises TooManyFiltersError when it is made."""

    media_type = MEDIA_TYPE
    charset = "utf-8"
    on_end: Callable[[], None] = staticmethod(lambda: None)
    """Called once nobody is served any more."""

    def __init__(self, hub: Hub, wanted: StreamFilter, last_id: str | None, hello: bytes) -> None:
        # X-Accel-Buffering: a proxy hands events on as they come.
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(headers=headers, media_type=MEDIA_TYPE)
        del self.headers["content-length"]
        self._hub = hub
        self._ready = asyncio.Event()
        self._reader: Subscriber = hub.attach(wanted, last_id, self._ready.set, hello)

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        going = asyncio.create_task(self._until_gone(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            reader, ready = self._reader, self._ready
            while reader.unsent_bytes or not reader.is_over:
                await ready.wait()
                ready.clear()
                if body := reader.take():
                    await send({"type": "http.response.body", "body": body, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except OSError:  # gone while we spoke
            pass
        finally:
            going.cancel()
            self._hub.detach(self._reader)
            self.on_end()

    def end(self) -> None:
        """What was not sent yet is sent; then it is over."""
        self._hub.detach(self._reader)
        self._reader.end(self._reader.take())

    async def _until_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._hub.detach(self._reader)
        self._reader.end()

from typing import Protocol

from picows import WSListener, WSTransport

from actors.receiver.ring_writer import RingWriter

MESSAGE_BYTES_MAX: int

class LineEnd(Protocol):
    def on_connected(self, transport: WSTransport) -> None: ...
    def on_message(self, payload: bytes, is_text: bool) -> None: ...

class Listener(WSListener):
    is_fast: bool
    is_muted: bool
    history_runs: bool
    epoch: int
    flags: int
    newest: int
    unbroken: int
    def __init__(self, line: LineEnd, ring_writer: RingWriter) -> None: ...
    @property
    def line(self) -> LineEnd: ...
    @property
    def ring_writer(self) -> RingWriter: ...
    @property
    def frames(self) -> int: ...
    @property
    def history_frames(self) -> int: ...
    @property
    def highest(self) -> int: ...
    def note_event(self, sequence: int, is_history: bool) -> None: ...

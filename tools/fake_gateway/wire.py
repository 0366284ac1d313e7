"""Server frames of the WebSocket protocol (RFC 6455 §5.2): unmasked, whole, as bytes."""

from __future__ import annotations

TEXT, BINARY, CLOSE, PONG = 1, 2, 8, 10
CONTINUATION = 0


def server_frame(content: bytes, opcode: int = TEXT, *, final: bool = True) -> bytes:
    size = len(content)
    head = bytes(((0x80 if final else 0) | opcode,))
    if size < 126:
        return head + bytes((size,)) + content
    if size < 1 << 16:
        return head + b"\x7e" + size.to_bytes(2, "big") + content
    return head + b"\x7f" + size.to_bytes(8, "big") + content


def close_frame(code: int | None) -> bytes:
    """None: a close frame without a code; the client sees 1005."""
    return server_frame(b"" if code is None else code.to_bytes(2, "big"), CLOSE)

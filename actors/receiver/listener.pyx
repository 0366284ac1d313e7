# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: cdivision=True
# distutils: extra_compile_args = -O3
"""Owns the way of a frame from picows' read buffer to the ring writer.
Decides nothing of a session.

Theory. picows calls `on_ws_frame` for each frame of a read. The usual frame is routed without being
parsed (routing.pyx) and copied once, from the read buffer into the ring of its shard: no Python
frame, no object, no clock. Everything else goes to the line (loop.py), which parses it and hands
what it found to the ring writer.

PINGs are answered here, not by picows: they are a sign of life, and the last frame of a read bears
its mark only if it is delivered.

picows parses one frame ahead. When it refuses one, it sends a close frame first, then delivers the
good one before it; later it may deliver what follows, even the refused frame itself once that is
complete. So of a connection that has sent its close frame one more frame is taken, and no other.
"""
cimport cython
from libc.stdint cimport int64_t, uint8_t, uint16_t
from picows.picows cimport WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from actors.receiver.ring_writer cimport RingWriter
from actors.receiver.routing cimport Route, route_frame

from picows import WSProtocolError

from actors.genesys.websocket import UNSENT_BYTES_MAX
from actors.messages.control import SEQUENCE_STEP_MAX

cdef extern from "<string.h>" nogil:
    void* memmem(
        const void* haystack, size_t haystack_length, const void* needle, size_t needle_length)

MESSAGE_BYTES_MAX = 1 << 20

cdef int64_t STEP_MAX = SEQUENCE_STEP_MAX
cdef Py_ssize_t MESSAGE_MOST = MESSAGE_BYTES_MAX
cdef Py_ssize_t UNSENT_MOST = UNSENT_BYTES_MAX
cdef const char* HISTORY = b'"history"'
cdef size_t HISTORY_LENGTH = 9


cdef class Listener(WSListener):
    """One connection's end of picows.

    `line` is told `on_connected(transport)`, and `on_message(payload, is_text)` with each message
    that is not routed here: all of them until `is_fast`. It may raise WSProtocolError to end the
    connection. A muted listener answers the peer's control frames and hands on nothing.
    """
    def __cinit__(self, line, RingWriter ring_writer not None):
        self.line = line
        self.ring_writer = ring_writer

    cpdef on_ws_connected(self, WSTransport transport):
        self.line.on_connected(transport)

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        cdef RingWriter ring_writer = self.ring_writer
        cdef Route route
        self.frames += 1
        ring_writer.count_frame(frame.payload_size)
        if cython.likely(
            self.is_routable(transport, frame)
            and route_frame(
                <const unsigned char*>frame.payload_ptr, frame.payload_size, &route)
            and frame.payload_size <= ring_writer.payload_max
        ):
            ring_writer.stage_event(
                route.partition, frame.payload_ptr, frame.payload_size, self.flags,
                <uint16_t>self.epoch, route.sequence)
            if cython.unlikely(self.history_runs):
                self.note_event(
                    route.sequence,
                    memmem(frame.payload_ptr, frame.payload_size, HISTORY, HISTORY_LENGTH) != NULL)
            elif route.sequence > self.highest and route.sequence <= ring_writer.known:
                self.highest = route.sequence
        else:
            self.take_unusual(transport, frame)
        if frame.last_in_buffer and ring_writer.dirty:
            ring_writer.publish_dirty()

    cdef bint is_routable(self, WSTransport transport, WSFrame frame) noexcept:
        return (
            self.is_fast and frame.msg_type == WSMsgType.TEXT and frame.fin
            and self.fragments is None and not self.is_muted
            and not transport.is_close_frame_sent
            and not (frame.rsv1 | frame.rsv2 | frame.rsv3))

    cpdef note_event(self, int64_t sequence, bint is_history):
        """While a history runs, its events and what is replayed before them show that it does."""
        if is_history or sequence <= self.newest:
            self.history_frames += 1
        is_plausible = sequence <= self.ring_writer.known + STEP_MAX
        if not is_history and is_plausible and sequence > self.highest:
            self.highest = sequence
        if not is_history and sequence == self.unbroken + 1:
            self.unbroken = sequence

    cdef int take_unusual(self, WSTransport transport, WSFrame frame) except -1:
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self.is_muted = True
            raise WSProtocolError(WSCloseCode.PROTOCOL_ERROR, "reserved bits, but no extension")
        if frame.msg_type == WSMsgType.PING:
            # Not to a peer that does not read: each PONG would wait for it in our memory.
            if transport.underlying_transport.get_write_buffer_size() <= UNSENT_MOST:
                transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            self.is_muted = True
            transport.send_close(reply_to_close(frame))
            transport.disconnect()
        elif frame.msg_type != WSMsgType.PONG and not self.is_muted:
            self.is_muted = transport.is_close_frame_sent
            if not self.is_muted or frame.payload_size <= MESSAGE_MOST:
                self.take_data_or_mute(frame)
        return 0

    cdef int take_data_or_mute(self, WSFrame frame) except -1:
        """picows closes over what we raise, but delivers the rest of the read first."""
        try:
            self.take_data(frame)
        except WSProtocolError:
            self.is_muted = True
            raise
        except Exception as error:      # our own mistake: picows would only log it
            self.is_muted = True
            self.ring_writer.fail(error)
            raise
        return 0

    cdef int take_data(self, WSFrame frame) except -1:
        """A whole message, or a part of one."""
        if (frame.msg_type == WSMsgType.CONTINUATION) == (self.fragments is None):
            raise WSProtocolError(WSCloseCode.PROTOCOL_ERROR, "a fragment in the wrong place")
        if self.fragments is None:
            self.is_text = frame.msg_type == WSMsgType.TEXT
            if frame.fin:
                self.take_message(frame.get_payload_as_bytes())
                return 0
            self.fragments = bytearray()
        if len(self.fragments) + frame.payload_size > MESSAGE_MOST:
            raise WSProtocolError(
                WSCloseCode.MESSAGE_TOO_BIG, f"a message of over {MESSAGE_MOST} bytes")
        self.fragments += frame.get_payload_as_bytes()
        if frame.fin:
            message, self.fragments = bytes(self.fragments), None
            self.take_message(message)
        return 0

    cdef int take_message(self, bytes message) except -1:
        self.ring_writer.count_python_path()
        self.line.on_message(message, bool(self.is_text))
        return 0


cdef WSCloseCode reply_to_close(WSFrame frame) noexcept:
    """The peer's own code, and to none that of a usual end; to one that no close frame may bear
    that the peer has broken the protocol (RFC 6455 §7.4)."""
    if frame.payload_size < 2:
        return WSCloseCode.OK
    cdef WSCloseCode code = frame.get_close_code()
    cdef int number = <int>code
    if 1000 <= number <= 1003 or 1007 <= number <= 1014 or 3000 <= number <= 4999:
        return code
    return WSCloseCode.PROTOCOL_ERROR

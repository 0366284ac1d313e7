# The common part of both dialects' listeners: see listener.pyx.
from libc.stdint cimport int64_t, uint8_t
from picows.picows cimport WSFrame, WSListener, WSTransport

from actors.receiver.ring_writer cimport RingWriter


cdef class Listener(WSListener):
    cdef:
        readonly object line
        readonly RingWriter ring_writer
        public bint is_fast
        public bint is_muted
        public bint history_runs
        public int epoch                    # the number of the gateway's numbering
        public uint8_t flags                # the byte of our session's number
        public int64_t newest               # its newest sequence at the acknowledgement
        readonly int64_t frames             # of any kind: a sign of life
        readonly int64_t history_frames     # history events, and what is replayed before them
        readonly int64_t highest            # plausible sequence of an event that was no history
        public int64_t unbroken             # up to here each one has followed the other
        bytearray fragments                 # of a message that has not ended; None between two
        bint is_text                        # the message that `fragments` belong to

    cpdef note_event(self, int64_t sequence, bint is_history)
    # Whether this frame is a whole text message that may be routed without being parsed.
    cdef bint is_routable(self, WSTransport transport, WSFrame frame) noexcept
    cdef int take_unusual(self, WSTransport transport, WSFrame frame) except -1
    cdef int take_data_or_mute(self, WSFrame frame) except -1
    cdef int take_data(self, WSFrame frame) except -1
    cdef int take_message(self, bytes message) except -1

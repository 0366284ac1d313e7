# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: cdivision=True
# distutils: extra_compile_args = -O3
"""Owns the way of a channel's frame from picows' read buffer to the ring writer. Knows no
channel.

As `Listener` (listener.pyx), of which it has all but the key that is routed by: the cloud says whom
an event is of in the topic's name, and numbers nothing.
"""
cimport cython
from libc.stdint cimport uint16_t
from picows.picows cimport WSFrame, WSTransport

from actors.receiver.listener cimport Listener
from actors.receiver.ring_writer cimport RingWriter
from actors.receiver.topic_routing cimport route_topic


cdef class CloudListener(Listener):
    """One socket's end of picows."""

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        cdef RingWriter ring_writer = self.ring_writer
        cdef int partition = 0
        self.frames += 1
        ring_writer.count_frame(frame.payload_size)
        if cython.likely(
            self.is_routable(transport, frame)
            and route_topic(
                <const unsigned char*>frame.payload_ptr, frame.payload_size, &partition)
            and frame.payload_size <= ring_writer.payload_max
        ):
            ring_writer.stage_event(
                partition, frame.payload_ptr, frame.payload_size, self.flags,
                <uint16_t>self.epoch, 0)
        else:
            self.take_unusual(transport, frame)
        if frame.last_in_buffer and ring_writer.dirty:
            ring_writer.publish_dirty()

# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: cdivision=True
# distutils: extra_compile_args = -O3
"""Owns the way of a channel's frame from picows' read buffer to the outlet. It knows no channel.

As `Listener` (listener.pyx), of which it has all but the key that is routed by: the cloud says whom
an event is of in the topic's name, and numbers nothing.
"""
cimport cython
from libc.stdint cimport uint16_t
from picows.picows cimport WSFrame, WSTransport

from actors.receiver.listener cimport Listener
from actors.receiver.outlet cimport RingWriter
from actors.receiver.topic_routing cimport route_topic


cdef class CloudListener(Listener):
    """One socket's end of picows."""

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        cdef RingWriter outlet = self.outlet
        cdef int partition = 0
        self.frames += 1
        outlet.count_frame(frame.payload_size)
        if cython.likely(
            self.is_routable(transport, frame)
            and route_topic(
                <const unsigned char*>frame.payload_ptr, frame.payload_size, &partition)
            and frame.payload_size <= outlet.payload_max
        ):
            outlet.stage_event(
                partition, frame.payload_ptr, frame.payload_size, self.flags,
                <uint16_t>self.epoch, 0)
        else:
            self.take_unusual(transport, frame)
        if frame.last_in_buffer and outlet.dirty:
            outlet.publish_dirty()

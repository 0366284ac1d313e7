# cython: language_level=3, boundscheck=False, wraparound=False
# distutils: extra_compile_args = -O3
"""CountingListener: the least that a native listener can do with a frame. The limit, not a peer."""
from picows.picows cimport WSFrame, WSListener, WSTransport

from picows import WSMsgType


cdef class CountingListener(WSListener):
    """Keeps the first frame, the acknowledgement, and counts all."""
    cdef readonly long long frames
    cdef readonly bytes first
    cdef str _subscription

    def __init__(self, str subscription):
        self._subscription = subscription

    cpdef on_ws_connected(self, WSTransport transport):
        transport.send(WSMsgType.TEXT, self._subscription.encode())

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        if self.frames == 0:
            self.first = frame.get_payload_as_bytes()
        self.frames += 1

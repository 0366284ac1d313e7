from cpython.buffer cimport Py_buffer
from libc.stdint cimport uint64_t


cdef class Doorbell:
    cdef readonly object block
    cdef int event_fd
    cdef bint closes_fd
    cdef Py_buffer view
    cdef uint64_t *asleep

    # Writers, any process or thread, with or without the GIL. Both return whether the eventfd was written.
    cdef bint ring_if_asleep(self) noexcept nogil
    cdef bint ring_regardless(self) noexcept nogil

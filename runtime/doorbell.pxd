from cpython.buffer cimport Py_buffer
from libc.stdint cimport uint64_t


cdef class Doorbell:
    cdef readonly object block
    cdef int event_fd
    cdef bint closes_fd
    cdef Py_buffer view
    cdef uint64_t *asleep

    # For writers, in any process or thread, with or without the GIL. True: the eventfd was written.
    cdef bint ring_if_asleep(self) noexcept nogil
    cdef bint ring_regardless(self) noexcept nogil

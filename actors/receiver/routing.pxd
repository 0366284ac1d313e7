# Routing of one frame, for the listener: see routing.pyx.
from libc.stdint cimport int64_t, uint64_t


cdef struct Route:
    int64_t sequence    # 0 < sequence < 2^62
    int partition       # 0..63


cdef uint64_t fnv1a_64(const unsigned char* payload, Py_ssize_t length) noexcept nogil
cdef bint route_usual(const unsigned char* frame, Py_ssize_t length, Route* route) noexcept nogil
cdef bint route_scanned(const unsigned char* frame, Py_ssize_t length, Route* route) noexcept nogil
cdef bint route_frame(const unsigned char* frame, Py_ssize_t length, Route* route) noexcept nogil

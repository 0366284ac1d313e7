from cpython.buffer cimport Py_buffer
from libc.stdint cimport uint64_t


cdef class Words:
    cdef Py_buffer view
    cdef uint64_t *start
    cdef readonly Py_ssize_t count

    cdef uint64_t *at(self, Py_ssize_t slot) except NULL

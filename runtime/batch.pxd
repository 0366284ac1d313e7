from libc.stdint cimport uint64_t

from runtime.record cimport Span


cdef class Batch:
    cdef readonly Py_ssize_t count
    cdef readonly uint64_t cursor_from
    cdef readonly uint64_t cursor_to
    cdef readonly bytes kinds
    cdef readonly bytes flags
    cdef readonly list epochs
    cdef readonly list sequences
    cdef readonly list received_ns
    cdef public Py_ssize_t ring             # which ring of its inbox; 0 outside of an inbox
    cdef object keeper                      # keeps the memory that the pointers lead to
    cdef const uint64_t *committed          # where the consumer stands; moves on at commit
    cdef Span *spans


cdef Batch lend(
    object keeper, const uint64_t *committed, const Span *spans, Py_ssize_t count,
    uint64_t cursor_to,
)

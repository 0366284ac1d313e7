from cpython.buffer cimport Py_buffer
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t

from runtime.doorbell cimport Doorbell
from runtime.record cimport Span


cdef class Producer:
    cdef readonly Doorbell doorbell
    cdef readonly object name
    cdef readonly uint64_t generation
    cdef readonly Py_ssize_t capacity
    cdef readonly Py_ssize_t payload_max    # a longer payload never fits
    cdef Py_buffer view
    cdef char *header
    cdef char *data
    cdef uint64_t mask
    cdef uint64_t published_cursor
    cdef uint64_t staged_cursor
    cdef uint64_t committed_seen            # the consumer's cursor when we last looked

    # Copies one record into the ring, invisible until published. False: no room (or longer than
    # payload_max), and nothing has changed. `kind` is 1..254.
    cdef bint stage_bytes(
        self, const char *payload, Py_ssize_t length, uint8_t kind, uint8_t flags, uint16_t epoch,
        int64_t sequence, int64_t received_ns,
    ) noexcept nogil
    # Shows all staged records and rings. Nothing staged: does nothing. False: a successor owns this
    # end, and nothing was shown.
    cdef bint publish_staged(self) noexcept nogil
    cdef uint64_t used(self) noexcept nogil


cdef class Consumer:
    cdef readonly Doorbell producer_doorbell
    cdef readonly object name
    cdef readonly uint64_t generation
    cdef readonly Py_ssize_t capacity
    cdef Py_buffer view
    cdef char *header
    cdef const char *data
    cdef uint64_t mask
    cdef uint64_t committed_cursor
    cdef uint64_t lent_cursor               # where the batch lent last ends
    cdef Span *spans                        # scratch of `find_records`
    cdef Py_ssize_t spans_room

    cdef uint64_t used(self) noexcept nogil
    cdef bint ring_waiting_producer(self) noexcept nogil

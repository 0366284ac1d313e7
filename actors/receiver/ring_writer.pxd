# Every ring of the receiver, for the listener: see ring_writer.pyx.
from cpython.ref cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t

cdef enum:
    RINGS_MAX = 64
    PARTITIONS = 64


cdef class RingWriter:
    cdef list producers
    cdef PyObject* ends[RINGS_MAX]      # borrowed from `producers`
    cdef int owners[PARTITIONS]
    cdef readonly int shards
    cdef readonly Py_ssize_t payload_max
    cdef uint64_t dirty                 # rings with something to publish, one bit each
    cdef int staged                     # records since the last publish
    cdef uint64_t spilling              # rings whose spill list is not empty
    cdef list spills
    cdef readonly int64_t spill_bytes
    cdef bint is_armed
    cdef readonly bint is_pressed
    cdef readonly bint is_overflowing
    cdef int64_t now_ns                 # of the records since the last publish; 0: not read yet
    cdef readonly int64_t watermark     # the highest plausible sequence routed so far
    cdef readonly int64_t known         # the highest that the gateway has named, or we have routed
    cdef int64_t[::1] page              # keeps the memory of the words
    cdef int64_t* frames
    cdef int64_t* frame_bytes
    cdef int64_t* python_path
    cdef int64_t* events_routed
    cdef int64_t* rejected
    cdef int64_t* published
    cdef int64_t* watermark_word
    cdef int64_t* spilled
    cdef int64_t* spill_bytes_word
    cdef int64_t* spill_dropped
    cdef object call_soon
    cdef object publish_armed
    cdef object on_pressure
    cdef object on_overflow
    cdef readonly object failure

    # A frame arrived, of whatever kind.
    cdef void count_frame(self, Py_ssize_t size) noexcept
    # A message goes the Python path.
    cdef void count_python_path(self) noexcept
    # Into the ring of the partition's shard, counted, and the watermark with it. `length` is at
    # most `payload_max`.
    cdef int stage_event(
        self, int partition, const char* payload, Py_ssize_t length, uint8_t flags,
        uint16_t epoch, int64_t sequence,
    ) except -1
    cdef int publish_dirty(self) except -1

    cdef int stage(
        self, int shard, const char* payload, Py_ssize_t length, uint8_t kind, uint8_t flags,
        uint16_t epoch, int64_t sequence,
    ) except -1
    cdef int spill(
        self, int shard, bytes payload, uint8_t kind, uint8_t flags, uint16_t epoch,
        int64_t sequence,
    ) except -1
    cdef int count_spill(self, int records, Py_ssize_t payload_bytes) except -1
    cdef int unspill(self, int shard) except -1
    cdef void note(self, int64_t sequence) noexcept
    cdef int64_t* word(self, counters, name) except NULL

"""Record: one length-prefixed payload as it stands in a ring; knows no ring and no cursor.

Records start at multiples of 8, so the first word of a header is never split by the end of a ring.

     63      48 47   40 39   32 31                            0
    +----------+-------+-------+-------------------------------+
    |  epoch   | flags | kind  |  length of the payload        |  0
    +----------+-------+-------+-------------------------------+
    |  sequence (i64)                                          |  8
    +----------------------------------------------------------+
    |  received, UTC ns (i64)                                  | 16
    +----------------------------------------------------------+
    |  payload, then zero to seven bytes of no meaning         | 24
    +----------------------------------------------------------+

Kinds 1 to 254 are the actors' (0 is what fresh memory holds). Kind 255 is padding: its length is
the distance from its own start to the end of the ring, and only its first 8 bytes are written.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    KIND_PADDING = 255

cdef extern from *:
    """
    typedef struct {
        uint32_t length;
        uint8_t kind;
        uint8_t flags;
        uint16_t epoch;
        int64_t sequence;
        int64_t received_ns;
    } RecordHeader;
    _Static_assert(sizeof(RecordHeader) == 24, "other processes rely on the layout of a record");
    """
    ctypedef struct RecordHeader:
        uint32_t length
        uint8_t kind
        uint8_t flags
        uint16_t epoch
        int64_t sequence
        int64_t received_ns

cdef struct Span:
    const char *start       # of a payload; its header lies right before it
    uint32_t length


cdef inline uint64_t record_bytes(uint64_t length) noexcept nogil:
    """What a record with a payload of `length` bytes takes."""
    return (sizeof(RecordHeader) + length + 7) & ~<uint64_t> 7

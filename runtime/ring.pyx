# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# distutils: extra_compile_args = -O3
"""Ring: byte records from one producer to one consumer; knows no record's meaning.

The theory. Two cursors count bytes since the ring was made; they only grow and, at 64 bits, never
wrap. A cursor reduced by the capacity, a power of two, is an offset into the data. The bytes from
the committed cursor up to the published one belong to the consumer, all others to the producer: so
neither touches what the other does, and no lock is needed.

    producer   stage: copy records behind the published cursor    publish: store it, release
    consumer   peek: load it, acquire; lend what lies before it   commit: store the other, release

A crash forgets what was staged and lends again what was peeked: whoever takes the end over starts
at the cursor in shared memory. Nothing half-written is seen, nothing half-handled is gone.

A record is always contiguous. One that does not fit before the end of the data is preceded by
padding up to that end, staged together with it: what is published ends in a record, and "nothing
to read" is two equal cursors. With its padding a record can need almost twice its size, so records
of at most half the capacity fit into an empty ring wherever its cursor stands. (Rejected: splitting
a record in two, which costs every reader a copy; mapping the data twice in a row, which costs no
copy, but a block of a special kind.)

The block of a ring. Words of different writers are 128 bytes apart: a cache line of its own for
each and the line next to it, because x86-64 fetches lines in pairs, and some ARM lines are as long.

    offset  word (u64)            written by
    0       producer generation   a producer, once, as it attaches (compare-exchange)
    8       consumer generation   a consumer, likewise
    128     published cursor      the producer: publish
    256     committed cursor      the consumer: commit, skip_to
    384     room awaited          the producer stores 1 or 0; a consumer that rings takes it off
    512     data, `capacity` bytes of records (drawn in record.pxd)

An end belongs to the highest generation that attached to it. An equal or lower one is refused, and
one that was taken over can neither publish nor commit any more. (Not pids: they are reused, and
say nothing about which of two lives came later.)
"""

cimport cython
from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from runtime.atomics cimport (
    compare_exchange, exchange, full_fence, load_acquire, load_relaxed, store_relaxed,
    store_release,
)
from runtime.batch cimport lend
from runtime.doorbell cimport Doorbell
from runtime.record cimport KIND_PADDING, RecordHeader, Span, record_bytes

from runtime.batch import Batch  # also found here, beside the ends that lend it
from runtime.errors import LocalError

KIND_EVENT = 1
KIND_REJECTED = 2
KIND_CONTROL = 3

cpdef enum:
    PRODUCER_GENERATION = 0
    CONSUMER_GENERATION = 8
    PUBLISHED = 128
    COMMITTED = 256
    ROOM_AWAITED = 384
    DATA = 512

    CAPACITY_MIN = 64


def ring_bytes(Py_ssize_t capacity):
    """The size of the block for a ring of `capacity` bytes: a power of two, at least 64."""
    assert is_capacity(capacity), f"capacity {capacity}: no power of two of at least {CAPACITY_MIN}"
    return DATA + capacity


cdef inline bint is_capacity(Py_ssize_t capacity) noexcept nogil:
    return capacity >= CAPACITY_MIN and (capacity & (capacity - 1)) == 0


cdef inline uint64_t *word(char *header, Py_ssize_t offset) noexcept nogil:
    return <uint64_t *> (header + offset)


cdef Py_ssize_t open_view(block, Py_buffer *view) except -1:
    """Hold the block through `view`, check what stands in its header, return the capacity."""
    PyObject_GetBuffer(block.mapping, view, PyBUF_WRITABLE)
    cdef Py_ssize_t capacity = view.len - DATA
    cdef char *header = <char *> view.buf
    if not is_capacity(capacity):
        raise LocalError(f"{block!r} is no ring: its size does not come from ring_bytes()")
    cdef uint64_t committed = load_acquire(word(header, COMMITTED))
    cdef uint64_t published = load_acquire(word(header, PUBLISHED))
    # The consumer may move between the two loads, but only towards `published`.
    if (committed | published) & 7 or committed > published or (
        load_acquire(word(header, COMMITTED)) + capacity < published
    ):
        raise LocalError(
            f"ring {block.name!r}: cursors committed {committed}, published {published} "
            f"cannot be, with {capacity} bytes")
    return capacity


cdef int claim(uint64_t *owner, uint64_t generation, name, end) except -1:
    """Make `generation` the owner of an end, or say who owns it."""
    cdef uint64_t current
    while True:
        current = load_acquire(owner)
        if generation <= current:
            raise LocalError(
                f"ring {name!r}: its {end} end belongs to generation {current}, "
                f"refused {generation}")
        if compare_exchange(owner, current, generation):
            return 0


@cython.no_gc_clear  # until __dealloc__ the buffer is ours, also within a cycle
cdef class Producer:
    """The writing end; mirror image of `Consumer`. For one thread.

    May change at any moment, because the consumer commits: `used_bytes` shrinks. Nothing else
    moves but by calls to this object.
    """

    def __cinit__(self, block, *, uint64_t generation, Doorbell doorbell not None):
        self.name = block.name
        self.doorbell = doorbell
        self.generation = generation
        self.capacity = open_view(block, &self.view)
        self.payload_max = self.capacity // 2 - <Py_ssize_t> sizeof(RecordHeader)
        self.mask = self.capacity - 1
        self.header = <char *> self.view.buf
        self.data = self.header + DATA
        claim(word(self.header, PRODUCER_GENERATION), generation, self.name, "producer")
        self.published_cursor = load_acquire(word(self.header, PUBLISHED))
        self.staged_cursor = self.published_cursor
        self.committed_seen = load_acquire(word(self.header, COMMITTED))
        store_relaxed(word(self.header, ROOM_AWAITED), 0)
        doorbell.ring_regardless()  # our predecessor may have died between publish and ring

    def __dealloc__(self):
        PyBuffer_Release(&self.view)

    def stage(
        self, bytes payload not None, uint8_t kind, *, uint8_t flags=0, uint16_t epoch=0,
        int64_t sequence=0, int64_t received_ns=0,
    ):
        """Copy one record into the ring, invisible until `publish`. False: full, nothing changed.

        Raises LocalError for a payload that never fits.
        """
        cdef Py_ssize_t length = PyBytes_GET_SIZE(payload)
        assert 0 < kind < KIND_PADDING, f"kind {kind}"
        if length > self.payload_max:
            raise LocalError(
                f"ring {self.name!r}: a payload of {length} bytes never fits, "
                f"{self.payload_max} is the most")
        return self.stage_bytes(
            PyBytes_AS_STRING(payload), length, kind, flags, epoch, sequence, received_ns)

    cdef bint stage_bytes(
        self, const char *payload, Py_ssize_t length, uint8_t kind, uint8_t flags, uint16_t epoch,
        int64_t sequence, int64_t received_ns,
    ) noexcept nogil:
        cdef uint64_t offset = self.staged_cursor & self.mask
        cdef uint64_t tail = self.capacity - offset
        cdef uint64_t record = record_bytes(length)
        cdef uint64_t needed = record if record <= tail else tail + record
        cdef RecordHeader *header
        if length > self.payload_max:
            return False
        # The consumer's cursor is looked at only when what we saw of it last leaves no room: so its
        # cache line stays with the consumer, and most records cost no traffic between the cores.
        if self.staged_cursor + needed - self.committed_seen > <uint64_t> self.capacity:
            self.committed_seen = load_acquire(word(self.header, COMMITTED))
            if self.staged_cursor + needed - self.committed_seen > <uint64_t> self.capacity:
                return False
        if record > tail:
            header = <RecordHeader *> (self.data + offset)
            header.length = <uint32_t> tail
            header.kind = KIND_PADDING
            offset = 0
        header = <RecordHeader *> (self.data + offset)
        header.length = <uint32_t> length
        header.kind = kind
        header.flags = flags
        header.epoch = epoch
        header.sequence = sequence
        header.received_ns = received_ns
        memcpy(self.data + offset + sizeof(RecordHeader), payload, length)
        self.staged_cursor += needed
        return True

    def publish(self):
        """Show all that was staged to the consumer, and wake it if it sleeps."""
        if not self.publish_staged():
            raise_taken_over(
                self.name, "producer", load_relaxed(word(self.header, PRODUCER_GENERATION)))

    cdef bint publish_staged(self) noexcept nogil:
        if self.staged_cursor == self.published_cursor:
            return True
        if load_relaxed(word(self.header, PRODUCER_GENERATION)) != self.generation:
            return False
        store_release(word(self.header, PUBLISHED), self.staged_cursor)
        self.published_cursor = self.staged_cursor
        self.doorbell.ring_if_asleep()
        return True

    def await_room(self):
        """Ask the consumer to ring our doorbell once the ring is less than half full.

        True: it will. False: it is less than half full already, and nobody rings.
        """
        store_relaxed(word(self.header, ROOM_AWAITED), 1)
        full_fence()
        if self.used() * 2 >= <uint64_t> self.capacity:
            return True
        store_relaxed(word(self.header, ROOM_AWAITED), 0)
        return False

    @property
    def staged(self):
        """Is there anything that waits for `publish`?"""
        return self.staged_cursor != self.published_cursor

    @property
    def cursor(self):
        """The published cursor."""
        return self.published_cursor

    @property
    def used_bytes(self):
        """What the consumer has not committed, and what is staged."""
        return self.used()

    cdef uint64_t used(self) noexcept nogil:
        self.committed_seen = load_acquire(word(self.header, COMMITTED))
        return self.staged_cursor - self.committed_seen


@cython.no_gc_clear  # until __dealloc__ the buffer is ours, also within a cycle
cdef class Consumer:
    """The reading end; mirror image of `Producer`. For one thread.

    May change at any moment, because the producer publishes: `published` and `used_bytes` grow.
    Nothing else moves but by calls to this object.
    """

    def __cinit__(self, block, *, uint64_t generation, Doorbell producer_doorbell=None):
        self.name = block.name
        self.producer_doorbell = producer_doorbell
        self.generation = generation
        self.capacity = open_view(block, &self.view)
        self.mask = self.capacity - 1
        self.header = <char *> self.view.buf
        self.data = self.header + DATA
        claim(word(self.header, CONSUMER_GENERATION), generation, self.name, "consumer")
        self.committed_cursor = load_acquire(word(self.header, COMMITTED))
        self.lent_cursor = self.committed_cursor
        self.ring_waiting_producer()  # our predecessor may have died between commit and ring

    def __dealloc__(self):
        PyMem_Free(self.spans)
        PyBuffer_Release(&self.view)

    def peek(self, Py_ssize_t records_max=512, Py_ssize_t bytes_max=1 << 20):
        """Lend the next records, at least one and in order, or None if there are none.

        They stay where they are, and are lent again by the next peek, until they are committed.
        At most `records_max`, and `bytes_max` of payload unless the first alone is longer. Raises
        LocalError if what stands in the ring cannot be.
        """
        assert records_max > 0, f"records_max {records_max}"
        # One load for a whole batch: nothing to gain from remembering the producer's cursor.
        cdef uint64_t published = load_acquire(word(self.header, PUBLISHED))
        if published == self.committed_cursor:
            return None
        cdef uint64_t cursor = self.committed_cursor
        cdef Py_ssize_t count = find_records(self, &cursor, published, records_max, bytes_max)
        self.lent_cursor = cursor
        return lend(self, &self.committed_cursor, self.spans, count, cursor)

    def commit(self, uint64_t cursor):
        """Give the records of a batch back: `cursor` is the `cursor_to` of the batch lent last."""
        assert cursor == self.lent_cursor and cursor > self.committed_cursor, (
            f"ring {self.name!r}: commit {cursor}, committed {self.committed_cursor}, "
            f"lent up to {self.lent_cursor}")
        move_committed(self, cursor)

    def skip_to(self, uint64_t cursor):
        """Commit unread what a predecessor is known to have handled: where a batch of it ended.

        Raises LocalError for a cursor outside of what is published, or within a record.
        """
        cdef uint64_t published = load_acquire(word(self.header, PUBLISHED))
        cdef uint64_t reached = self.committed_cursor
        if not self.committed_cursor <= cursor <= published:
            raise LocalError(
                f"ring {self.name!r}: cannot skip to {cursor}, outside of committed "
                f"{self.committed_cursor} to published {published}")
        while reached < cursor:
            find_records(self, &reached, cursor, 512, self.capacity)
        move_committed(self, cursor)

    @property
    def cursor(self):
        """The committed cursor."""
        return self.committed_cursor

    @property
    def published(self):
        return load_acquire(word(self.header, PUBLISHED))

    @property
    def used_bytes(self):
        """What is published and not committed."""
        return self.used()

    cdef uint64_t used(self) noexcept nogil:
        return load_acquire(word(self.header, PUBLISHED)) - self.committed_cursor

    cdef bint ring_waiting_producer(self) noexcept nogil:
        """The other half of `await_room`: our cursor stands; fence, then look at its word."""
        full_fence()
        if self.producer_doorbell is None or load_relaxed(word(self.header, ROOM_AWAITED)) == 0:
            return False
        if self.used() * 2 >= <uint64_t> self.capacity:
            return False
        if exchange(word(self.header, ROOM_AWAITED), 0) == 0:
            return False
        # Not only if it sleeps: a producer on an event loop watches its doorbell all the time.
        return self.producer_doorbell.ring_regardless()


cdef Py_ssize_t find_records(
    Consumer consumer, uint64_t *cursor, uint64_t end, Py_ssize_t records_max, Py_ssize_t bytes_max,
) except -1:
    """Walk from `cursor` towards `end`, records into `consumer.spans`; `cursor` follows them.

    Every length is checked before it is followed, against `end` and the end of the data: nothing
    outside of the ring is ever read, whatever stands in it.
    """
    cdef uint64_t position = cursor[0]
    cdef uint64_t tail, record
    cdef uint32_t length
    cdef uint8_t kind
    cdef Py_ssize_t bytes_left = bytes_max
    cdef Py_ssize_t count = 0
    cdef const RecordHeader *header
    while position < end and count < records_max:
        tail = consumer.capacity - (position & consumer.mask)
        header = <const RecordHeader *> (consumer.data + (position & consumer.mask))
        if end - position < 8:
            raise_corrupted(consumer, position, end)
        length = header.length
        kind = header.kind
        if kind == KIND_PADDING:
            if length != tail or end - position <= tail:
                raise_corrupted(consumer, position, end)
            position += tail
            continue
        record = record_bytes(length)
        if kind == 0 or record > tail or record > end - position:
            raise_corrupted(consumer, position, end)
        bytes_left -= length
        if bytes_left < 0 and count > 0:
            break
        if count == consumer.spans_room:
            grow_spans(consumer)
        consumer.spans[count].start = <const char *> header + sizeof(RecordHeader)
        consumer.spans[count].length = length
        count += 1
        position += record
        cursor[0] = position
    return count


cdef int grow_spans(Consumer consumer) except -1:
    cdef Py_ssize_t room = max(64, 2 * consumer.spans_room)
    cdef void *spans = PyMem_Realloc(consumer.spans, room * sizeof(Span))
    if spans is NULL:
        raise MemoryError
    consumer.spans = <Span *> spans
    consumer.spans_room = room
    return 0


cdef int raise_corrupted(Consumer consumer, uint64_t position, uint64_t end) except -1:
    cdef const RecordHeader *header
    header = <const RecordHeader *> (consumer.data + (position & consumer.mask))
    raise LocalError(
        f"ring {consumer.name!r}: no record can stand at cursor {position}: "
        f"length {header.length}, kind {header.kind}, {end - position} bytes to read, "
        f"capacity {consumer.capacity}")


cdef int raise_taken_over(name, end, uint64_t owner) except -1:
    raise LocalError(f"ring {name!r}: its {end} end was taken over by generation {owner}")


cdef int move_committed(Consumer consumer, uint64_t cursor) except -1:
    cdef uint64_t owner = load_relaxed(word(consumer.header, CONSUMER_GENERATION))
    if owner != consumer.generation:
        raise_taken_over(consumer.name, "consumer", owner)
    store_release(word(consumer.header, COMMITTED), cursor)
    consumer.committed_cursor = cursor
    consumer.lent_cursor = cursor
    consumer.ring_waiting_producer()
    return 0

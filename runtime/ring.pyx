# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# distutils: extra_compile_args = -O3
"""Ring: byte records from one producer to one consumer through shared memory; knows no record's meaning.

The theory. Two cursors count bytes since the ring was made; they only grow and, at 64 bits, never wrap. A
cursor reduced by the capacity, a power of two, is an offset into the data. The bytes from the committed
cursor up to the published one belong to the consumer, all others to the producer, so neither ever touches
what the other does, and no lock is needed:

    producer   stage: copy records behind the published cursor      publish: store it, release
    consumer   peek: load it, acquire; lend what lies before it     commit: store the other one, release

A crash forgets what was staged and lends again what was peeked: whoever takes the end over starts at the
cursor in shared memory. Nothing half-written is seen, nothing half-handled is gone.

A record is always contiguous. One that does not fit before the end of the data is preceded by padding up to
that end, staged together with it; so whatever is published ends in a record, and "nothing to read" is two
equal cursors. With padding, a record can need almost twice its size; records of at most half the capacity
fit into an empty ring wherever its cursor stands. (Rejected: splitting a record in two, which costs every
reader a copy; mapping the data twice in a row, which costs no copy, but a block of a special kind.)

The header of the ring. Words of different writers are 128 bytes apart: a cache line of its own for each, and
the line next to it, because x86-64 fetches lines in pairs and some ARM cores have lines of 128.

    offset  word (u64)            written by
    0       producer generation   a producer, once, as it attaches (compare-exchange)
    8       consumer generation   a consumer, likewise
    128     published cursor      the producer: publish
    256     committed cursor      the consumer: commit, skip_to
    384     room awaited          the producer stores 1 or 0; the consumer that rings exchanges it for 0
    512     data, `capacity` bytes

A record. Offsets and cursors are multiples of 8, so the first word is never split by the end of the data.

     63      48 47   40 39   32 31                            0
    +----------+-------+-------+-------------------------------+
    |  epoch   | flags | kind  |  length of the payload        |  0   kind: 1..254, 255 = padding,
    +----------+-------+-------+-------------------------------+      and then length = bytes up to the end
    |  sequence (i64)                                          |  8
    +----------------------------------------------------------+
    |  received, UTC ns (i64)                                  | 16
    +----------------------------------------------------------+
    |  payload, zero to seven bytes of no meaning              | 24
    +----------------------------------------------------------+

An end belongs to the highest generation that attached to it. An equal or lower one is refused, and one that
was taken over can neither publish nor commit any more. (Not pids: they are reused, and say nothing about
which of two lives came later.)
"""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.ref cimport Py_INCREF
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from runtime.atomics cimport (
    compare_exchange, exchange, full_fence, load_acquire, load_relaxed, store_relaxed, store_release,
)
from runtime.doorbell cimport Doorbell

from runtime.errors import LocalError

KIND_EVENT = 1
KIND_REJECTED = 2
KIND_CONTROL = 3

cdef enum:
    PRODUCER_GENERATION = 0
    CONSUMER_GENERATION = 8
    PUBLISHED = 128
    COMMITTED = 256
    ROOM_AWAITED = 384
    DATA = 512

    CAPACITY_MIN = 64
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
    _Static_assert(sizeof(RecordHeader) == 24, "the layout of a record is part of the contract");
    """
    ctypedef struct RecordHeader:
        uint32_t length
        uint8_t kind
        uint8_t flags
        uint16_t epoch
        int64_t sequence
        int64_t received_ns


def ring_bytes(Py_ssize_t capacity):
    """The size of the block for a ring of `capacity` bytes: a power of two, at least 64."""
    assert is_capacity(capacity), f"capacity {capacity} is not a power of two of at least {CAPACITY_MIN}"
    return DATA + capacity


cdef inline bint is_capacity(Py_ssize_t capacity) noexcept nogil:
    return capacity >= CAPACITY_MIN and (capacity & (capacity - 1)) == 0


cdef inline uint64_t record_bytes(uint64_t length) noexcept nogil:
    return (sizeof(RecordHeader) + length + 7) & ~<uint64_t> 7


cdef inline uint64_t *word(char *header, Py_ssize_t offset) noexcept nogil:
    return <uint64_t *> (header + offset)


cdef Py_ssize_t open_view(block, Py_buffer *view) except -1:
    """Map the block into `view`, check what stands in its header, and return the ring's capacity."""
    PyObject_GetBuffer(block.buffer, view, PyBUF_WRITABLE)
    cdef Py_ssize_t capacity = view.len - DATA
    cdef char *header = <char *> view.buf
    if not is_capacity(capacity):
        raise LocalError(f"{block!r} is no ring: its size does not come from ring_bytes()")
    cdef uint64_t committed = load_acquire(word(header, COMMITTED))
    cdef uint64_t published = load_acquire(word(header, PUBLISHED))
    # The consumer may move between the two loads, but only towards `published`.
    if committed > published or load_acquire(word(header, COMMITTED)) + capacity < published:
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
                f"ring {name!r}: its {end} end belongs to generation {current}, refused {generation}")
        if compare_exchange(owner, current, generation):
            return 0


cdef class Producer:
    """The writing end; mirror image of `Consumer`. For one thread.

    May change at any moment, because the consumer commits: `used_bytes` shrinks. Nothing else moves but by
    calls to this object.
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
        """Copy one record into the ring, invisible until `publish`. False: full, and nothing changed."""
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
        # The consumer's cursor is looked at only when what we saw of it last leaves no room: its cache line
        # then stays with the consumer, and most records cost no traffic between the cores.
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
            raise_taken_over(self.name, "producer", word(self.header, PRODUCER_GENERATION))

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


cdef class Consumer:
    """The reading end; mirror image of `Producer`. For one thread.

    May change at any moment, because the producer publishes: `published` and `used_bytes` grow. Nothing else
    moves but by calls to this object.
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

        They stay where they are, and are lent again by the next peek, until they are committed. Raises
        LocalError if what stands in the ring cannot be.
        """
        assert records_max > 0, f"records_max {records_max}"
        # One load for a whole batch: there is nothing to gain from remembering the producer's cursor.
        cdef uint64_t published = load_acquire(word(self.header, PUBLISHED))
        if published == self.committed_cursor:
            return None
        cdef uint64_t cursor = self.committed_cursor
        cdef Py_ssize_t count = find_records(self, &cursor, published, records_max, bytes_max)
        self.lent_cursor = cursor
        return lend(self, count, cursor)

    def commit(self, uint64_t cursor):
        """Give the records of a batch back: `cursor` is the `cursor_to` of the batch lent last."""
        assert cursor == self.lent_cursor and cursor > self.committed_cursor, (
            f"ring {self.name!r}: commit {cursor}, committed {self.committed_cursor}, "
            f"lent up to {self.lent_cursor}")
        move_committed(self, cursor)

    def skip_to(self, uint64_t cursor):
        """Commit unread what a predecessor is known to have handled: `cursor` is where a batch of it ended."""
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
        """The other half of `await_room`: our cursor is stored; fence, then look at the producer's word."""
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
    """Walk the records from `cursor` towards `end` into `consumer.spans`; `cursor` moves behind the last.

    Every length is checked before it is followed, also against `end` and the end of the data: nothing
    outside of the ring is ever read, whatever stands in it.
    """
    cdef uint64_t position = cursor[0]
    cdef uint64_t tail, record
    cdef Py_ssize_t bytes_left = bytes_max
    cdef Py_ssize_t count = 0
    cdef const RecordHeader *header
    while position < end and count < records_max:
        tail = consumer.capacity - (position & consumer.mask)
        header = <const RecordHeader *> (consumer.data + (position & consumer.mask))
        if end - position < 8:
            raise_corrupted(consumer, position, end)
        if header.kind == KIND_PADDING:
            if header.length != tail or end - position <= tail:
                raise_corrupted(consumer, position, end)
            position += tail
            continue
        record = record_bytes(header.length)
        if header.kind == 0 or record > tail or record > end - position:
            raise_corrupted(consumer, position, end)
        bytes_left -= header.length
        if bytes_left < 0 and count > 0:
            break
        if count == consumer.spans_room:
            grow_spans(consumer)
        consumer.spans[count].start = <const char *> header + sizeof(RecordHeader)
        consumer.spans[count].length = header.length
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
    cdef const RecordHeader *header = <const RecordHeader *> (
        consumer.data + (position & consumer.mask))
    raise LocalError(
        f"ring {consumer.name!r}: no record can stand at cursor {position}: length {header.length}, "
        f"kind {header.kind}, {end - position} bytes to read, capacity {consumer.capacity}")


cdef int raise_taken_over(name, end, uint64_t *owner) except -1:
    raise LocalError(f"ring {name!r}: its {end} end was taken over by generation {load_relaxed(owner)}")


cdef int move_committed(Consumer consumer, uint64_t cursor) except -1:
    cdef uint64_t *owner = word(consumer.header, CONSUMER_GENERATION)
    if load_relaxed(owner) != consumer.generation:
        raise_taken_over(consumer.name, "consumer", owner)
    store_release(word(consumer.header, COMMITTED), cursor)
    consumer.committed_cursor = cursor
    consumer.lent_cursor = cursor
    consumer.ring_waiting_producer()
    return 0


cdef Batch lend(Consumer consumer, Py_ssize_t count, uint64_t cursor_to):
    """A batch of the `count` records in `consumer.spans`, headers unpacked in one pass."""
    cdef Batch batch = Batch.__new__(Batch)
    cdef const RecordHeader *header
    cdef Py_ssize_t i
    batch.spans = <Span *> PyMem_Malloc(count * sizeof(Span))
    if batch.spans is NULL:
        raise MemoryError
    memcpy(batch.spans, consumer.spans, count * sizeof(Span))
    batch.consumer = consumer
    batch.count = count
    batch.cursor_from = consumer.committed_cursor
    batch.cursor_to = cursor_to
    batch.kinds = PyBytes_FromStringAndSize(NULL, count)
    batch.flags = PyBytes_FromStringAndSize(NULL, count)
    batch.epochs = PyList_New(count)
    batch.sequences = PyList_New(count)
    batch.received_ns = PyList_New(count)
    cdef char *kinds = PyBytes_AS_STRING(batch.kinds)
    cdef char *flags = PyBytes_AS_STRING(batch.flags)
    for i in range(count):
        header = <const RecordHeader *> (batch.spans[i].start - sizeof(RecordHeader))
        kinds[i] = <char> header.kind
        flags[i] = <char> header.flags
        fill(batch.epochs, i, header.epoch)
        fill(batch.sequences, i, header.sequence)
        fill(batch.received_ns, i, header.received_ns)
    return batch


cdef inline int fill(list numbers, Py_ssize_t i, number) except -1:
    Py_INCREF(number)  # the list takes this reference over
    PyList_SET_ITEM(numbers, i, number)
    return 0


cdef class Batch:
    """The records lent by one peek. Made by `Consumer.peek` only; its frames are gone once it is committed.

    kinds, flags: one byte per record. epochs, sequences, received_ns: one number per record.
    """

    def __init__(self):
        raise TypeError("a batch is lent by Consumer.peek")

    def __dealloc__(self):
        PyMem_Free(self.spans)

    def __len__(self):
        return self.count

    def frame(self, Py_ssize_t i):
        """A copy of the payload of record `i`."""
        check_lent(self, i, i + 1)
        return PyBytes_FromStringAndSize(self.spans[i].start, self.spans[i].length)

    def joined(self, Py_ssize_t first, Py_ssize_t last, bytes separator not None):
        """b"[" + separator.join(payloads[first:last]) + b"]": one allocation, each payload copied once."""
        check_lent(self, first, last)
        cdef Py_ssize_t gap = PyBytes_GET_SIZE(separator)
        cdef const char *between = PyBytes_AS_STRING(separator)
        cdef Py_ssize_t size = 2 + (gap * (last - first - 1) if last > first else 0)
        cdef Py_ssize_t i
        for i in range(first, last):
            size += self.spans[i].length
        cdef bytes result = PyBytes_FromStringAndSize(NULL, size)
        cdef char *target = PyBytes_AS_STRING(result)
        target[0] = b"["
        target += 1
        for i in range(first, last):
            if i > first:
                memcpy(target, between, gap)
                target += gap
            memcpy(target, self.spans[i].start, self.spans[i].length)
            target += self.spans[i].length
        target[0] = b"]"
        return result


cdef inline int check_lent(Batch batch, Py_ssize_t first, Py_ssize_t last) except -1:
    # Not `assert`, which `python -O` leaves out of Cython as well: this guards memory.
    if not 0 <= first <= last <= batch.count:
        raise IndexError(f"records {first} to {last} of a batch of {batch.count}")
    # What was committed is overwritten at any moment.
    if batch.consumer.committed_cursor != batch.cursor_from:
        raise AssertionError(
            f"ring {batch.consumer.name!r}: the batch up to {batch.cursor_to} was committed")
    return 0

# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: cdivision=True
# distutils: extra_compile_args = -O3
"""Owns every ring that a receiver writes to: staging, publishing, spilling. It knows no socket.

Theory. All producers stand in one ring writer, because two listeners overlap in a controlled
reconnect and share the rings. What was staged is published when picows marks the last frame of a
read, every 512 records (a read may bring 20,000, and the shards would idle), and by one
`call_soon`, armed at the first staged record: our own code stages between two reads, where no frame
bears that mark. The wall clock is read once for all records of one publish.

A record that finds no room goes to the spill list of its ring, and everything behind it follows, so
that no ring sees its records out of order. Pausing does not stop the rest of a read, so the list is
needed however early we pause.

The words of `OUTLET_WORDS` are written here and by no one else.
"""
from collections import deque

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec

from actors.receiver.routing cimport fnv1a_64
from runtime.atomics cimport store_relaxed
from runtime.ring cimport Producer

from actors.messages.control import (
    FLAG_TRUNCATED, REJECTED_BYTES_MAX, SEQUENCE_STEP_MAX, Gap, Shed, Unwatches,
    decode_control, encode_control,
)
from actors.genesys.wsp import REASON_TOO_LONG
from runtime.crash_point import crash_point
from runtime.errors import LocalError
from runtime.ring import KIND_CONTROL, KIND_EVENT, KIND_REJECTED

OUTLET_WORDS = (
    "frames", "bytes", "python_path", "events_routed", "rejected", "published", "watermark",
    "spilled", "spill_bytes", "spill_dropped",
)
SPILL_BYTES_MAX = 64 << 20
SPILL_RECORD_BYTES = 160    # what the objects of a spilled record take beside its payload

cdef enum:
    STAGED_MAX = 512        # records before they are published in the middle of a read

cdef uint8_t EVENT = KIND_EVENT
cdef uint8_t REJECTED = KIND_REJECTED
cdef uint8_t CONTROL = KIND_CONTROL
cdef int64_t STEP_MAX = SEQUENCE_STEP_MAX
cdef int64_t SPILL_MOST = SPILL_BYTES_MAX
cdef int64_t SPILL_RECORD = SPILL_RECORD_BYTES


cdef inline void put(int64_t* word, int64_t value) noexcept nogil:
    store_relaxed(<uint64_t*>word, <uint64_t>value)


cdef inline void bump(int64_t* word, int64_t n) noexcept nogil:
    """For the word's one writer; not a locked add."""
    store_relaxed(<uint64_t*>word, <uint64_t>(word[0] + n))


cdef inline int64_t wall_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_REALTIME, &now)
    return <int64_t>now.tv_sec * 1_000_000_000 + now.tv_nsec


cdef class RingWriter:
    """For one thread, that of the event loop.

    `on_pressure(is_on)`: True when a ring is over 80 % full or something was spilled, False when
    all are below 50 % and nothing is. `on_overflow()`: the spill is over its bound; not again
    before `drop_spill`. Both may be called in the middle of a read, so they must not stage.
    """

    def __cinit__(self, producers, counters, call_soon, on_pressure, on_overflow):
        cdef int i
        self.producers = list(producers)
        self.shards = len(self.producers)
        assert 1 <= self.shards <= RINGS_MAX, self.shards
        for i in range(self.shards):
            assert isinstance(self.producers[i], Producer), self.producers[i]
            self.ends[i] = <PyObject*>self.producers[i]
        self.payload_max = min(producer.payload_max for producer in self.producers)
        for i in range(PARTITIONS):
            self.owners[i] = i % self.shards
        self.spills = [deque() for _ in self.producers]
        self.page = counters.view
        self.frames = self.word(counters, "frames")
        self.frame_bytes = self.word(counters, "bytes")
        self.python_path = self.word(counters, "python_path")
        self.events_routed = self.word(counters, "events_routed")
        self.rejected = self.word(counters, "rejected")
        self.published = self.word(counters, "published")
        self.watermark_word = self.word(counters, "watermark")
        self.spilled = self.word(counters, "spilled")
        self.spill_bytes_word = self.word(counters, "spill_bytes")
        self.spill_dropped = self.word(counters, "spill_dropped")
        put(self.spilled, 0)            # gauges of a list that our predecessor had
        put(self.spill_bytes_word, 0)
        self.call_soon = call_soon
        self.publish_armed = self._publish_armed
        self.on_pressure = on_pressure
        self.on_overflow = on_overflow

    cdef int64_t* word(self, counters, name) except NULL:
        return &self.page[<Py_ssize_t>counters.slot(name)]

    # Staging

    cdef void count_frame(self, Py_ssize_t size) noexcept:
        bump(self.frames, 1)
        bump(self.frame_bytes, size)

    cdef void count_python_path(self) noexcept:
        bump(self.python_path, 1)

    cdef int stage_event(
        self, int partition, const char* payload, Py_ssize_t length, uint8_t flags,
        uint16_t epoch, int64_t sequence,
    ) except -1:
        bump(self.events_routed, 1)
        self.note(sequence)
        return self.stage(self.owners[partition], payload, length, EVENT, flags, epoch, sequence)

    cdef int stage(
        self, int shard, const char* payload, Py_ssize_t length, uint8_t kind, uint8_t flags,
        uint16_t epoch, int64_t sequence,
    ) except -1:
        """Into the ring, or behind what already waits for it."""
        cdef uint64_t bit = (<uint64_t>1) << shard
        if self.now_ns == 0:
            self.now_ns = wall_ns()
        if not self.is_armed:
            self.is_armed = True
            self.call_soon(self.publish_armed)
        if self.spilling & bit or not (<Producer>self.ends[shard]).stage_bytes(
                payload, length, kind, flags, epoch, sequence, self.now_ns):
            self.spill(shard, payload[:length], kind, flags, epoch, sequence)
        self.dirty |= bit
        self.staged += 1
        if cython.unlikely(self.staged >= STAGED_MAX):
            self.publish_dirty()
        return 0

    cdef void note(self, int64_t sequence) noexcept:
        """An event was routed. One far above all known ones moves nothing: it is quarantined."""
        if sequence > self.watermark and sequence <= self.known + STEP_MAX:
            self.watermark = sequence
            put(self.watermark_word, sequence)
            if sequence > self.known:
                self.known = sequence

    def event(
        self, bytes user_id not None, bytes payload not None, int epoch, int64_t sequence,
        int flags=0,
    ):
        """Stage an event whose owner a parser found; `sequence` 0: it has none that can be."""
        cdef const unsigned char* name = <const unsigned char*>PyBytes_AS_STRING(user_id)
        if PyBytes_GET_SIZE(payload) > self.payload_max:
            self.reject(payload, REASON_TOO_LONG, epoch)
            return
        self.stage_event(
            <int>(fnv1a_64(name, PyBytes_GET_SIZE(user_id)) & (PARTITIONS - 1)),
            PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload), <uint8_t>flags,
            epoch & 0xFFFF, sequence)

    def reject(self, bytes payload not None, str reason not None, int epoch):
        """Stage what has no owner for shard 0, cut, so that the sum stays exact."""
        cdef bytes head = reason.encode("ascii") + b"\0"
        cdef Py_ssize_t kept = min(
            len(payload), <Py_ssize_t>REJECTED_BYTES_MAX, self.payload_max - len(head))
        cdef bytes record = head + payload[:kept]
        cdef uint8_t flags = FLAG_TRUNCATED if kept < len(payload) else 0
        bump(self.rejected, 1)
        self.stage(
            0, PyBytes_AS_STRING(record), PyBytes_GET_SIZE(record), REJECTED, flags,
            epoch & 0xFFFF, 0)

    def shed(self, int events, int epoch):
        """Tell shard 0 how many events were dropped: it counts them for all."""
        cdef bytes payload = encode_control(Shed(events))
        self.stage(
            0, PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload), CONTROL, 0,
            epoch & 0xFFFF, 0)

    def control(self, bytes payload not None, int epoch):
        """Stage a control record in every ring."""
        cdef int shard
        for shard in range(self.shards):
            self.stage(
                shard, PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload), CONTROL, 0,
                epoch & 0xFFFF, 0)

    def control_of(self, bytes user_id not None, bytes payload not None, int epoch):
        """Stage a control record in the ring of the agent's owner."""
        cdef const unsigned char* name = <const unsigned char*>PyBytes_AS_STRING(user_id)
        self.stage(
            self.owners[fnv1a_64(name, PyBytes_GET_SIZE(user_id)) & (PARTITIONS - 1)],
            PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload), CONTROL, 0, epoch & 0xFFFF, 0)

    # Publishing, and what happens when the shards fall behind

    def publish(self):
        """Show the shards all that was staged."""
        if self.dirty:
            self.publish_dirty()

    def _publish_armed(self):
        self.is_armed = False
        if self.dirty:
            self.publish_dirty()

    cdef int publish_dirty(self) except -1:
        cdef int shard
        cdef Producer end
        cdef bint is_over = False
        crash_point("before-publish")
        self.now_ns = 0
        self.staged = 0
        for shard in range(self.shards):
            if not (self.dirty >> shard) & 1:
                continue
            if (self.spilling >> shard) & 1:
                self.unspill(shard)
            end = <Producer>self.ends[shard]
            if not end.publish_staged():
                self.fail(LocalError(f"ring {end.name!r}: a successor of ours writes to it"))
            is_over |= end.used() * 5 > <uint64_t>end.capacity * 4      # 80 %
            crash_point("between-publishes")
        self.dirty = 0
        bump(self.published, 1)
        crash_point("after-publish")
        if (is_over or self.spilling) and not self.is_pressed:
            self.is_pressed = True
            self.on_pressure(True)
            self.call_soon(self.relieve)    # asks to be told of room, now and not at the next tick
        return 0

    def relieve(self):
        """Spend the room that the shards have made; when they ring, and at every tick."""
        cdef bint is_relieved = True
        self.dirty |= self.spilling
        if self.dirty:
            self.publish_dirty()
        if not self.is_pressed:
            return
        for end in self.producers:
            if end.await_room():        # at least half full still: it rings once it is not
                is_relieved = False
        if is_relieved and not self.spilling:
            self.is_pressed = False
            self.on_pressure(False)

    cdef int spill(
        self, int shard, bytes payload, uint8_t kind, uint8_t flags, uint16_t epoch,
        int64_t sequence,
    ) except -1:
        self.spills[shard].append((payload, kind, flags, epoch, sequence, self.now_ns))
        self.spilling |= (<uint64_t>1) << shard
        self.count_spill(1, PyBytes_GET_SIZE(payload))
        if self.spill_bytes > SPILL_MOST and not self.is_overflowing:
            self.is_overflowing = True
            self.on_overflow()
        return 0

    cdef int count_spill(self, int records, Py_ssize_t payload_bytes) except -1:
        self.spill_bytes += records * SPILL_RECORD + payload_bytes
        bump(self.spilled, records)
        put(self.spill_bytes_word, self.spill_bytes)
        return 0

    cdef int unspill(self, int shard) except -1:
        """Move what waits into its ring, in order, until it is full again."""
        cdef object waiting = self.spills[shard]
        cdef bytes payload
        while waiting:
            payload, kind, flags, epoch, sequence, received_ns = waiting[0]
            if not (<Producer>self.ends[shard]).stage_bytes(
                    PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload), kind, flags, epoch,
                    sequence, received_ns):
                return 0
            waiting.popleft()
            self.count_spill(-1, -PyBytes_GET_SIZE(payload))
        self.spilling &= ~((<uint64_t>1) << shard)
        return 0

    def drop_spill(self, int64_t lowest_mark):
        """Forget the events that found no room; how many. All behind `lowest_mark` is asked again.

        A gap is not told again, nor what was shed or is not watched any more, so these stay.
        Nothing else may: the end of a history without the events before it would be a lie.
        """
        cdef int shard, dropped = 0
        for shard in range(self.shards):
            waiting = self.spills[shard]
            kept = [record for record in waiting if is_told_once(record)]
            dropped += len(waiting) - len(kept)
            for record in waiting:
                self.count_spill(-1, -len(record[0]))
            waiting.clear()
            waiting.extend(kept)
            for record in kept:
                self.count_spill(1, len(record[0]))
            if not kept:
                self.spilling &= ~((<uint64_t>1) << shard)
        bump(self.spill_dropped, dropped)
        self.is_overflowing = False
        self.restart_watermark(lowest_mark)
        return dropped

    @property
    def is_spilling(self):
        return self.spilling != 0

    # The watermark

    def restart_watermark(self, int64_t sequence):
        """Another numbering, or events of ours are gone: nothing above counts as routed."""
        self.watermark = sequence
        self.known = sequence
        put(self.watermark_word, sequence)

    def raise_watermark(self, int64_t sequence):
        """Everything up to `sequence` was routed, or told as a gap."""
        self.note(sequence)

    def know(self, int64_t sequence):
        """The gateway itself has named its newest sequence."""
        self.known = max(self.known, sequence)

    # Our own failures: picows would only log what a callback raises

    def fail(self, failure not None):
        """Keep the first one for `raise_failure`."""
        if self.failure is None:
            self.failure = failure

    def raise_failure(self):
        if self.failure is not None:
            raise self.failure


def is_told_once(record):
    return record[1] == CONTROL and isinstance(
        decode_control(record[0]), (Gap, Shed, Unwatches))

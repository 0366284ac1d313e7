# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# distutils: extra_compile_args = -O3
"""Owns the way of a frame from picows' read buffer into the ring of its shard. It decides nothing about sessions.

Theory. picows calls `Listener.on_ws_frame` for each frame of a read. The usual frame is routed without being parsed
(routing.pyx) and copied once, from the read buffer into the ring: no Python frame, no object, no clock. Everything else
goes to the line (`actors.receiver.loop`), which parses it and calls the outlet with what it found.

All producers of the receiver stand in one `Outlet`, because two listeners overlap in a controlled reconnect and share the
rings. What was staged is published when picows marks the last frame of a read, every 512 records (a read may bring
20,000, and the shards would idle), and by one `call_soon`, armed at the first staged record: our own code stages between
two reads, where no frame bears that mark. The wall clock is read once for all records of one publish.

A record that finds no room goes to the spill list of its ring, and everything behind it follows, so that a ring never
sees its records out of order. Pausing does not stop the rest of a read, so the list is needed however early we pause.

The words of the counters page that are written here are written by no one else (`OUTLET_WORDS`).
"""
from collections import deque

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.ref cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t
from picows.picows cimport WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec

from actors.receiver.routing cimport Route, fnv1a_64, route_frame
from runtime.atomics cimport store_relaxed
from runtime.ring cimport Producer

from picows import WSProtocolError

from actors.events import FLAG_TRUNCATED, REJECTED_BYTES_MAX, SEQUENCE_STEP_MAX, Gap, decode_control
from actors.genesys.wsp import REASON_TOO_LONG
from runtime.errors import LocalError
from runtime.ring import KIND_CONTROL, KIND_EVENT, KIND_REJECTED

cdef extern from "<string.h>" nogil:
    void* memmem(const void* haystack, size_t length, const void* needle, size_t needle_length)

OUTLET_WORDS = (
    "frames", "bytes", "python_path", "events_routed", "rejected", "published", "watermark", "spilled", "spill_bytes",
    "spill_dropped",
)
MESSAGE_BYTES_MAX = 1 << 20
SPILL_BYTES_MAX = 64 << 20
SPILL_RECORD_BYTES = 160    # what the objects of a spilled record take beside its payload

cdef enum:
    RINGS_MAX = 64
    PARTITIONS = 64
    STAGED_MAX = 512    # records before they are published in the middle of a read

cdef uint8_t _EVENT = KIND_EVENT
cdef uint8_t _REJECTED = KIND_REJECTED
cdef uint8_t _CONTROL = KIND_CONTROL
cdef int64_t _STEP_MAX = SEQUENCE_STEP_MAX
cdef Py_ssize_t _MESSAGE_BYTES_MAX = MESSAGE_BYTES_MAX
cdef const char* _HISTORY = b'"history"'
cdef Py_ssize_t _HISTORY_LENGTH = 9


cdef inline void put(int64_t* word, int64_t value) noexcept nogil:
    store_relaxed(<uint64_t*>word, <uint64_t>value)


cdef inline void bump(int64_t* word, int64_t n) noexcept nogil:
    """For the word's one writer; not a locked add."""
    store_relaxed(<uint64_t*>word, <uint64_t>(word[0] + n))


cdef class Outlet:
    """Every ring that this receiver writes to. For one thread.

    `on_pressure(is_on)` is called when a ring is over 80 % full or something was spilled, and when all are below 50 % and
    nothing is; `on_overflow()` once the spill is over its bound, until `drop_spill`. Both may be called from inside of a
    frame, so they must not touch the outlet. `fail` keeps the first of our own exceptions for `raise_failure`: picows
    would only log it.
    """
    cdef:
        list producers
        PyObject* ends[RINGS_MAX]       # borrowed from `producers`
        int owners[PARTITIONS]
        readonly int shards
        uint64_t dirty                  # rings with something to publish, one bit each
        int staged                      # records since the last publish
        uint64_t spilling               # rings whose spill list is not empty
        list spills
        readonly int64_t spill_bytes
        bint is_armed
        readonly bint is_pressed
        readonly bint is_overflowing
        int64_t now_ns                  # of this read; 0 until somebody asks
        readonly int64_t watermark      # the highest plausible sequence routed so far
        readonly int64_t known          # the highest sequence that anybody plausible named
        int64_t[::1] page               # keeps the memory of the words
        int64_t* frames
        int64_t* bytes_
        int64_t* python_path
        int64_t* events_routed
        int64_t* rejected
        int64_t* published
        int64_t* watermark_
        int64_t* spilled
        int64_t* spill_bytes_
        int64_t* spill_dropped
        object call_soon
        object publish_armed
        object on_pressure
        object on_overflow
        readonly object failure

    def __cinit__(self, producers, counters, call_soon, on_pressure, on_overflow):
        cdef int i
        self.producers = list(producers)
        self.shards = len(self.producers)
        assert 1 <= self.shards <= RINGS_MAX, self.shards
        for i in range(self.shards):
            assert isinstance(self.producers[i], Producer), self.producers[i]
            self.ends[i] = <PyObject*>self.producers[i]
        for i in range(PARTITIONS):
            self.owners[i] = i % self.shards
        self.spills = [deque() for _ in self.producers]
        self.page = counters.view
        self.frames = &self.page[<Py_ssize_t>counters.slot("frames")]
        self.bytes_ = &self.page[<Py_ssize_t>counters.slot("bytes")]
        self.python_path = &self.page[<Py_ssize_t>counters.slot("python_path")]
        self.events_routed = &self.page[<Py_ssize_t>counters.slot("events_routed")]
        self.rejected = &self.page[<Py_ssize_t>counters.slot("rejected")]
        self.published = &self.page[<Py_ssize_t>counters.slot("published")]
        self.watermark_ = &self.page[<Py_ssize_t>counters.slot("watermark")]
        self.spilled = &self.page[<Py_ssize_t>counters.slot("spilled")]
        self.spill_bytes_ = &self.page[<Py_ssize_t>counters.slot("spill_bytes")]
        self.spill_dropped = &self.page[<Py_ssize_t>counters.slot("spill_dropped")]
        put(self.spilled, 0)            # gauges of a list that our predecessor had
        put(self.spill_bytes_, 0)
        self.call_soon = call_soon
        self.publish_armed = self._publish_armed
        self.on_pressure = on_pressure
        self.on_overflow = on_overflow

    # Staging

    cdef bint stage(self, int shard, const char* payload, Py_ssize_t length, uint8_t kind, uint8_t flags, uint16_t epoch,
                    int64_t sequence) except -1:
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
        return True

    cdef int spill(self, int shard, bytes payload, uint8_t kind, uint8_t flags, uint16_t epoch, int64_t sequence) except -1:
        self.spills[shard].append((payload, kind, flags, epoch, sequence, self.now_ns))
        self.spilling |= (<uint64_t>1) << shard
        self.count_spill(1, PyBytes_GET_SIZE(payload))
        if self.spill_bytes > SPILL_BYTES_MAX and not self.is_overflowing:
            self.is_overflowing = True
            self.on_overflow()
        return 0

    cdef int count_spill(self, int records, Py_ssize_t payload_bytes) except -1:
        self.spill_bytes += records * <int64_t>SPILL_RECORD_BYTES + payload_bytes
        bump(self.spilled, records)
        put(self.spill_bytes_, self.spill_bytes)
        return 0

    cdef inline void note(self, int64_t sequence) noexcept:
        """An event with this sequence was routed. One far above all known ones moves nothing (it is quarantined)."""
        if sequence > self.watermark and sequence <= self.known + _STEP_MAX:
            self.watermark = sequence
            put(self.watermark_, sequence)
            if sequence > self.known:
                self.known = sequence

    def event(self, bytes user_id not None, bytes payload not None, int epoch, int64_t sequence):
        """Stage an event that was routed by a full parse; `sequence` 0 if it has none that can be."""
        cdef int shard = self.owners[fnv1a_64(<const unsigned char*>PyBytes_AS_STRING(user_id), len(user_id)) & 63]
        if len(payload) > (<Producer>self.ends[shard]).payload_max:
            self.reject(payload, REASON_TOO_LONG, epoch)
            return
        self.stage(shard, PyBytes_AS_STRING(payload), len(payload), _EVENT, 0, epoch & 0xFFFF, sequence)
        bump(self.events_routed, 1)
        self.note(sequence)

    def reject(self, bytes payload not None, str reason not None, int epoch):
        """Stage what has no owner for shard 0, cut, so that the sum stays exact."""
        cdef Py_ssize_t room = (<Producer>self.ends[0]).payload_max - len(reason) - 1
        cdef Py_ssize_t kept = min(len(payload), REJECTED_BYTES_MAX, room)
        cdef bytes record = reason.encode("ascii") + b"\0" + payload[:kept]
        self.stage(0, PyBytes_AS_STRING(record), len(record), _REJECTED, FLAG_TRUNCATED if kept < len(payload) else 0,
                   epoch & 0xFFFF, 0)
        bump(self.rejected, 1)

    def control(self, bytes payload not None, int epoch):
        """Stage a control record in every ring."""
        cdef int shard
        for shard in range(self.shards):
            self.stage(shard, PyBytes_AS_STRING(payload), len(payload), _CONTROL, 0, epoch & 0xFFFF, 0)

    # Publishing and pressure

    cdef int publish_dirty(self) except -1:
        cdef int shard
        cdef Producer end
        cdef bint is_over = False
        self.now_ns = 0
        self.staged = 0
        for shard in range(self.shards):
            if not (self.dirty >> shard) & 1:
                continue
            if (self.spilling >> shard) & 1:
                self.unspill(shard)
            end = <Producer>self.ends[shard]
            if not end.publish_staged():
                self.fail(LocalError(f"ring {end.name}: a successor of this receiver writes to it"))
            is_over |= end.used() * 5 > <uint64_t>end.capacity * 4      # over 80 %
        self.dirty = 0
        bump(self.published, 1)
        if (is_over or self.spilling) and not self.is_pressed:
            self.is_pressed = True
            self.on_pressure(True)
        return 0

    cdef int unspill(self, int shard) except -1:
        """Move what waits into its ring, in order, until it is full again."""
        cdef object waiting = self.spills[shard]
        cdef bytes payload
        while waiting:
            payload, kind, flags, epoch, sequence, received_ns = waiting[0]
            if not (<Producer>self.ends[shard]).stage_bytes(
                    PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload), kind, flags, epoch, sequence, received_ns):
                return 0
            waiting.popleft()
            self.count_spill(-1, -PyBytes_GET_SIZE(payload))
        self.spilling &= ~((<uint64_t>1) << shard)
        return 0

    def publish(self):
        """Show the shards all that was staged."""
        if self.dirty:
            self.publish_dirty()

    def _publish_armed(self):
        self.is_armed = False
        self.now_ns = 0
        if self.dirty:
            self.publish_dirty()

    def relieve(self):
        """Spend the room that the shards have made; to be called when they ring, and now and then."""
        cdef int shard
        cdef bint is_relieved = True
        self.dirty |= self.spilling
        if self.dirty:
            self.publish_dirty()
        if not self.is_pressed:
            return
        for end in self.producers:
            if end.await_room():        # still at least half full: it rings once it is not
                is_relieved = False
        if is_relieved and not self.spilling:
            self.is_pressed = False
            self.on_pressure(False)

    def drop_spill(self, int64_t lowest_mark):
        """Forget the events that found no room: everything behind `lowest_mark` will be asked for again.

        A gap is not told again, so gaps stay. Nothing else may: a history's end without its events would be a lie.
        """
        cdef int dropped = 0
        for shard, waiting in enumerate(self.spills):
            kept = [record for record in waiting if record[1] == KIND_CONTROL and isinstance(decode_control(record[0]), Gap)]
            dropped += len(waiting) - len(kept)
            for record in waiting:
                self.count_spill(-1, -len(record[0]))
            waiting.clear()
            waiting.extend(kept)
            for record in kept:
                self.count_spill(1, len(record[0]))
            if not kept:
                self.spilling &= ~((<uint64_t>1) << <int>shard)
        bump(self.spill_dropped, dropped)
        self.is_overflowing = False
        self.restart_watermark(lowest_mark)
        return dropped

    @property
    def is_spilling(self):
        return self.spilling != 0

    # The watermark

    def restart_watermark(self, int64_t sequence):
        """A new epoch, or events of ours are gone: nothing above `sequence` counts as routed."""
        self.watermark = sequence
        self.known = sequence
        put(self.watermark_, sequence)

    def know(self, int64_t sequence):
        """The gateway itself named its newest sequence."""
        self.known = max(self.known, sequence)

    def raise_watermark(self, int64_t sequence):
        """Everything up to `sequence` is routed, or told as a gap."""
        self.note(sequence)

    # Our own failures

    def fail(self, failure not None):
        if self.failure is None:
            self.failure = failure

    def raise_failure(self):
        if self.failure is not None:
            raise self.failure


cdef inline int64_t wall_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_REALTIME, &now)
    return <int64_t>now.tv_sec * 1_000_000_000 + now.tv_nsec


cdef class Listener(WSListener):
    """One connection's end of picows.

    `line` is told `on_connected(transport)`, and `on_message(payload, is_text)` with each message that is not routed here:
    all of them until `is_fast`. It may raise WSProtocolError to end the connection. A muted listener answers the peer's
    control frames and hands on nothing.
    """
    cdef:
        readonly object line
        readonly Outlet outlet
        public bint is_fast
        public bint is_muted
        public bint history_runs
        public int epoch                    # the number of the gateway's numbering
        public int64_t newest               # its newest sequence at the acknowledgement
        readonly int64_t frames             # of any kind: a sign of life
        readonly int64_t history_frames     # history events, and replayed ones while the history is still to come
        readonly int64_t highest            # sequence of an event that was no history
        bytearray fragments                 # of a message that has not ended; None between messages
        bint fragments_are_text

    def __cinit__(self, line, Outlet outlet not None):
        self.line = line
        self.outlet = outlet

    cpdef on_ws_connected(self, WSTransport transport):
        self.line.on_connected(transport)

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        cdef Outlet outlet = self.outlet
        cdef Route route
        self.frames += 1
        if cython.likely(
            self.is_fast and frame.msg_type == WSMsgType.TEXT and frame.fin and self.fragments is None
            and not (frame.rsv1 | frame.rsv2 | frame.rsv3) and not self.is_muted
            and route_frame(<const unsigned char*>frame.payload_ptr, frame.payload_size, &route)
            and frame.payload_size <= (<Producer>outlet.ends[outlet.owners[route.partition]]).payload_max
        ):
            bump(outlet.frames, 1)
            bump(outlet.bytes_, frame.payload_size)
            bump(outlet.events_routed, 1)
            outlet.stage(outlet.owners[route.partition], frame.payload_ptr, frame.payload_size, _EVENT, 0,
                         <uint16_t>self.epoch, route.sequence)
            outlet.note(route.sequence)
            if cython.unlikely(self.history_runs):
                self.note_in_history(
                    memmem(frame.payload_ptr, frame.payload_size, _HISTORY, _HISTORY_LENGTH) != NULL, route.sequence)
            elif route.sequence > self.highest:
                self.highest = route.sequence
        else:
            bump(outlet.frames, 1)
            bump(outlet.bytes_, frame.payload_size)
            self.take_unusual(transport, frame)
        if frame.last_in_buffer and outlet.dirty:
            outlet.publish_dirty()

    cpdef note_in_history(self, bint is_history, int64_t sequence):
        """A history is made of its events and, before them, of what is replayed; either shows that it goes on."""
        if is_history or sequence <= self.newest:
            self.history_frames += 1
        if not is_history and sequence > self.highest:
            self.highest = sequence

    cdef int take_unusual(self, WSTransport transport, WSFrame frame) except -1:
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self.is_muted = True
            raise WSProtocolError(WSCloseCode.PROTOCOL_ERROR, "reserved bits without an extension")
        if frame.msg_type == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            self.is_muted = True
            transport.send_close(WSCloseCode.OK if frame.payload_size < 2 else frame.get_close_code())
            transport.disconnect()
        elif frame.msg_type != WSMsgType.PONG and not self.is_muted:
            try:
                self.take_data(frame)
            except WSProtocolError:
                self.is_muted = True
                raise
            except Exception as error:
                self.is_muted = True
                self.outlet.fail(error)
                raise
        return 0

    cdef int take_data(self, WSFrame frame) except -1:
        """A whole message, or a part of one."""
        if (frame.msg_type == WSMsgType.CONTINUATION) == (self.fragments is None):
            raise WSProtocolError(WSCloseCode.PROTOCOL_ERROR, "a fragment in the wrong place")
        if self.fragments is None:
            self.fragments_are_text = frame.msg_type == WSMsgType.TEXT
            if frame.fin:
                self.take_message(frame.get_payload_as_bytes())
                return 0
            self.fragments = bytearray()
        if len(self.fragments) + frame.payload_size > _MESSAGE_BYTES_MAX:
            raise WSProtocolError(WSCloseCode.MESSAGE_TOO_BIG, "a fragmented message over the bound")
        self.fragments += frame.get_payload_as_bytes()
        if not frame.fin:
            return 0
        message, self.fragments = bytes(self.fragments), None
        self.take_message(message)
        return 0

    cdef int take_message(self, bytes message) except -1:
        bump(self.outlet.python_path, 1)
        self.line.on_message(message, bool(self.fragments_are_text))
        return 0

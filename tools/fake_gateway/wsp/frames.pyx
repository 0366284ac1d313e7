# distutils: extra_compile_args = -O3
# cython: language_level=3, boundscheck=False, wraparound=False
# cython: cdivision=True, initializedcheck=False
"""FrameWriter: an event log as WebSocket frames, at some tens of nanoseconds an event.

The compiled twin of `script.py`, `event_log.py`, `event_times.py` and `numbering.py`: it says the
same on every byte (a test compares them) and knows as little. The gateway must outrun the runtime
by a wide margin on the same two cores, and `verify` computes millions of events again: not in plain
Python.
"""

from cpython.array cimport array, clone
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from tools.fake_gateway.wsp.changes cimport (
    ID_SIZE,
    Caused,
    CausedList,
    Change,
    add_caused,
    change_of,
)
from tools.fake_gateway.pieces cimport Piece, Pieces, add_piece, value_at
from tools.fake_gateway.text cimport (
    Text,
    mix64,
    put,
    put_digits,
    put_key,
    put_number,
    put_second,
    put_uuid4,
)

from tools.fake_gateway import script as script_module
from tools.fake_gateway.wsp.numbering import Epoch
from tools.fake_gateway.event_times import Stretch

cdef enum:
    HEADER_SIZE = 4
    LEAN_SIZE_MAX = 512        # a frame of every shape but the whole agent
    CYCLE = 64
    STATES = 5

cdef int WITH_QUEUE = script_module.WITH_QUEUE
cdef int WITH_PRESENCE = script_module.WITH_PRESENCE
cdef int WITH_CORRELATION = script_module.WITH_CORRELATION
cdef int WHOLE_AGENT = script_module.WHOLE_AGENT

cdef bytes _TYPE = b'{"type":"' + script_module.STATE_EVENT.encode() + b'","sequence":'
cdef bytes _HISTORY = b',"history":true'
cdef bytes _USER = b',"data":{"userId":"'
cdef bytes _STATE = b'","state":"'
cdef bytes _TIMESTAMP = b'","timestamp":"'
cdef bytes _QUEUE = b'"queueId":"'
cdef bytes _PRESENCE = b'"presence":"'
cdef bytes _CORRELATION = b'"correlationId":"'
cdef bytes _NAME = b'"name":"Agent '
cdef bytes _REST = script_module.REST_OF_AGENT.encode()


cdef Text text_of(bytes constant):
    cdef Text text
    text.at = PyBytes_AS_STRING(constant)
    text.size = len(constant)
    return text


cdef class FrameWriter:
    """Frames, facts and last changes of one event log. Stretches, epochs and what updates caused
    are added one by one."""

    cdef readonly object script
    cdef bytes _users, _queues, _offsets, _cycle
    cdef list _kept                     # the constants that the Text structs point into
    cdef const char *users
    cdef const char *queues
    cdef const uint8_t *offsets
    cdef const uint8_t *cycle
    cdef int32_t[::1] homes
    cdef int32_t[::1] order
    cdef int64_t agents, active, low, queue_count
    cdef uint64_t seed
    cdef int64_t strides[8]
    cdef int64_t presence_every, correlation_every, origin_ms, initial_age_s_max
    cdef Text states[STATES]
    cdef Text presences[4]
    cdef int presence_of[STATES]
    cdef Text t_type, t_history, t_user, t_state, t_timestamp
    cdef Text t_queue, t_presence, t_correlation, t_name, t_rest
    cdef char *desk
    cdef Py_ssize_t desk_size
    cdef Pieces times                   # ns
    cdef Pieces sequences
    cdef Pieces steps                   # of the script; -1 - place: of `caused` instead
    cdef CausedList caused
    # Derived once per round and per second, because neighbours share both.
    cdef int64_t round_of
    cdef int64_t[2] round_stride
    cdef int64_t[2] round_shift
    cdef int64_t second_of
    cdef char second[20]                # "2026-11-21T22:00:00."

    def __cinit__(self):
        self.desk = NULL
        self.desk_size = 0
        self.times.at = self.sequences.at = self.steps.at = NULL
        self.times.count = self.sequences.count = self.steps.count = 0
        self.caused.at, self.caused.count = NULL, 0

    def __init__(self, script):
        settings = script.settings
        self.script = script
        self._users = "".join(script.users).encode()
        self._queues = "".join(script.queues).encode()
        self._offsets, self._cycle = script.offsets, script.cycle
        self.users = PyBytes_AS_STRING(self._users)
        self.queues = PyBytes_AS_STRING(self._queues)
        self.offsets = <const uint8_t *> PyBytes_AS_STRING(self._offsets)
        self.cycle = <const uint8_t *> PyBytes_AS_STRING(self._cycle)
        self.homes, self.order = script.homes, script.order
        self.agents, self.active, self.low = settings.agents, script.active, script.low
        self.queue_count = len(script.queues)
        self.seed = settings.seed & 0xFFFFFFFFFFFFFFFF
        self.presence_every = settings.presence_every
        self.correlation_every = settings.correlation_every
        self.origin_ms = settings.origin_ms
        self.initial_age_s_max = script_module._INITIAL_AGE_S_MAX
        for i, stride in enumerate(script_module.STRIDES):
            self.strides[i] = stride
        for i, presence in enumerate(script_module._PRESENCE_OF):
            self.presence_of[i] = presence
        self._kept = [state.encode() for state in script_module.STATES]
        self._kept += [presence.encode() for presence in script_module.PRESENCES]
        for i in range(STATES):
            self.states[i] = text_of(self._kept[i])
        for i in range(4):
            self.presences[i] = text_of(self._kept[STATES + i])
        self.t_type, self.t_history = text_of(_TYPE), text_of(_HISTORY)
        self.t_user = text_of(_USER)
        self.t_state, self.t_timestamp = text_of(_STATE), text_of(_TIMESTAMP)
        self.t_queue, self.t_presence = text_of(_QUEUE), text_of(_PRESENCE)
        self.t_correlation, self.t_name = text_of(_CORRELATION), text_of(_NAME)
        self.t_rest = text_of(_REST)
        self.round_of = self.second_of = -1
        add_piece(&self.steps, 0, 0, 1)

    def __dealloc__(self):
        free(self.desk)
        free(self.times.at)
        free(self.sequences.at)
        free(self.steps.at)
        free(self.caused.at)

    def add_stretch(self, stretch: Stretch) -> None:
        """As `EventTimes.add`."""
        add_piece(&self.times, stretch.first, stretch.start_ns, stretch.step_ns)

    def add_epoch(self, epoch: Epoch) -> None:
        """As `Numbering.begin`."""
        add_piece(&self.sequences, epoch.first, epoch.first_sequence, 1)

    def add_change(self, change: script_module.Change) -> None:
        """As `EventLog.add`."""
        cdef int64_t number = change.number, count = self.caused.count
        assert number >= 0 and (count == 0 or self.caused.at[count - 1].number < number), change
        assert len(change.correlation) == ID_SIZE and 0 <= change.agent < self.agents, change
        cdef Caused caused
        caused.number, caused.agent, caused.queue = number, change.agent, change.queue
        caused.state, caused.presence = change.state, change.presence
        add_caused(&self.caused, &caused, change.correlation.encode())
        cdef int64_t step = value_at(&self.steps, number)
        add_piece(&self.steps, number, -1 - count, 0)
        add_piece(&self.steps, number + 1, step, 1)

    def frames(self, int64_t first, int64_t end, int shape) -> bytes:
        """The frames of events first <= n < end, in order."""
        self._demand(first, end)
        cdef int64_t number, count = end - first
        cdef char *begin = self._desk_for(count, shape)
        cdef char *to = begin
        cdef Change change
        with nogil:
            for number in range(first, end):
                change = self._change(number)
                to = self._frame(to, &change, self._sequence(number), self._at_ms(number),
                                 shape, False)
        return PyBytes_FromStringAndSize(begin, to - begin)

    def frames_of(self, int64_t[::1] numbers, int shape) -> bytes:
        """The frames of these events, in this order; a number may stand more than once."""
        cdef Py_ssize_t i, count = numbers.shape[0]
        cdef char *begin = self._desk_for(count, shape)
        cdef char *to = begin
        cdef Change change
        for i in range(count):
            self._demand(numbers[i], numbers[i] + 1)
            change = self._change(numbers[i])
            to = self._frame(to, &change, self._sequence(numbers[i]), self._at_ms(numbers[i]),
                             shape, False)
        return PyBytes_FromStringAndSize(begin, to - begin)

    def history(self, int64_t[::1] last, int64_t first, int64_t end, int shape) -> bytes:
        """The history frames of agents first <= a < end, as of the current epoch.

        `last` is what `last_changes` gave: per agent the number of its last event, or -1.
        """
        assert 0 <= first <= end <= self.agents == last.shape[0] and self.sequences.count > 0
        cdef Piece epoch = self.sequences.at[self.sequences.count - 1]
        cdef int64_t spread = (epoch.start - 1) // self.agents
        cdef char *begin = self._desk_for(end - first, shape)
        cdef char *to = begin
        cdef int64_t agent, number, sequence, at_ms
        cdef Change change
        for agent in range(first, end):
            number = last[agent]
            if number >= 0:
                self._demand(number, number + 1)
                change, at_ms = self._change(number), self._at_ms(number)
            else:
                change, at_ms = self._initial(agent), self._initial_ms(agent)
            if number >= epoch.first:
                sequence = epoch.start + number - epoch.first
            else:
                sequence = 1 + agent * spread
            to = self._frame(to, &change, sequence, at_ms, shape, True)
        return PyBytes_FromStringAndSize(begin, to - begin)

    def last_changes(self, int64_t head):
        """Per agent the number of its last event below `head`, -1 if it never changed."""
        cdef array last = clone(array("q"), self.agents, zero=False)
        cdef int64_t[::1] view = last
        cdef int64_t i, number, step, begin = max(0, head - 2 * self.active)
        for i in range(self.agents):
            view[i] = -1
        # Two rounds of the script end at `head`, or one event later for each that is not its own.
        for i in range(self.caused.count):
            if self.caused.at[i].number < head:
                view[self.caused.at[i].agent] = self.caused.at[i].number
                begin -= begin > 0
        for number in range(begin, head):
            step = value_at(&self.steps, number)
            if step >= 0:
                view[self._agent(step)] = number
            else:
                view[self.caused.at[-1 - step].agent] = number
        return last

    def facts(self, int64_t first, int64_t end):
        """(agents, states, queues, times in ms) of events first <= n < end, as four arrays."""
        self._demand(first, end)
        cdef int64_t count = end - first
        cdef array agents = clone(array("i"), count, zero=False)
        cdef array queues = clone(array("i"), count, zero=False)
        cdef array states = clone(array("b"), count, zero=False)
        cdef array times = clone(array("q"), count, zero=False)
        cdef int32_t[::1] agent_view = agents
        cdef int32_t[::1] queue_view = queues
        cdef signed char[::1] state_view = states
        cdef int64_t[::1] time_view = times
        cdef int64_t i
        cdef Change change
        with nogil:
            for i in range(count):
                change = self._change(first + i)
                agent_view[i] = change.agent
                queue_view[i] = change.queue
                state_view[i] = <signed char> change.state
                time_view[i] = self._at_ms(first + i)
        return agents, states, queues, times

    cdef void _demand(self, int64_t first, int64_t end) except *:
        assert 0 <= first <= end, (first, end)
        assert self.times.count > 0 and self.sequences.count > 0, "no stretch or no epoch yet"

    cdef char *_desk_for(self, Py_ssize_t count, int shape) except NULL:
        """Room for that many frames at their longest, kept: fresh pages are dear."""
        cdef Py_ssize_t size = count * (
            LEAN_SIZE_MAX + (self.t_rest.size if shape & WHOLE_AGENT else 0)
        ) + 1
        if size > self.desk_size:
            self.desk = <char *> realloc(self.desk, size)
            if self.desk == NULL:
                raise MemoryError
            self.desk_size = size
        return self.desk

    cdef inline int64_t _at_ms(self, int64_t number) noexcept nogil:
        return value_at(&self.times, number) // 1000000

    cdef inline int64_t _sequence(self, int64_t number) noexcept nogil:
        return value_at(&self.sequences, number)

    cdef inline int32_t _agent(self, int64_t step) noexcept nogil:
        cdef int64_t round_ = step // self.active
        cdef int64_t place = step - round_ * self.active
        cdef int64_t high = self.active - self.low
        cdef uint64_t mixed
        if round_ != self.round_of:
            mixed = mix64(self.seed + <uint64_t> round_)
            self.round_of = round_
            self.round_stride[0] = self.strides[mixed & 7] % self.low
            self.round_shift[0] = <int64_t> ((mixed >> 8) % <uint64_t> self.low)
            if high > 0:
                self.round_stride[1] = self.strides[mixed & 7] % high
                self.round_shift[1] = <int64_t> ((mixed >> 8) % <uint64_t> high)
        if place < self.low:
            return self.order[(place * self.round_stride[0] + self.round_shift[0]) % self.low]
        place -= self.low
        return self.order[self.low + (place * self.round_stride[1] + self.round_shift[1]) % high]

    cdef inline Change _change(self, int64_t number) noexcept nogil:
        cdef Change change
        cdef int64_t step = value_at(&self.steps, number)
        if step < 0:
            return change_of(self.caused.at - 1 - step)
        cdef int64_t round_ = step // self.active
        change.step = step
        change.agent = self._agent(step)
        change.state = self.cycle[(self.offsets[change.agent] + round_ + 1) % CYCLE]
        change.queue = <int32_t> (
            (self.homes[change.agent] + (((round_ + change.agent) >> 3) & 1)) % self.queue_count
        )
        change.presence = self._presence(change.state, change.agent + round_)
        change.has_presence = self.presence_every > 0 and step % self.presence_every == 0
        change.has_correlation = self.correlation_every > 0 and step % self.correlation_every == 0
        change.correlation = NULL
        return change

    cdef inline Change _initial(self, int64_t agent) noexcept nogil:
        cdef Change change
        change.step = -1
        change.agent = <int32_t> agent
        change.state = self.cycle[self.offsets[agent]]
        change.queue = self.homes[agent]
        change.presence = self._presence(change.state, agent + 2)
        change.has_presence = self.presence_every > 0
        change.has_correlation = False
        change.correlation = NULL
        return change

    cdef inline int _presence(self, int state, int64_t turn) noexcept nogil:
        return 3 if state == 1 and turn % 3 == 0 else self.presence_of[state]

    cdef inline int64_t _initial_ms(self, int64_t agent) noexcept nogil:
        cdef uint64_t mixed = mix64(self.seed ^ <uint64_t> agent)
        return self.origin_ms - <int64_t> (1 + mixed % <uint64_t> self.initial_age_s_max) * 1000

    cdef inline char *_frame(self, char *frame, const Change *change, int64_t sequence,
                             int64_t at_ms, int shape, bint history) noexcept nogil:
        cdef char *to = frame + HEADER_SIZE
        cdef bint whole = (shape & WHOLE_AGENT) != 0
        cdef Py_ssize_t size
        cdef uint64_t mixed
        to = put(to, self.t_type)
        to = put_number(to, <uint64_t> sequence)
        if history:
            to = put(to, self.t_history)
        to = put(to, self.t_user)
        memcpy(to, self.users + <Py_ssize_t> change.agent * ID_SIZE, ID_SIZE)
        to += ID_SIZE
        to = put(to, self.t_state)
        to = put(to, self.states[change.state])
        to = put(to, self.t_timestamp)
        to = self._put_time(to, at_ms)
        if whole or shape & WITH_QUEUE:
            to = put_key(to, self.t_queue)
            memcpy(to, self.queues + <Py_ssize_t> change.queue * ID_SIZE, ID_SIZE)
            to += ID_SIZE
        if whole or (shape & WITH_PRESENCE and change.has_presence):
            to = put(put_key(to, self.t_presence), self.presences[change.presence])
        if change.has_correlation and (whole or shape & WITH_CORRELATION):
            to = put_key(to, self.t_correlation)
            if change.correlation == NULL:
                mixed = mix64(self.seed ^ <uint64_t> (2 * change.step + 1))
                to = put_uuid4(to, mixed, mix64(mixed))
            else:
                memcpy(to, change.correlation, ID_SIZE)
                to += ID_SIZE
        if whole:
            to = put_key(to, self.t_name)
            put_digits(to, change.agent, 7)
            to[7], to[8], to[9] = 34, 44, 0            # '",'
            to = put(to + 9, self.t_rest)
        else:
            to[0] = 34                                 # '"'
            to += 1
        to[0], to[1] = 125, 125                        # '}}'
        to += 2
        size = to - frame - HEADER_SIZE                # always 126 to 65535: the 16-bit form
        frame[0], frame[1] = <char> 0x81, 126
        frame[2], frame[3] = <char> (size >> 8), <char> (size & 0xFF)
        return to

    cdef inline char *_put_time(self, char *to, int64_t at_ms) noexcept nogil:
        cdef int64_t second = at_ms // 1000
        if second != self.second_of:
            put_second(self.second, second)
            self.second_of = second
        memcpy(to, self.second, 20)
        put_digits(to + 20, at_ms - second * 1000, 3)
        to[23] = 90                                    # 'Z'
        return to + 24

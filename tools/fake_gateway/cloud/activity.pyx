# distutils: extra_compile_args = -O3
# cython: language_level=3, boundscheck=False, wraparound=False
# cython: cdivision=True, initializedcheck=False
"""Activity: the agents of a cloud organisation as they stand, and each change of them as frames.

A fold: every step changes one agent, every change from outside one more, and the same steps and
changes in the same order give the same agents and the same frames. Nothing is kept of what was: a
channel that has no socket at that moment loses it, as the platform's would. Knows no clock, no
socket and no subscription but the numbers of channels and agents.

A step leads an agent to the next standing of the walk, whatever stands there; presence and routing
status bear its time where they differ from what was held, and the routing status if neither does:
no event brings nothing new. Two events of an agent are at least a millisecond apart.
"""

from cpython.array cimport array, clone
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from tools.fake_gateway.cloud.desks cimport (
    Desk,
    LateList,
    drop_first,
    keep_late,
    room_for,
    tell_late,
)
from tools.fake_gateway.cloud.events cimport (
    ACTIVITY,
    DEFINITIONS_MAX,
    OUT_OF_OFFICE,
    PRESENCE,
    ROUTING_STATUS,
    Agent,
    Who,
    Writer,
    add_words,
    put_activity,
    put_office,
    put_presence,
    put_routing,
    text_of,
)
from tools.fake_gateway.pieces cimport Pieces, add_piece, value_at
from tools.fake_gateway.text cimport Text, mix64

from collections import namedtuple

import orjson

from tools.fake_gateway import script as script_module
from tools.fake_gateway.cloud import definitions as known

cdef enum:
    FRAME_SIZE_MAX = 2048       # without the message
    CHANNELS_END = 4096
    WALK = 64
    # A client of another vendor shows a presence beside the primary one so often.
    OTHER_SOURCE_EVERY = 16

Held = namedtuple(
    "Held",
    "presence presence_ms message routing routing_ms is_away away_ms queues queues_ms",
)
Traced = namedtuple("Traced", "agents times_ms presences routings queues")


cdef struct Subscriber:
    int32_t channel
    uint8_t topics


cdef class Activity:
    """`late_every`: a copy of every so-manieth step's frames comes again, `late_by` steps later."""

    cdef readonly int64_t steps         # of the walk that have happened
    cdef readonly int64_t head          # … and changes from outside
    cdef list _kept
    cdef dict _messages                 # agent: JSON text
    cdef int32_t[::1] homes
    cdef int32_t[::1] order
    cdef const uint8_t *offsets
    cdef int64_t agents, active
    cdef int64_t strides[8]
    cdef uint8_t walk_presence[WALK]
    cdef uint8_t walk_routing[WALK]
    cdef uint8_t walk_away[WALK]
    cdef Agent *at
    cdef Text *messages
    cdef Writer writer
    cdef Pieces times
    cdef Desk *desks
    cdef int32_t[::1] subscribers_of
    cdef Subscriber *subscribers
    cdef LateList late
    cdef int64_t late_every, late_by
    cdef int64_t round_of, round_stride, round_shift

    def __cinit__(self):
        self.at, self.messages, self.desks, self.subscribers = NULL, NULL, NULL, NULL
        self.times.at, self.times.count = NULL, 0
        self.late.first, self.late.last, self.late.told = NULL, NULL, 0

    def __init__(self, script, walk, *, late_every=0, late_by=0):
        settings = script.settings
        self._messages = {}
        users, queues = "".join(script.users).encode(), "".join(script.queues).encode()
        self._kept = [users, queues, script.offsets]
        self.writer.users = PyBytes_AS_STRING(users)
        self.writer.queues = PyBytes_AS_STRING(queues)
        self.offsets = <const uint8_t *> PyBytes_AS_STRING(script.offsets)
        self.homes, self.order = script.homes, script.order
        self.agents, self.active = settings.agents, script.active
        self.writer.queue_count = len(script.queues)
        self.writer.seed = settings.seed & 0xFFFFFFFFFFFFFFFF
        self.late_every, self.late_by = late_every, late_by
        for i, stride in enumerate(script_module.STRIDES):
            self.strides[i] = stride
        assert len(walk) == WALK, len(walk)
        for i, standing in enumerate(walk):
            self.walk_presence[i], self.walk_routing[i] = standing.presence, standing.routing
            self.walk_away[i] = standing.is_away
        self._add_texts()
        self.desks = <Desk *> calloc(CHANNELS_END, sizeof(Desk))
        self.at = <Agent *> calloc(self.agents, sizeof(Agent))
        self.messages = <Text *> calloc(self.agents, sizeof(Text))
        if self.desks == NULL or self.at == NULL or self.messages == NULL:
            raise MemoryError
        self.steps = self.head = 0
        self.round_of = self.writer.second_of = -1
        for agent in range(self.agents):
            self._begin(agent, script.initial_ms(agent))
        self.hear(())

    def __dealloc__(self):
        if self.desks != NULL:
            for i in range(CHANNELS_END):
                free(self.desks[i].at)
        while self.late.first != NULL:
            drop_first(&self.late)
        free(self.desks)
        free(self.at)
        free(self.messages)
        free(self.subscribers)
        free(self.times.at)

    @property
    def copies(self) -> int:
        """Frames that came again so far."""
        return self.late.told

    def add_stretch(self, stretch) -> None:
        """From its step on (see `event_times.py`)."""
        add_piece(&self.times, stretch.first, stretch.start_ns, stretch.step_ns)

    def hear(self, audience) -> None:
        """Who hears what from now on: (channel, agents, a topic mask for each) for all channels."""
        cdef array begins = clone(array("i"), self.agents + 1, zero=True)
        cdef int32_t[::1] begin = begins
        cdef int32_t[::1] heard
        cdef const uint8_t[::1] masks
        cdef int64_t i, count = 0
        for _, agents, _ in audience:
            heard = agents
            for i in range(heard.shape[0]):
                assert 0 <= heard[i] < self.agents, heard[i]
                begin[heard[i] + 1] += 1
            count += heard.shape[0]
        for i in range(self.agents):
            begin[i + 1] += begin[i]
        free(self.subscribers)
        self.subscribers = <Subscriber *> malloc((count + 1) * sizeof(Subscriber))
        if self.subscribers == NULL:
            raise MemoryError
        cdef array places = clone(array("i"), self.agents, zero=False)
        cdef int32_t[::1] place = places
        for i in range(self.agents):
            place[i] = begin[i]
        for channel, agents, topics in audience:
            assert 0 <= channel < CHANNELS_END and len(agents) == len(topics), channel
            heard, masks = agents, topics
            for i in range(heard.shape[0]):
                self.subscribers[place[heard[i]]].channel = channel
                self.subscribers[place[heard[i]]].topics = masks[i]
                place[heard[i]] += 1
        self.subscribers_of = begins

    def open(self, int64_t channel) -> None:
        assert 0 <= channel < CHANNELS_END, channel
        self.desks[channel].is_open = True

    def close(self, int64_t channel) -> None:
        """What waits on its desk is lost."""
        assert 0 <= channel < CHANNELS_END, channel
        self.desks[channel].is_open = False
        self.desks[channel].size = self.desks[channel].frames = 0

    def run(self, int64_t steps) -> None:
        """So many steps of the walk happen."""
        assert steps <= 0 or self.times.count > 0, "no stretch yet"
        cdef int64_t i
        cdef int32_t agent
        cdef bint is_whole = True
        with nogil:
            for i in range(steps):
                agent = self._step()
                is_whole &= self._tell(agent, PRESENCE | ROUTING_STATUS | OUT_OF_OFFICE,
                                       self.late_every > 0 and self.steps % self.late_every == 0)
                is_whole &= tell_late(&self.late, self.desks, self.steps)
        if not is_whole:
            raise MemoryError

    def change(self, int32_t agent, int64_t at_ms, *, presence=None, routing=None,
               message=None) -> int:
        """From outside, now; returns its time in ms, which may be a little later."""
        assert 0 <= agent < self.agents and not (presence is None and routing is None), agent
        cdef Agent *one = self.at + agent
        one.last_ms = max(at_ms, one.last_ms + 1)
        if presence is not None:
            one.presence, one.presence_ms = presence, one.last_ms
        if routing is not None:
            one.routing, one.routing_ms = routing, one.last_ms
        if message is not None:
            self._messages[agent] = text = orjson.dumps(message)
            self.messages[agent].at = PyBytes_AS_STRING(text)
            self.messages[agent].size = len(text)
        self.head += 1
        if not self._tell(agent, (PRESENCE if presence is not None else 0)
                          | (ROUTING_STATUS if routing is not None else 0), False):
            raise MemoryError
        return one.last_ms

    def set_source(self, int32_t agent, bint is_other) -> None:
        """Whether its primary presence is of another source from now on."""
        assert 0 <= agent < self.agents, agent
        self.at[agent].is_other = is_other

    def take(self) -> list:
        """(channel, frames, how many) of every desk that is not empty; they are empty now."""
        cdef int64_t i
        cdef Desk *desk
        taken = []
        for i in range(CHANNELS_END):
            desk = self.desks + i
            if desk.size > 0:
                frames = PyBytes_FromStringAndSize(desk.at, desk.size)
                taken.append((i, frames, desk.frames))
                desk.size = desk.frames = 0
        return taken

    def held(self, int64_t agent):
        assert 0 <= agent < self.agents, agent
        cdef Agent one = self.at[agent]
        message = orjson.loads(self._messages[agent]) if agent in self._messages else ""
        return Held(one.presence, one.presence_ms, message, one.routing, one.routing_ms,
                    bool(one.away), one.away_ms, one.queues, one.queues_ms)

    def frame(self, int32_t agent, int topic) -> bytes:
        """The agent's newest frame of that topic, as a channel would get it."""
        assert 0 <= agent < self.agents, agent
        cdef Desk desk
        memset(&desk, 0, sizeof(Desk))
        if not self._write(&desk, agent, topic):
            raise MemoryError
        frame = PyBytes_FromStringAndSize(desk.at, desk.size)
        free(desk.at)
        return frame

    def trace(self, int64_t steps):
        """So many steps happen and nobody hears of them; what they made of whom."""
        assert steps <= 0 or self.times.count > 0, "no stretch yet"
        cdef array agents = clone(array("i"), steps, zero=False)
        cdef array times = clone(array("q"), steps, zero=False)
        cdef array presences = clone(array("b"), steps, zero=False)
        cdef array routings = clone(array("b"), steps, zero=False)
        cdef array queues = clone(array("b"), steps, zero=False)
        cdef int32_t[::1] agent_view = agents
        cdef int64_t[::1] time_view = times
        cdef signed char[::1] presence_view = presences
        cdef signed char[::1] routing_view = routings
        cdef signed char[::1] queue_view = queues
        cdef int64_t i
        cdef int32_t agent
        with nogil:
            for i in range(steps):
                agent = self._step()
                agent_view[i], time_view[i] = agent, self.at[agent].last_ms
                presence_view[i] = <signed char> self.at[agent].presence
                routing_view[i] = <signed char> self.at[agent].routing
                queue_view[i] = <signed char> self.at[agent].queues
        return Traced(agents, times, presences, routings, queues)

    cdef void _add_texts(self) except *:
        cdef Writer *to = &self.writer
        add_words(to)
        assert len(known.DEFINITIONS) <= DEFINITIONS_MAX
        for i, definition in enumerate(known.DEFINITIONS):
            to.definitions[i] = text_of(self._keep_text(definition.id))
            to.systems[i] = text_of(self._keep_text(definition.event_presence))
        for i, status in enumerate(known.ROUTING_STATUSES):
            to.routings[i] = text_of(self._keep_text(status))

    cdef bytes _keep_text(self, str text):
        """Its bytes live as long as this object: structs point into them."""
        self._kept.append(text.encode())
        return <bytes> self._kept[len(self._kept) - 1]

    cdef void _begin(self, int64_t agent, int64_t since_ms):
        """The standing before all steps, some hours old; every tenth since a full second."""
        cdef Agent *one = self.at + agent
        cdef uint8_t place = self.offsets[agent] % WALK
        cdef int64_t odd = <int64_t> (mix64(self.writer.seed + <uint64_t> agent) % 1000)
        one.presence, one.routing = self.walk_presence[place], self.walk_routing[place]
        one.away = self.walk_away[place]
        one.presence_ms = since_ms // 1000 * 1000 + (0 if agent % 10 == 0 else odd)
        one.routing_ms = one.presence_ms + odd
        one.queues_ms, one.away_ms = one.presence_ms - 1000, one.presence_ms - 86400000
        one.last_ms, one.turn, one.queues = one.routing_ms, 0, 0
        self.messages[agent] = text_of(b'""')

    cdef inline int32_t _agent_of(self, int64_t step) noexcept nogil:
        cdef int64_t round_ = step // self.active
        cdef uint64_t mixed
        if round_ != self.round_of:
            mixed = mix64(self.writer.seed + <uint64_t> round_)
            self.round_of = round_
            self.round_stride = self.strides[mixed & 7] % self.active
            self.round_shift = <int64_t> ((mixed >> 8) % <uint64_t> self.active)
        return self.order[((step - round_ * self.active) * self.round_stride + self.round_shift)
                          % self.active]

    cdef inline int32_t _step(self) noexcept nogil:
        cdef int32_t agent = self._agent_of(self.steps)
        cdef Agent *one = self.at + agent
        cdef int64_t at_ms = value_at(&self.times, self.steps) // 1000000
        cdef int place
        cdef uint8_t queues
        one.last_ms = at_ms if at_ms > one.last_ms else one.last_ms + 1
        one.turn += 1
        place = (self.offsets[agent] + one.turn) % WALK
        if one.presence != self.walk_presence[place]:
            one.presence, one.presence_ms = self.walk_presence[place], one.last_ms
        elif one.routing == self.walk_routing[place]:
            one.routing_ms = one.last_ms
        if one.routing != self.walk_routing[place]:
            one.routing, one.routing_ms = self.walk_routing[place], one.last_ms
        if one.away != self.walk_away[place]:
            one.away, one.away_ms = self.walk_away[place], one.last_ms
        queues = <uint8_t> ((one.turn >> 3) & 1)
        if one.queues != queues:
            one.queues, one.queues_ms = queues, one.last_ms
        self.steps += 1
        self.head += 1
        return agent

    cdef inline bint _tell(self, int32_t agent, int what, bint is_late) noexcept nogil:
        """To every channel that hears of it. False: no memory."""
        cdef Agent *one = self.at + agent
        cdef int32_t i
        cdef int topics
        cdef Py_ssize_t before
        cdef Desk *desk
        if one.presence_ms != one.last_ms:
            what &= ~PRESENCE
        if one.routing_ms != one.last_ms:
            what &= ~ROUTING_STATUS
        if one.away_ms != one.last_ms:
            what &= ~OUT_OF_OFFICE
        for i in range(self.subscribers_of[agent], self.subscribers_of[agent + 1]):
            desk = self.desks + self.subscribers[i].channel
            if not desk.is_open:
                continue
            before, topics = desk.size, self.subscribers[i].topics
            if topics & ACTIVITY and not self._write(desk, agent, ACTIVITY):
                return False
            topics &= what
            if topics & PRESENCE and not self._write(desk, agent, PRESENCE):
                return False
            if topics & ROUTING_STATUS and not self._write(desk, agent, ROUTING_STATUS):
                return False
            if topics & OUT_OF_OFFICE and not self._write(desk, agent, OUT_OF_OFFICE):
                return False
            if is_late and not keep_late(&self.late, desk, self.subscribers[i].channel, before,
                                         self.steps + self.late_by):
                return False
        return True

    cdef bint _write(self, Desk *desk, int32_t agent, int topic) noexcept nogil:
        """A frame of that topic, and behind some of a presence one of another source."""
        cdef Agent *one = self.at + agent
        cdef char *to = room_for(desk, 2 * (FRAME_SIZE_MAX + self.messages[agent].size))
        cdef char *end
        cdef Who who
        if to == NULL:
            return False
        who.agent, who.held, who.number = agent, one, self.head
        who.message = self.messages[agent]
        who.queue = (self.homes[agent] + one.queues) % self.writer.queue_count
        if topic == ACTIVITY:
            end = put_activity(&self.writer, to, &who)
        elif topic == PRESENCE:
            end = put_presence(&self.writer, to, &who, False)
        elif topic == ROUTING_STATUS:
            end = put_routing(&self.writer, to, &who)
        else:
            end = put_office(&self.writer, to, &who)
        desk.frames += 1
        if topic == PRESENCE and self.head % OTHER_SOURCE_EVERY == 0:
            end = put_presence(&self.writer, end, &who, True)
            desk.frames += 1
        desk.size += end - to
        return True

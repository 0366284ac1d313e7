"""Events: what a cloud organisation tells of one agent, as WebSocket frames (protocol.md §2.3).
Inline C for `activity.pyx`; knows no channel, and nothing of why an agent changes.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from tools.fake_gateway.text cimport Text, mix64, put, put_digits, put_second, put_uuid4

cdef enum:
    ID_SIZE = 36
    HEADER_SIZE = 4
    DEFINITIONS_MAX = 32
    ROUTINGS = 5
    # Of a topic mask (topics.py).
    ACTIVITY = 1
    PRESENCE = 2
    ROUTING_STATUS = 4
    OUT_OF_OFFICE = 8


cdef struct Agent:
    int64_t presence_ms
    int64_t routing_ms
    int64_t away_ms
    int64_t queues_ms
    int64_t last_ms             # of its newest event
    int32_t turn                # steps that it has made
    uint8_t presence
    uint8_t routing
    uint8_t away
    uint8_t queues
    uint8_t is_other            # its primary presence is of another source


cdef struct Writer:             # what all frames are made of
    const char *users
    const char *queues
    int64_t queue_count
    uint64_t seed
    Text definitions[DEFINITIONS_MAX]
    Text systems[DEFINITIONS_MAX]
    Text routings[ROUTINGS]
    Text topic
    Text activity
    Text presence
    Text other
    Text routing
    Text office
    Text status
    Text value
    Text start
    Text definition
    Text system
    Text modified
    Text active
    Text active_queues
    Text changed
    Text meta
    int64_t second_of           # neighbours share it
    char second[20]


cdef struct Who:                # of whom a frame tells
    int32_t agent
    int64_t queue               # the first active one
    Text message                # as JSON
    int64_t number              # of the event
    const Agent *held


cdef inline Text text_of(bytes constant):
    """Whoever calls keeps the constant; a literal lives as long as its module."""
    cdef Text text
    text.at = PyBytes_AS_STRING(constant)
    text.size = PyBytes_GET_SIZE(constant)
    return text


cdef inline void add_words(Writer *to):
    to.topic = text_of(b'{"topicName":"v2.users.')
    to.activity = text_of(b'.activity","version":"2","eventBody":{"id":"')
    to.presence = text_of(b'.presence","version":"2","eventBody":{"source":"PURECLOUD"')
    to.other = text_of(b'.presence","version":"2","eventBody":{"source":"MICROSOFTTEAMS"')
    to.routing = text_of(b'.routingStatus","version":"2","eventBody":{"id":"')
    to.office = text_of(b'.outOfOffice","version":"2","eventBody":{"user":{"id":"')
    to.status = text_of(b'"routingStatus":{')
    to.value = text_of(b'"status":"')
    to.start = text_of(b'","startTime":"')
    to.definition = text_of(b'"presenceDefinition":{"id":"')
    to.system = text_of(b'","systemPresence":"')
    to.modified = text_of(b',"modifiedDate":"')
    to.active = text_of(b'"active":')
    to.active_queues = text_of(b'"activeQueueIds":["')
    to.changed = text_of(b'"],"dateActiveQueuesChanged":"')
    to.meta = text_of(b',"metadata":{"CorrelationId":"')


cdef inline char *put_activity(Writer *all, char *frame, const Who *who) noexcept nogil:
    cdef const Agent *one = who.held
    cdef char *to = put_user(all, put(frame + HEADER_SIZE, all.topic), who)
    to = put_user(all, put(to, all.activity), who)
    to[0], to[1] = 34, 44                              # '",'
    to = put(put(to + 2, all.status), all.value)
    to = put(put(to, all.routings[one.routing]), all.start)
    to = put_time(all, to, one.routing_ms)
    memcpy(to, b'"},"presence":{', 15)
    to = put_definition(all, to + 15, one.presence)
    memcpy(to, b',"presenceMessage":', 19)
    to = put(put(to + 19, who.message), all.modified)
    to = put_time(all, to, one.presence_ms)
    memcpy(to, b'"},"outOfOffice":{', 18)
    to = put(put_away(all, to + 18, one.away), all.modified)
    to = put_time(all, to, one.away_ms)
    memcpy(to, b'"},', 3)
    to = put(to + 3, all.active_queues)
    memcpy(to, all.queues + who.queue * ID_SIZE, ID_SIZE)
    to += ID_SIZE
    if all.queue_count > 1:
        memcpy(to, b'","', 3)
        memcpy(to + 3, all.queues + (who.queue + 1) % all.queue_count * ID_SIZE, ID_SIZE)
        to += 3 + ID_SIZE
    to = put_time(all, put(to, all.changed), one.queues_ms)
    to[0] = 34
    return end_frame(all, frame, to + 1, who)


cdef inline char *put_presence(Writer *all, char *frame, const Who *who,
                               bint is_other) noexcept nogil:
    """Of the other source: some other presence, a little later, and not the primary one."""
    cdef const Agent *one = who.held
    cdef char *to = put_user(all, put(frame + HEADER_SIZE, all.topic), who)
    to = put(to, all.other if is_other != one.is_other else all.presence)
    to[0] = 44                                         # ','
    to = put_definition(all, to + 1, (one.presence + 1) % 4 if is_other else one.presence)
    if is_other:
        memcpy(to, b',"primary":false,"message":""', 29)
        to += 29
    else:
        memcpy(to, b',"primary":true,"message":', 26)
        to = put(to + 26, who.message)
    to = put_time(all, put(to, all.modified), one.presence_ms + 5 * is_other)
    to[0] = 34
    return end_frame(all, frame, to + 1, who)


cdef inline char *put_routing(Writer *all, char *frame, const Who *who) noexcept nogil:
    cdef const Agent *one = who.held
    cdef char *to = put_user(all, put(frame + HEADER_SIZE, all.topic), who)
    to = put_user(all, put(to, all.routing), who)
    to[0], to[1] = 34, 44
    to = put(put(to + 2, all.status), all.value)
    to = put(put(to, all.routings[one.routing]), all.start)
    to = put_time(all, to, one.routing_ms)
    to[0], to[1] = 34, 125                             # '"}'
    return end_frame(all, frame, to + 2, who)


cdef inline char *put_office(Writer *all, char *frame, const Who *who) noexcept nogil:
    cdef const Agent *one = who.held
    cdef char *to = put_user(all, put(frame + HEADER_SIZE, all.topic), who)
    to = put_user(all, put(to, all.office), who)
    memcpy(to, b'"},', 3)
    to = put_away(all, to + 3, one.away)
    memcpy(to, b',"indefinite":false', 19)
    to += 19
    if one.away:
        memcpy(to, b',"startDate":"', 14)
        to = put_time(all, to + 14, one.away_ms)
        memcpy(to, b'","endDate":"', 13)
        to = put_time(all, to + 13, one.away_ms + 86400000)
        to[0] = 34
        to += 1
    return end_frame(all, frame, to, who)


cdef inline char *put_user(Writer *all, char *to, const Who *who) noexcept nogil:
    memcpy(to, all.users + <Py_ssize_t> who.agent * ID_SIZE, ID_SIZE)
    return to + ID_SIZE


cdef inline char *put_definition(Writer *all, char *to, int presence) noexcept nogil:
    to = put(put(to, all.definition), all.definitions[presence])
    to = put(put(to, all.system), all.systems[presence])
    to[0], to[1] = 34, 125
    return to + 2


cdef inline char *put_away(Writer *all, char *to, bint away) noexcept nogil:
    to = put(to, all.active)
    memcpy(to, b"true" if away else b"false", 4 if away else 5)
    return to + (4 if away else 5)


cdef inline char *put_time(Writer *all, char *to, int64_t at_ms) noexcept nogil:
    """As the platform writes it: a full second has no fraction."""
    cdef int64_t second = at_ms // 1000
    if second != all.second_of:
        put_second(all.second, second)
        all.second_of = second
    if at_ms == second * 1000:
        memcpy(to, all.second, 19)
        to[19] = 90                                    # 'Z'
        return to + 20
    memcpy(to, all.second, 20)
    put_digits(to + 20, at_ms - second * 1000, 3)
    to[23] = 90
    return to + 24


cdef inline char *end_frame(Writer *all, char *frame, char *to, const Who *who) noexcept nogil:
    """Behind the body: metadata, and the head of the frame."""
    cdef uint64_t mixed = mix64(all.seed ^ <uint64_t> (2 * who.number + 1))
    cdef Py_ssize_t size
    to[0] = 125
    to = put_uuid4(put(to + 1, all.meta), mixed, mix64(mixed))
    to[0], to[1], to[2] = 34, 125, 125                 # '"}}'
    to += 3
    size = to - frame - HEADER_SIZE                    # always 126 to 65535: the 16-bit form
    frame[0], frame[1] = <char> 0x81, 126
    frame[2], frame[3] = <char> (size >> 8), <char> (size & 0xFF)
    return to

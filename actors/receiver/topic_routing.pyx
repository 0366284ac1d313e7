# cython: language_level=3, boundscheck=False, wraparound=False
# cython: initializedcheck=False, cdivision=True
# distutils: extra_compile_args = -O3
"""Owns the fast routing of one frame of a channel: bytes in, partition out. Knows no ring.

Theory. A frame is routed here only if `actors.genesys.cloud.read_frame` could not tell it otherwise
(routing.pyx says why that is safe without a backslash). `"topicName"` is the first key of the
frame, `"eventBody"` the second or third, with an object, and no other string in the whole frame
begins like one of the two, so that neither nesting nor a duplicate can name another owner. The rest
is only looked over, in one loop without an early exit that gcc turns into vector code.

Every other frame (another order of keys or spelling of the topic, a message with a backslash in it,
heartbeats, channel metadata) is parsed in Python. That the frame is JSON is not checked: the shard
parses it, and quarantines what does not parse.

A UUID has one owner in whatever case its letters are (`actors.genesys.cloud.user_id_of`): one with
capitals is hashed as if it had none.
"""
from libc.stdint cimport uint64_t
from libc.string cimport memcmp

from actors.receiver.routing cimport fnv1a_64


cdef extern from *:
    """
    /* 1 if the bytes hold a backslash, or the start of a string that could be a key we route by. */
    static inline int presence_may_hold_topic(const unsigned char *p, Py_ssize_t n)
    {
        unsigned char found = 0;
        Py_ssize_t i;
        for (i = 0; i + 2 < n; i++) {
            unsigned char a = p[i], b = p[i + 1], c = p[i + 2];
            found |= (unsigned char)(a == '\\\\');
            found |= (unsigned char)((a == '"')
                                     & (((b == 't') & (c == 'o')) | ((b == 'e') & (c == 'v'))));
        }
        for (; i < n; i++)
            found |= (unsigned char)(p[i] == '\\\\');
        return found;
    }
    #define PRESENCE_TOPIC_HEAD "{\\"topicName\\":\\"v2.users."
    #define PRESENCE_TOPIC_VERSION "\\"version\\":\\"2\\","
    #define PRESENCE_TOPIC_BODY "\\"eventBody\\":{"
    #define PRESENCE_TOPIC_LENGTH(literal) ((Py_ssize_t)sizeof(literal) - 1)
    """
    int presence_may_hold_topic(const unsigned char* p, Py_ssize_t n) noexcept nogil
    const char* HEAD "PRESENCE_TOPIC_HEAD"
    const char* VERSION "PRESENCE_TOPIC_VERSION"
    const char* BODY "PRESENCE_TOPIC_BODY"
    Py_ssize_t HEAD_LENGTH "PRESENCE_TOPIC_LENGTH(PRESENCE_TOPIC_HEAD)"
    Py_ssize_t VERSION_LENGTH "PRESENCE_TOPIC_LENGTH(PRESENCE_TOPIC_VERSION)"
    Py_ssize_t BODY_LENGTH "PRESENCE_TOPIC_LENGTH(PRESENCE_TOPIC_BODY)"

cdef enum:
    USER_ID_BYTES_MAX = 128     # actors.messages.control.USER_ID_BYTES_MAX, which a test compares
    PARTITION_MASK = 63
    UUID_LENGTH = 36


cdef inline Py_ssize_t id_length(
    const unsigned char* text, Py_ssize_t length, bint* has_capital
) noexcept nogil:
    """Of a user id at the start of the text (actors.genesys.cloud.is_user_id); 0 without one."""
    cdef Py_ssize_t i = 0
    cdef bint has_letter = False, capitals = False
    cdef unsigned char byte
    while i < length:
        byte = text[i]
        if c"0" <= byte <= c"9" or c"a" <= (byte | 32) <= c"z":
            has_letter = True
            capitals |= (byte & 0x60) == 0x40   # of a small letter it is 0x60, of a digit 0x20
        elif byte != c"-" and byte != c"_":
            break
        if i == USER_ID_BYTES_MAX:
            return 0
        i += 1
    has_capital[0] = capitals
    return i if has_letter else 0


cdef bint is_uuid(const unsigned char* text, Py_ssize_t length) noexcept nogil:
    """actors.genesys.cloud.user_id_of: 8-4-4-4-12 hexadecimal digits."""
    cdef Py_ssize_t i
    cdef unsigned char byte
    if length != UUID_LENGTH:
        return False
    for i in range(UUID_LENGTH):
        byte = text[i]
        if i == 8 or i == 13 or i == 18 or i == 23:
            if byte != c"-":
                return False
        elif not (c"0" <= byte <= c"9" or c"a" <= (byte | 32) <= c"f"):
            return False
    return True


cdef uint64_t hash_of_id(
    const unsigned char* text, Py_ssize_t length, bint capitals
) noexcept nogil:
    """Of the one spelling of the id."""
    cdef unsigned char small[UUID_LENGTH]
    cdef Py_ssize_t i
    if not capitals or not is_uuid(text, length):
        return fnv1a_64(text, length)
    for i in range(UUID_LENGTH):
        small[i] = text[i] | 32             # digits and dashes have this bit already
    return fnv1a_64(small, UUID_LENGTH)


cdef inline Py_ssize_t past(
    const unsigned char* frame, Py_ssize_t at, Py_ssize_t length, const char* text, Py_ssize_t size
) noexcept nogil:
    """Where the text ends that stands at `at`; 0 if another one does."""
    if length - at < size or memcmp(frame + at, text, size) != 0:
        return 0
    return at + size


cdef inline Py_ssize_t past_kind(
    const unsigned char* frame, Py_ssize_t at, Py_ssize_t length
) noexcept nogil:
    """Behind the kind of an event (actors.genesys.cloud.EVENT_KINDS) and the topic's end."""
    return (
        past(frame, at, length, b'.activity",', 11)
        or past(frame, at, length, b'.presence",', 11)
        or past(frame, at, length, b'.routingStatus",', 16)
    )


cdef bint route_topic(const unsigned char* frame, Py_ssize_t length, int* partition) noexcept nogil:
    cdef Py_ssize_t at, id_at, size
    cdef bint capitals = False
    id_at = past(frame, 0, length, HEAD, HEAD_LENGTH)
    if id_at == 0:
        return False
    size = id_length(frame + id_at, length - id_at, &capitals)
    if size == 0:
        return False
    at = past_kind(frame, id_at + size, length)
    if at == 0:
        return False
    at = past(frame, at, length, VERSION, VERSION_LENGTH) or at
    at = past(frame, at, length, BODY, BODY_LENGTH)
    if at == 0 or presence_may_hold_topic(frame + at, length - at):
        return False
    partition[0] = <int>(hash_of_id(frame + id_at, size, capitals) & PARTITION_MASK)
    return True


def routed_topic(bytes frame not None):
    """The partition as the listener's fast path sees it, or None: a full parse decides."""
    cdef int partition = 0
    return partition if route_topic(frame, len(frame), &partition) else None

# cython: language_level=3, boundscheck=False, wraparound=False
# cython: initializedcheck=False, cdivision=True
# distutils: extra_compile_args = -O3
"""Owns the fast routing of one frame: bytes in, partition and sequence out. Knows no ring.

Theory. A frame is routed here only if a full parser could not route it otherwise. Without a
backslash a JSON string ends at the next quote and spells its key one way only; if then each of
"type", "sequence", "data" and "userId" is a key exactly once in the whole frame, type and sequence
directly in the frame and userId directly in data, no order, nesting or duplicate of keys can move
the owner (design.md, "Identity and partition"). Two recognisers, tried in turn:

* `route_usual` compares the prefix that the gateway is known to write and then only looks over the
  rest, in one loop without an early exit that gcc turns into vector code, whether anything in it
  could be one of those keys again.
* `route_scanned` walks the strings and brackets of any other frame.

What neither takes (`False`) is parsed in Python. Neither checks that the frame is JSON: the shard
parses it, and quarantines what does not parse. So a frame that is no JSON may be taken or refused;
both are right.

Rejected: a scan with an early exit at the first quote (branches mispredict at every field: 3x
slower than the loop that always runs to the end), and SIMD intrinsics (the compiler does as well
from plain C, also on ARM).
"""
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memchr, memcmp


cdef extern from *:
    """
    /* 1 if the bytes hold a backslash, or the start of a string that could be a key we route by. */
    static inline int presence_may_hold_key(const unsigned char *p, Py_ssize_t n)
    {
        unsigned char found = 0;
        Py_ssize_t i;
        for (i = 0; i + 2 < n; i++) {
            unsigned char a = p[i], b = p[i + 1], c = p[i + 2];
            found |= (unsigned char)(a == '\\\\');
            found |= (unsigned char)((a == '"')
                                     & (((b == 's') & (c == 'e')) | ((b == 't') & (c == 'y'))
                                        | ((b == 'u') & (c == 's')) | ((b == 'd') & (c == 'a'))));
        }
        for (; i < n; i++)
            found |= (unsigned char)(p[i] == '\\\\');
        return found;
    }
    #define PRESENCE_STATE_EVENT "routing.agents.state"
    #define PRESENCE_HEAD "{\\"type\\":\\"" PRESENCE_STATE_EVENT "\\",\\"sequence\\":"
    #define PRESENCE_MIDDLE ",\\"data\\":{\\"userId\\":\\""
    #define PRESENCE_LENGTH(literal) ((Py_ssize_t)sizeof(literal) - 1)
    """
    int presence_may_hold_key(const unsigned char* p, Py_ssize_t n) noexcept nogil
    const char* STATE_EVENT "PRESENCE_STATE_EVENT"
    const char* HEAD "PRESENCE_HEAD"
    const char* MIDDLE "PRESENCE_MIDDLE"
    Py_ssize_t STATE_EVENT_LENGTH "PRESENCE_LENGTH(PRESENCE_STATE_EVENT)"
    Py_ssize_t HEAD_LENGTH "PRESENCE_LENGTH(PRESENCE_HEAD)"
    Py_ssize_t MIDDLE_LENGTH "PRESENCE_LENGTH(PRESENCE_MIDDLE)"

cdef enum:
    USER_ID_BYTES_MAX = 128     # actors.messages.control.USER_ID_BYTES_MAX, which a test compares
    DIGITS_MAX = 19             # 2^62 has 19 digits, and any 19 digits fit in 64 bits unsigned
    PARTITION_MASK = 63
cdef uint64_t SEQUENCE_END = (<uint64_t>1) << 62


cdef uint64_t fnv1a_64(const unsigned char* payload, Py_ssize_t length) noexcept nogil:
    cdef uint64_t hashed = 0xCBF29CE484222325
    cdef Py_ssize_t i
    for i in range(length):
        hashed = (hashed ^ payload[i]) * <uint64_t>0x100000001B3
    return hashed


cdef inline Py_ssize_t read_sequence(
    const unsigned char* text, Py_ssize_t length, int64_t* sequence
) noexcept nogil:
    """How many digits spell an integer in 0 < n < 2^62 at the start of the text; 0 if none do."""
    cdef uint64_t value = 0
    cdef Py_ssize_t i = 0
    if length == 0 or text[0] == c"0":      # JSON knows no leading zero, and 0 is no sequence
        return 0
    while i < length and c"0" <= text[i] <= c"9":
        if i == DIGITS_MAX:
            return 0
        value = value * 10 + (text[i] - c"0")
        i += 1
    if i == 0 or value >= SEQUENCE_END:
        return 0
    sequence[0] = <int64_t>value
    return i


cdef bint route_usual(const unsigned char* frame, Py_ssize_t length, Route* route) noexcept nogil:
    """The shape that the gateway writes:
    {"type":"routing.agents.state","sequence":n,"data":{"userId":"…"…"""
    cdef Py_ssize_t at, digits, room
    cdef const unsigned char* quote
    if length < HEAD_LENGTH + MIDDLE_LENGTH + 6 or memcmp(frame, HEAD, HEAD_LENGTH) != 0:
        return False
    at = HEAD_LENGTH
    digits = read_sequence(frame + at, length - at, &route.sequence)
    at += digits
    if digits == 0 or length - at < MIDDLE_LENGTH + 4:
        return False
    if memcmp(frame + at, MIDDLE, MIDDLE_LENGTH) != 0:
        return False
    at += MIDDLE_LENGTH
    room = length - at
    if room > USER_ID_BYTES_MAX + 1:
        room = USER_ID_BYTES_MAX + 1
    quote = <const unsigned char*>memchr(frame + at, c'"', room)
    if quote == NULL or quote == frame + at:
        return False
    # From the first byte of the id on: a backslash in the id counts, its opening quote does not (an
    # id may begin with "us").
    if presence_may_hold_key(frame + at, length - at):
        return False
    route.partition = <int>(fnv1a_64(frame + at, quote - (frame + at)) & PARTITION_MASK)
    return True


cdef enum Key:
    OTHER, TYPE, SEQUENCE, DATA, USER_ID


cdef inline Key key_of(const unsigned char* text, Py_ssize_t length) noexcept nogil:
    if length == 4:
        if memcmp(text, b"type", 4) == 0:
            return Key.TYPE
        if memcmp(text, b"data", 4) == 0:
            return Key.DATA
    elif length == 6 and memcmp(text, b"userId", 6) == 0:
        return Key.USER_ID
    elif length == 8 and memcmp(text, b"sequence", 8) == 0:
        return Key.SEQUENCE
    return Key.OTHER


cdef inline Py_ssize_t skip_space(
    const unsigned char* frame, Py_ssize_t at, Py_ssize_t length
) noexcept nogil:
    while at < length and (
        frame[at] == c" " or frame[at] == c"\n" or frame[at] == c"\r" or frame[at] == c"\t"
    ):
        at += 1
    return at


cdef inline Py_ssize_t string_end(
    const unsigned char* frame, Py_ssize_t at, Py_ssize_t length
) noexcept nogil:
    """The place of the quote that ends the string whose content starts at `at`; -1 without one."""
    cdef const unsigned char* quote = <const unsigned char*>memchr(frame + at, c'"', length - at)
    return -1 if quote == NULL else quote - frame


cdef bint take_value(
    const unsigned char* frame,
    Py_ssize_t at,
    Py_ssize_t length,
    Key key,
    int depth,
    bint in_data,
    Route* route,
) noexcept nogil:
    """Whether the value at `at` is what this key must hold at this place."""
    cdef Py_ssize_t end
    if at >= length:
        return False
    if key == Key.SEQUENCE:
        end = read_sequence(frame + at, length - at, &route.sequence)
        at = skip_space(frame, at + end, length)
        return depth == 1 and end > 0 and at < length and (frame[at] == c"," or frame[at] == c"}")
    if key == Key.DATA:
        return depth == 1 and frame[at] == c"{"
    if frame[at] != c'"':
        return False
    at += 1
    end = string_end(frame, at, length)
    if key == Key.TYPE:
        return (
            depth == 1
            and end - at == STATE_EVENT_LENGTH
            and memcmp(frame + at, STATE_EVENT, STATE_EVENT_LENGTH) == 0
        )
    if not in_data or depth != 2 or end <= at or end - at > USER_ID_BYTES_MAX:
        return False
    route.partition = <int>(fnv1a_64(frame + at, end - at) & PARTITION_MASK)
    return True


cdef bint route_scanned(const unsigned char* frame, Py_ssize_t length, Route* route) noexcept nogil:
    """Any order and spacing of keys, each exactly once."""
    cdef Py_ssize_t at, end
    cdef int depth = 0, seen = 0
    cdef bint in_data = False
    cdef Key key
    cdef unsigned char byte
    if memchr(frame, c"\\", length) != NULL:
        return False
    at = skip_space(frame, 0, length)
    if at == length or frame[at] != c"{":
        return False
    while at < length:
        byte = frame[at]
        if byte == c'"':
            end = string_end(frame, at + 1, length)
            if end < 0:
                return False
            key = key_of(frame + at + 1, end - at - 1)
            at = end + 1
            if key == Key.OTHER:
                continue
            at = skip_space(frame, at, length)
            if at == length or frame[at] != c":":
                continue                    # a value that is spelt like a key
            at = skip_space(frame, at + 1, length)
            if seen & (1 << <int>key):
                return False
            if not take_value(frame, at, length, key, depth, in_data, route):
                return False
            seen |= 1 << <int>key
            if key == Key.DATA:             # its brace is taken here: only this object is data
                in_data = True
                depth += 1
                at += 1
            continue
        if byte == c"{" or byte == c"[":
            depth += 1
        elif byte == c"}" or byte == c"]":
            if depth == 2:
                in_data = False
            depth -= 1
        at += 1
    return seen == (
        1 << <int>Key.TYPE | 1 << <int>Key.SEQUENCE | 1 << <int>Key.DATA | 1 << <int>Key.USER_ID
    )


cdef bint route_frame(const unsigned char* frame, Py_ssize_t length, Route* route) noexcept nogil:
    return route_usual(frame, length, route) or route_scanned(frame, length, route)


# The same for tests and tools.

def partition(bytes user_id not None) -> int:
    """The twin of `actors.messages.partition.partition`, for the UTF-8 bytes of an id."""
    return <int>(fnv1a_64(user_id, len(user_id)) & PARTITION_MASK)


def routed(bytes frame not None):
    """(partition, sequence) as the listener's fast path sees it, or None: a full parse decides."""
    cdef Route route
    return (route.partition, route.sequence) if route_frame(frame, len(frame), &route) else None


def routed_usual(bytes frame not None):
    """As `routed`, by the prefix alone."""
    cdef Route route
    return (route.partition, route.sequence) if route_usual(frame, len(frame), &route) else None


def routed_scanned(bytes frame not None):
    """As `routed`, by the general scan alone."""
    cdef Route route
    return (route.partition, route.sequence) if route_scanned(frame, len(frame), &route) else None

"""Changes: one change of one agent, and those that updates caused. Inline C for `frames.pyx`."""

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport realloc
from libc.string cimport memcpy

cdef enum:
    ID_SIZE = 36


cdef struct Change:
    int64_t step                # of the script
    int32_t agent
    int32_t queue
    int state
    int presence
    bint has_presence
    bint has_correlation
    const char *correlation     # NULL: computed from the step


cdef struct Caused:
    int64_t number              # of the event
    int32_t agent
    int32_t queue
    int state
    int presence
    char correlation[ID_SIZE]


cdef struct CausedList:
    Caused *at
    Py_ssize_t count


cdef inline int add_caused(CausedList *all, const Caused *one, const char *correlation) except -1:
    cdef Caused *larger = <Caused *> realloc(all.at, sizeof(Caused) * (all.count + 1))
    if larger == NULL:
        raise MemoryError
    all.at = larger
    larger[all.count] = one[0]
    memcpy(larger[all.count].correlation, correlation, ID_SIZE)
    all.count += 1
    return 0


cdef inline Change change_of(Caused *caused) noexcept nogil:
    cdef Change change
    change.step, change.agent, change.queue = -1, caused.agent, caused.queue
    change.state, change.presence = caused.state, caused.presence
    change.has_presence = change.has_correlation = True
    change.correlation = caused.correlation
    return change

"""Desks: what waits to be written, one desk for each channel, and copies that come again later.
Inline C for `activity.pyx`.
"""

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

cdef enum:
    DESK_SIZE_MIN = 16384


cdef struct Desk:
    char *at
    Py_ssize_t size
    Py_ssize_t room
    int64_t frames
    bint is_open                # a socket is there; else what happens is lost


cdef struct Late:               # a copy of frames, to be sent again
    int64_t due
    int32_t channel
    Py_ssize_t size
    char *at
    Late *next


cdef struct LateList:           # in the order in which they are due
    Late *first
    Late *last
    int64_t told


cdef inline char *room_for(Desk *desk, Py_ssize_t size) noexcept nogil:
    """NULL: there is no memory."""
    cdef Py_ssize_t room = desk.room
    cdef char *larger
    if desk.size + size > room:
        while desk.size + size > room:
            room = 2 * room if room else DESK_SIZE_MIN
        larger = <char *> realloc(desk.at, room)
        if larger == NULL:
            return NULL
        desk.at, desk.room = larger, room
    return desk.at + desk.size


cdef inline bint keep_late(LateList *all, Desk *desk, int32_t channel, Py_ssize_t before,
                           int64_t due) noexcept nogil:
    """A copy of what was put on the desk since it held `before` bytes. False: no memory."""
    cdef Py_ssize_t size = desk.size - before
    cdef Late *late
    if size == 0:
        return True
    late = <Late *> malloc(sizeof(Late))
    if late == NULL:
        return False
    late.at = <char *> malloc(size)
    if late.at == NULL:
        free(late)
        return False
    memcpy(late.at, desk.at + before, size)
    late.due, late.channel, late.size, late.next = due, channel, size, NULL
    if all.last == NULL:
        all.first = late
    else:
        all.last.next = late
    all.last = late
    return True


cdef inline void drop_first(LateList *all) noexcept nogil:
    cdef Late *late = all.first
    all.first = late.next
    if late.next == NULL:
        all.last = NULL
    free(late.at)
    free(late)


cdef inline bint tell_late(LateList *all, Desk *desks, int64_t now) noexcept nogil:
    """What is due goes on its desk, if a socket is there. False: no memory."""
    cdef Desk *desk
    cdef char *to
    while all.first != NULL and all.first.due <= now:
        desk = desks + all.first.channel
        if desk.is_open:
            to = room_for(desk, all.first.size)
            if to == NULL:
                return False
            memcpy(to, all.first.at, all.first.size)
            desk.size += all.first.size
            desk.frames += 1
            all.told += 1
        drop_first(all)
    return True

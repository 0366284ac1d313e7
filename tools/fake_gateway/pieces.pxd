"""Pieces: a number per event, growing evenly piece by piece. Inline C for `frames.pyx`."""

from libc.stdint cimport int64_t
from libc.stdlib cimport realloc


cdef struct Piece:              # event n has the value start + (n - first) * step
    int64_t first
    int64_t start
    int64_t step


cdef struct Pieces:             # of event times, or (step 1) of a numbering
    Piece *at
    Py_ssize_t count
    Py_ssize_t place            # of the last look-up: neighbours share it


cdef inline int add_piece(Pieces *pieces, int64_t first, int64_t start, int64_t step) except -1:
    """One that begins at the same event as the last replaces it."""
    assert pieces.count > 0 or first == 0, first
    if pieces.count and pieces.at[pieces.count - 1].first == first:
        pieces.count -= 1
    cdef Piece *larger = <Piece *> realloc(pieces.at, sizeof(Piece) * (pieces.count + 1))
    if larger == NULL:
        raise MemoryError
    pieces.at = larger
    pieces.at[pieces.count].first = first
    pieces.at[pieces.count].start = start
    pieces.at[pieces.count].step = step
    pieces.count += 1
    pieces.place = 0
    return 0


cdef inline int64_t value_at(Pieces *pieces, int64_t number) noexcept nogil:
    cdef Py_ssize_t low = pieces.place, high, middle
    if not (pieces.at[low].first <= number
            and (low + 1 == pieces.count or number < pieces.at[low + 1].first)):
        low, high = 0, pieces.count
        while high - low > 1:
            middle = (low + high) // 2
            if pieces.at[middle].first <= number:
                low = middle
            else:
                high = middle
        pieces.place = low
    return pieces.at[low].start + (number - pieces.at[low].first) * pieces.at[low].step

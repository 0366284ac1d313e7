"""Text: the pieces of a frame, put byte by byte. Inline C for `frames.pyx`; knows no script."""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy


cdef struct Text:
    const char *at
    Py_ssize_t size


cdef inline uint64_t mix64(uint64_t value) noexcept nogil:
    value += <uint64_t> 0x9E3779B97F4A7C15
    value = (value ^ (value >> 30)) * <uint64_t> 0xBF58476D1CE4E5B9
    value = (value ^ (value >> 27)) * <uint64_t> 0x94D049BB133111EB
    return value ^ (value >> 31)


cdef inline char *put(char *to, Text text) noexcept nogil:
    memcpy(to, text.at, text.size)
    return to + text.size


cdef inline char *put_number(char *to, uint64_t value) noexcept nogil:
    cdef char digits[20]
    cdef int at = 20
    while True:
        at -= 1
        digits[at] = <char> (48 + value % 10)
        value //= 10
        if value == 0:
            break
    memcpy(to, digits + at, 20 - at)
    return to + (20 - at)


cdef inline void put_digits(char *to, int64_t value, int width) noexcept nogil:
    while width > 0:
        width -= 1
        to[width] = <char> (48 + value % 10)
        value //= 10


cdef inline char *put_key(char *to, Text key) noexcept nogil:
    to[0], to[1] = 34, 44                          # '",': ends the value before it
    return put(to + 2, key)


cdef inline void put_second(char *to, int64_t second) noexcept nogil:
    """Days to a civil date: eras of 400 years that begin in March (proleptic Gregorian)."""
    cdef int64_t days = second // 86400 + 719468
    cdef int64_t in_day = second % 86400
    cdef int64_t era = days // 146097
    cdef int64_t of_era = days - era * 146097
    cdef int64_t year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    cdef int64_t of_year = of_era - (365 * year + year // 4 - year // 100)
    cdef int64_t march = (5 * of_year + 2) // 153
    cdef int64_t month = march + 3 if march < 10 else march - 9
    put_digits(to, year + era * 400 + (1 if month <= 2 else 0), 4)
    put_digits(to + 5, month, 2)
    put_digits(to + 8, of_year - (153 * march + 2) // 5 + 1, 2)
    put_digits(to + 11, in_day // 3600, 2)
    put_digits(to + 14, in_day // 60 % 60, 2)
    put_digits(to + 17, in_day % 60, 2)
    to[4] = to[7] = 45           # '-'
    to[10] = 84                           # 'T'
    to[13] = to[16] = 58         # ':'
    to[19] = 46                           # '.'


cdef inline char *put_uuid4(char *to, uint64_t high, uint64_t low) noexcept nogil:
    cdef uint64_t half[2]
    cdef int i, at = 0
    half[0] = (high & ~(<uint64_t> 0xF000)) | 0x4000                    # version 4
    half[1] = (low & ~(<uint64_t> 0xC << 60)) | (<uint64_t> 0x8 << 60)  # its variant
    for i in range(32):
        if i == 8 or i == 12 or i == 16 or i == 20:
            to[at] = 45
            at += 1
        to[at] = b"0123456789abcdef"[(half[i >> 4] >> (60 - 4 * (i & 15))) & 15]
        at += 1
    return to + 36

"""atomics: the few memory orders that shared words need; knows no layout.

GCC and Clang builtins, in C functions that say their order in their name. On x86-64 a load_acquire
and a store_release are plain moves; on aarch64 they are ldar and stlr, which is what makes the ring
right there. Every shared word is 64 bits wide and aligned, so none is ever seen torn.
"""

from libc.stdint cimport uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    static inline uint64_t load_relaxed(const uint64_t *word) {
        return __atomic_load_n(word, __ATOMIC_RELAXED);
    }
    static inline uint64_t load_acquire(const uint64_t *word) {
        return __atomic_load_n(word, __ATOMIC_ACQUIRE);
    }
    static inline void store_relaxed(uint64_t *word, uint64_t value) {
        __atomic_store_n(word, value, __ATOMIC_RELAXED);
    }
    static inline void store_release(uint64_t *word, uint64_t value) {
        __atomic_store_n(word, value, __ATOMIC_RELEASE);
    }
    static inline uint64_t exchange(uint64_t *word, uint64_t value) {
        return __atomic_exchange_n(word, value, __ATOMIC_SEQ_CST);
    }
    static inline int compare_exchange(uint64_t *word, uint64_t expected, uint64_t desired) {
        return __atomic_compare_exchange_n(
            word, &expected, desired, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
    static inline void full_fence(void) {
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    }
    """
    uint64_t load_relaxed(const uint64_t *word) noexcept nogil
    uint64_t load_acquire(const uint64_t *word) noexcept nogil
    void store_relaxed(uint64_t *word, uint64_t value) noexcept nogil
    void store_release(uint64_t *word, uint64_t value) noexcept nogil
    uint64_t exchange(uint64_t *word, uint64_t value) noexcept nogil
    bint compare_exchange(uint64_t *word, uint64_t expected, uint64_t desired) noexcept nogil
    void full_fence() noexcept nogil

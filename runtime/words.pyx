# cython: language_level=3
# distutils: extra_compile_args = -O3
"""Words: a block seen as signed 64-bit words, stored in order; knows no word's meaning.

Each load is an acquire, each store a release: whoever sees a store sees all those before it, too.
(Stores through Python's own memoryview may overtake each other on aarch64; a mark is two words.)
"""

cimport cython
from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint64_t

from runtime.atomics cimport load_acquire, store_release


@cython.no_gc_clear  # until __dealloc__ the buffer is ours, also within a cycle
cdef class Words:
    """One writer per word, any number of readers."""

    def __cinit__(self, buffer):
        PyObject_GetBuffer(buffer, &self.view, PyBUF_WRITABLE)
        self.start = <uint64_t *> self.view.buf
        self.count = self.view.len // 8

    def __dealloc__(self):
        PyBuffer_Release(&self.view)

    def __len__(self):
        return self.count

    def load(self, Py_ssize_t slot):
        return <int64_t> load_acquire(self.at(slot))

    def store(self, Py_ssize_t slot, int64_t value):
        store_release(self.at(slot), <uint64_t> value)

    def add(self, Py_ssize_t slot, int64_t value):
        """For the word's one writer; wraps at 64 bits."""
        cdef uint64_t *word = self.at(slot)
        store_release(word, word[0] + <uint64_t> value)

    cdef uint64_t *at(self, Py_ssize_t slot) except NULL:
        if not 0 <= slot < self.count:
            raise IndexError(f"word {slot} of {self.count}")
        return self.start + slot

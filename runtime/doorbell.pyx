# cython: language_level=3, boundscheck=False, wraparound=False
# distutils: extra_compile_args = -O3
"""Doorbell: wakes one sleeping reader, for a few nanoseconds when it is awake; knows no ring.

An eventfd and one word of shared memory, alone on its cache line: `asleep`. The theory is Dekker's:
each side writes its own word, then looks at the other's, with a full fence in between, so that at
least one of the two sees the other.

    writer                              reader
    publish a record                    announce: asleep = 1
    full fence                          full fence
    asleep? then asleep = 0, write      look once more, and only then wait

Without the fences both may look before either store is visible, and the reader sleeps on a full
ring. The exchange makes one writer of many the one that rings. A writer that is killed between
publish and ring, or between exchange and write, leaves a sleeper that nobody wakes: so every wait
has a deadline, after which the reader looks again, and whoever attaches as a writer rings once.

offset  bits
0       asleep (u64; the reader stores 1 and 0, a ringing writer exchanges it for 0)
8..63   nothing, so that the word has its cache line for itself
"""

import os

cimport cython
from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EINTR, errno
from libc.stdint cimport int64_t, uint64_t
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec
from posix.unistd cimport close, read, write

from runtime.atomics cimport exchange, full_fence, load_relaxed, store_relaxed

from runtime.block import Block

cdef extern from "poll.h" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    short POLLIN
    int ppoll(pollfd *fds, unsigned long count, const timespec *timeout, const void *mask)

cdef enum:
    BLOCK_BYTES = 64
    SECOND_NS = 1_000_000_000

WAIT_S_MAX = 3600.0  # a longer wait is cut: the caller looks again after it anyway


@cython.no_gc_clear  # until __dealloc__ the buffer is ours, also within a cycle
cdef class Doorbell:
    """One reader; any number of writers, in any process."""

    def __cinit__(self, block, int event_fd, bint closes_fd):
        self.event_fd = event_fd
        self.closes_fd = closes_fd
        self.block = block
        PyObject_GetBuffer(block.mapping, &self.view, PyBUF_WRITABLE)
        self.asleep = <uint64_t *> self.view.buf

    def __dealloc__(self):
        PyBuffer_Release(&self.view)
        if self.closes_fd:
            close(self.event_fd)

    @classmethod
    def create(cls, name: str) -> Doorbell:
        block = Block.create(name, BLOCK_BYTES)
        return cls(block, os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK), True)

    @property
    def fds(self):
        """What a child must inherit to ring or to answer."""
        return (*self.block.fds, self.event_fd)

    def fileno(self):
        return self.event_fd

    def __reduce__(self):
        return _attach, (self.block, self.event_fd)

    def __repr__(self):
        return f"Doorbell({self.block.name!r}, fd {self.event_fd})"

    # Writers

    def ring(self):
        """Wake the reader if it has announced that it sleeps. True if it was this call that did."""
        return self.ring_if_asleep()

    def ring_always(self):
        """Wake the reader now, or spare it its next sleep."""
        self.ring_regardless()

    cdef bint ring_if_asleep(self) noexcept nogil:
        full_fence()
        if load_relaxed(self.asleep) == 0 or exchange(self.asleep, 0) == 0:
            return False
        return self.ring_regardless()

    cdef bint ring_regardless(self) noexcept nogil:
        cdef uint64_t one = 1
        # Fails only when the count is full (2^64 - 2), and then the reader is awake anyway.
        return write(self.event_fd, &one, sizeof(one)) == sizeof(one)

    # The reader: announce, look once more, wait, cancel.

    def announce(self):
        """From now on writers ring. Look once more before you wait."""
        store_relaxed(self.asleep, 1)
        full_fence()

    def cancel(self):
        """Awake: writers need not ring, and what they rang is taken off."""
        cdef uint64_t count
        store_relaxed(self.asleep, 0)
        read(self.event_fd, &count, sizeof(count))  # EAGAIN when nobody rang

    def wait(self, double timeout_s):
        """Sleep until somebody rings or `timeout_s` is over. True if somebody rang."""
        cdef pollfd watched
        cdef timespec remaining
        cdef int ready
        cdef int64_t left_ns = <int64_t> (min(max(timeout_s, 0.0), WAIT_S_MAX) * SECOND_NS)
        cdef int64_t deadline_ns = monotonic_ns() + left_ns
        watched.fd = self.event_fd
        watched.events = POLLIN
        while True:
            remaining.tv_sec = left_ns // SECOND_NS
            remaining.tv_nsec = left_ns % SECOND_NS
            with nogil:
                ready = ppoll(&watched, 1, &remaining, NULL)
            if ready >= 0:
                return ready > 0
            if errno != EINTR:
                raise OSError(errno, os.strerror(errno))
            PyErr_CheckSignals()  # runs the handlers, in the main thread; they may raise
            left_ns = max(<int64_t> 0, deadline_ns - monotonic_ns())


cdef int64_t monotonic_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <int64_t> now.tv_sec * SECOND_NS + now.tv_nsec


def _attach(block, int event_fd):
    """The same doorbell in a child that inherited its descriptors; as a block's, they stay open."""
    os.set_inheritable(event_fd, False)
    return Doorbell(block, event_fd, False)

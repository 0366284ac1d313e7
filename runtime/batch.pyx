# cython: language_level=3, boundscheck=False, wraparound=False
# distutils: extra_compile_args = -O3
"""Batch: the records lent by one peek; knows the memory they stand in, not the ring around it."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.ref cimport Py_INCREF
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from runtime.record cimport RecordHeader, Span


cdef Batch lend(
    object keeper, const uint64_t *committed, const Span *spans, Py_ssize_t count,
    uint64_t cursor_to,
):
    """A batch of the `count` records in `spans`, their headers unpacked in one pass.

    `keeper` keeps the memory that `spans` and `committed` point into.
    """
    cdef Batch batch = Batch.__new__(Batch)
    cdef const RecordHeader *header
    cdef Py_ssize_t i
    batch.spans = <Span *> PyMem_Malloc(count * sizeof(Span))
    if batch.spans is NULL:
        raise MemoryError
    memcpy(batch.spans, spans, count * sizeof(Span))
    batch.keeper = keeper
    batch.committed = committed
    batch.count = count
    batch.cursor_from = committed[0]
    batch.cursor_to = cursor_to
    batch.kinds = PyBytes_FromStringAndSize(NULL, count)
    batch.flags = PyBytes_FromStringAndSize(NULL, count)
    batch.epochs = PyList_New(count)
    batch.sequences = PyList_New(count)
    batch.received_ns = PyList_New(count)
    cdef char *kinds = PyBytes_AS_STRING(batch.kinds)
    cdef char *flags = PyBytes_AS_STRING(batch.flags)
    for i in range(count):
        header = <const RecordHeader *> (batch.spans[i].start - sizeof(RecordHeader))
        kinds[i] = <char> header.kind
        flags[i] = <char> header.flags
        fill(batch.epochs, i, header.epoch)
        fill(batch.sequences, i, header.sequence)
        fill(batch.received_ns, i, header.received_ns)
    return batch


cdef inline int fill(list numbers, Py_ssize_t i, number) except -1:
    Py_INCREF(number)  # the list takes this reference over
    PyList_SET_ITEM(numbers, i, number)
    return 0


cdef class Batch:
    """Made by `Consumer.peek` only. Once committed its payloads are gone; its other fields stay.

    `kinds`, `flags`: a byte per record. `epochs`, `sequences`, `received_ns`: a number per record.
    """

    def __init__(self):
        raise TypeError("a batch is lent by Consumer.peek")

    def __dealloc__(self):
        PyMem_Free(self.spans)

    def __len__(self):
        return self.count

    def frame(self, Py_ssize_t i):
        """A copy of the payload of record `i`."""
        check_lent(self, i, i + 1)
        return PyBytes_FromStringAndSize(self.spans[i].start, self.spans[i].length)

    def joined(self, Py_ssize_t first, Py_ssize_t last, bytes separator not None):
        """b"[" + separator.join(payloads[first:last]) + b"]", each payload copied once."""
        check_lent(self, first, last)
        cdef Py_ssize_t gap = PyBytes_GET_SIZE(separator)
        cdef const char *between = PyBytes_AS_STRING(separator)
        cdef Py_ssize_t size = 2 + (gap * (last - first - 1) if last > first else 0)
        cdef Py_ssize_t i
        for i in range(first, last):
            size += self.spans[i].length
        cdef bytes result = PyBytes_FromStringAndSize(NULL, size)
        cdef char *target = PyBytes_AS_STRING(result)
        target[0] = b"["
        target += 1
        for i in range(first, last):
            if i > first:
                memcpy(target, between, gap)
                target += gap
            memcpy(target, self.spans[i].start, self.spans[i].length)
            target += self.spans[i].length
        target[0] = b"]"
        return result


cdef inline int check_lent(Batch batch, Py_ssize_t first, Py_ssize_t last) except -1:
    # Not `assert`, which `python -O` leaves out of Cython as well: this guards memory.
    if not 0 <= first <= last <= batch.count:
        raise IndexError(f"records {first} to {last} of a batch of {batch.count}")
    # What was committed is overwritten at any moment.
    if batch.committed[0] != batch.cursor_from:
        raise AssertionError(f"the batch up to cursor {batch.cursor_to} was committed")
    return 0

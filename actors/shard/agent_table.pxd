cdef class Agent:
    cdef public object user_id
    cdef public object state
    cdef public object queue
    cdef public object presence
    cdef public object appointment
    cdef public object native
    cdef public long long id
    cdef public long long at_us
    cdef public long long epoch
    cdef public long long sequence
    cdef public long long row
    cdef public long long named
    cdef public bint is_placed

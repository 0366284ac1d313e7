# Routing of one frame of a channel, for its listener: see topic_routing.pyx.

# Whether the frame is an agent's event beyond doubt; its partition, 0..63.
cdef bint route_topic(const unsigned char* frame, Py_ssize_t length, int* partition) noexcept nogil

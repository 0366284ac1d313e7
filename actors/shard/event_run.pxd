cimport cython

from actors.shard.agent_table cimport Agent


@cython.locals(
    agent=Agent,
    data=dict,
    by_user=dict,
    states=dict,
    queues=dict,
    rows=list,
    younger=set,
    slots="long long[:]",
    index=Py_ssize_t,
    sequence="long long",
    at_us="long long",
    epoch="long long",
    row="long long",
    mark="long long",
    limit="long long",
    slot_mask="long long",
    applied="long long",
    duplicates="long long",
)
cpdef judge_run(
    object merge,
    object values,
    object received_ns,
    bytes flags,
    Py_ssize_t first,
    Py_ssize_t last,
    list findings,
)

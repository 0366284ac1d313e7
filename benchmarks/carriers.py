"""Carriers: what else carries bytes between two processes, each written as well as one can.

Each in two ways: a message for every record, and a message for each group of 64, packed by hand,
which is what our ring does by itself when a producer publishes once per group.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import zmq

from benchmarks.records import END, GROUP, RECORD_BYTES, Arrival, Departure, Records

SPAWN = multiprocessing.get_context("spawn")
QUEUE_RECORDS_MAX = 1_000
"""Faster than 250, 4,000, 20,000 and no bound, of which the last also grows into the memory."""
ZMQ_RECORDS_MAX = 100_000
"""Faster than 1,000 and 20,000."""


def in_child(produce: Callable[..., None], *arguments: Any) -> Any:
    process = SPAWN.Process(target=produce, args=arguments, daemon=True)
    process.start()
    return process


# multiprocessing.Queue


def queue(seed: int, seconds: float, *, grouped: bool) -> dict[str, float]:
    records = Records.of(seed)
    carrier: Queue[Any] = SPAWN.Queue(QUEUE_RECORDS_MAX // (GROUP if grouped else 1))
    process = in_child(produce_to_queue, carrier, seed, seconds, grouped)
    first = carrier.get()
    arrival = Arrival()
    count, end = (queue_groups if grouped else queue_records)(carrier.get, first, arrival)
    figures = arrival.verified("multiprocessing.Queue", count, end, records)
    process.join()
    return figures


def queue_records(get: Callable[[], bytes], record: bytes, arrival: Arrival) -> tuple[int, bytes]:
    update = arrival.digest.update
    count = 0
    while len(record) != END.size:
        update(record)
        count += 1
        record = get()
    return count, record


def queue_groups(get: Callable[[], Any], group: Any, arrival: Arrival) -> tuple[int, bytes]:
    update = arrival.digest.update
    count = 0
    while type(group) is tuple:
        for record in group:
            update(record)
        count += len(group)
        group = get()
    return count, group


def produce_to_queue(carrier: Queue[Any], seed: int, seconds: float, grouped: bool) -> None:
    departure = Departure()
    put = carrier.put
    for group in Records.of(seed).for_seconds(seconds, departure):
        if grouped:
            put(group)
        else:
            for record in group:
                put(record)
    put(departure.end())


# multiprocessing.Pipe


def pipe(seed: int, seconds: float, *, grouped: bool) -> dict[str, float]:
    records = Records.of(seed)
    there, here = SPAWN.Pipe(duplex=False)
    process = in_child(produce_to_pipe, here, seed, seconds, grouped)
    here.close()
    figures = receive("multiprocessing.Pipe", there.recv_bytes, records)
    process.join()
    there.close()
    return figures


def produce_to_pipe(
    carrier: Connection[Any, Any], seed: int, seconds: float, grouped: bool
) -> None:
    send_all(carrier.send_bytes, seed, seconds, grouped=grouped)


# ZeroMQ


def zeromq(seed: int, seconds: float, *, grouped: bool) -> dict[str, float]:
    """PUSH to PULL over ipc; copying, which is faster than not for messages of this size."""
    records = Records.of(seed)
    with tempfile.TemporaryDirectory() as directory, zmq.Context() as context:
        address = f"ipc://{Path(directory) / 'records'}"
        socket = context.socket(zmq.PULL)
        socket.set_hwm(ZMQ_RECORDS_MAX)
        socket.bind(address)
        process = in_child(produce_to_zeromq, address, seed, seconds, grouped)
        figures = receive("pyzmq", socket.recv, records)
        process.join()
        socket.close()
    return figures


def produce_to_zeromq(address: str, seed: int, seconds: float, grouped: bool) -> None:
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        socket.set_hwm(ZMQ_RECORDS_MAX)
        socket.connect(address)
        send_all(socket.send, seed, seconds, grouped=grouped)


# Whatever carries bytes


def send_all(send: Callable[[bytes], Any], seed: int, seconds: float, *, grouped: bool) -> None:
    departure = Departure()
    for group in Records.of(seed).for_seconds(seconds, departure):
        if grouped:
            send(b"".join(group))
        else:
            for record in group:
                send(record)
    send(departure.end())


def receive(what: str, get: Callable[[], bytes], records: Records) -> dict[str, float]:
    message = get()
    arrival = Arrival()
    update = arrival.digest.update
    count = 0
    while len(message) != END.size:
        update(message)
        count += len(message) // RECORD_BYTES
        message = get()
    return arrival.verified(what, count, message, records)

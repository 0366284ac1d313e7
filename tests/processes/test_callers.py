"""A thousand callers at once against a real runtime; the gateway's ledger is the judge."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from itertools import accumulate

import pytest

from actors.sender.commands import Command, CommandStep
from actors.settings.sender import SenderSettings
from actors.web.address import connect_path
from tests.processes.service import AGENTS, Service, eventually

CALLERS = 1_000
BODY = json.dumps({"state": "available"}).encode()  # from wherever an agent is, it may go there
LIMITS = SenderSettings()
ENDED, ACCEPTED, TOO_MANY = 200, 202, 429
NOT_KNOWN = 503  # nobody has answered in time: it may be taken all the same


async def call(path: str, user: str) -> int:
    """The status of the answer. A connection of its own, as a thousand programs would have."""
    reader, writer = await asyncio.open_unix_connection(path)
    head = (
        f"POST /api/agents/{user}/presence HTTP/1.1\r\nHost: runtime\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
    )
    writer.write(head.encode() + BODY)
    try:
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()


def is_served(service: Service) -> bool:
    with connect_path(service.data_dir) as path, socket.socket(socket.AF_UNIX) as caller:
        return caller.connect_ex(path) == 0


def all_at_once(service: Service) -> Counter[int]:
    users = service.gateway.users(AGENTS)

    async def call_all(path: str) -> list[int]:
        calls = (call(path, users[number % AGENTS]) for number in range(CALLERS))
        return await asyncio.gather(*calls)

    with connect_path(service.data_dir) as path:
        return Counter(asyncio.run(call_all(path)))


def settled(service: Service) -> list[Command]:
    """All commands with their ends, in the order in which they were sent."""
    eventually(lambda: all(each.step.is_end for each in service.commands()), "the ends")
    return sorted(service.commands(), key=lambda each: each.first_sent_us or 0)


def updates(service: Service) -> list[dict[str, object]]:
    lines = (service.ledger / "ledger.jsonl").read_text().splitlines()
    return [told for told in map(json.loads, lines) if told["kind"] == "update"]


def test_no_second_has_more_updates_than_the_limit_and_each_that_was_taken_is_applied_once(
    service: Service,
) -> None:
    process = service.start()
    eventually(service.has_caught_up, "the history")
    eventually(lambda: is_served(service), "the API")
    answers = all_at_once(service)
    assert set(answers) <= {ENDED, ACCEPTED, TOO_MANY}
    commands = settled(service)
    assert len(commands) == CALLERS
    sent = [each for each in commands if each.first_sent_us is not None]
    refused = Counter(each.code for each in commands if each.first_sent_us is None)
    assert set(refused) == {"rate"}
    assert {each.step for each in sent} == {CommandStep.CONFIRMED}
    most = int(LIMITS.updates_per_s)
    sent_us = [each.first_sent_us or 0 for each in sent]
    assert len(sent_us) >= most
    for earlier_us, later_us in zip(sent_us, sent_us[most:], strict=False):
        assert later_us - earlier_us >= 1_000_000
    service.drain_and_verify(process)
    reached = Counter(told["correlation"] for told in updates(service))
    assert reached == {each.id: 1 for each in sent}


def test_no_more_are_in_flight_than_the_limit_while_the_gateway_is_slow_to_answer(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRESENCE_SENDER__UPDATES_PER_S", "1000")
    process = service.start()
    eventually(service.has_caught_up, "the history")
    service.gateway.inject({"kind": "ack-late", "seconds": 2.0, "count": CALLERS})
    eventually(lambda: is_served(service), "the API")
    answers = all_at_once(service)
    assert set(answers) <= {ENDED, ACCEPTED, TOO_MANY, NOT_KNOWN}
    commands = settled(service)
    refused = Counter(each.code for each in commands if each.first_sent_us is None)
    assert refused["in-flight"] > 0
    assert set(refused) <= {"in-flight", "rate"}  # a sender's first second takes none at all
    sent = [each for each in commands if each.first_sent_us is not None]
    changes = [(each.last_sent_us or 0, 1) for each in sent]
    changes += [(each.acknowledged_us or 0, -1) for each in sent]
    in_flight = list(accumulate(change for _, change in sorted(changes)))
    assert max(in_flight) == LIMITS.in_flight_max
    service.drain_and_verify(process)
    reached = Counter(told["correlation"] for told in updates(service))
    assert reached == {each.id: each.tries for each in sent}

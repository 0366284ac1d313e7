"""Envelope: what a row of a journal looks like to others, as a CloudEvent (version 1.0) in JSON.

Pure. Knows no journal and no sink.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import orjson

from actors.genesys.agent_profile import unknown
from actors.genesys.times import iso_ms
from actors.messages.queues import former_queue, queues_of
from actors.messages.transition import GapRow, JournalRow
from actors.settings.sinks import SinkSettings
from actors.shard.native import native_json, native_of
from runtime.printable import printable_json

TYPE_PREFIX: Final = "io.presence-runtime"
TRANSITION: Final = f"{TYPE_PREFIX}.agent.transition"
GAP: Final = f"{TYPE_PREFIX}.agent.gap"
"""The gateway did not tell us something, and nobody will."""
MISSED: Final = f"{TYPE_PREFIX}.sink.gap"
"""We were told, but this sink was not, and will not be."""

PAST_RETENTION: Final = "past its retention"
JOURNAL_GONE: Final = "the journal is gone"


class LostRows(NamedTuple):
    """Rows that a sink will never be given."""

    journal: str
    first_row: int
    last_row: int | None
    """None: nobody knows how many there were."""
    reason: str
    noticed_us: int


class SinkEvent(NamedTuple):
    """What a sink is given; `subject` keeps the order of what is about the same agent."""

    id: str
    subject: str | None
    body: bytes


class EventEnvelope:
    """For one runtime, whose name is `source`; `agent`: who somebody is, by id."""

    __slots__ = ("_agent", "_source")

    def __init__(self, source: str, agent: Callable[[str], dict[str, Any]] = unknown) -> None:
        self._source = source
        self._agent = agent

    def row(self, row: JournalRow) -> SinkEvent:
        """The same for ever, but for who the agent is by now: whoever is given it twice knows it by
        its id. A journal that was put back from a backup writes other rows under old numbers, but
        at another time."""
        told = f"{row.journal}-{row.row}-{row.received_us:x}"
        if row.gap is not None:
            return self._event(told, GAP, None, row.at_us, _gap(row, row.gap))
        agent = None if row.user_id is None else self._agent(row.user_id)
        return self._event(told, TRANSITION, row.user_id, row.at_us, _transition(row, agent))

    def missed(self, missed: LostRows) -> SinkEvent:
        last = "" if missed.last_row is None else missed.last_row
        data = {
            "journal": missed.journal,
            "first_row": missed.first_row,
            "last_row": missed.last_row,
            "reason": missed.reason,
        }
        told = f"{missed.journal}-{missed.first_row}..{last}"
        return self._event(told, MISSED, None, missed.noticed_us, data)

    def _event(
        self, told: str, kind: str, subject: str | None, at_us: int, data: dict[str, Any]
    ) -> SinkEvent:
        event: dict[str, Any] = {
            "specversion": "1.0",
            "id": told,
            "source": self._source,
            "type": kind,
            "time": iso_ms(at_us),
            "datacontenttype": "application/json",
            "data": data,
        }
        if subject is not None:
            event["subject"] = subject
        return SinkEvent(told, subject, printable_json(orjson.dumps(event)))


def source_of(api_url: str, name: str) -> str:
    """Of all runtimes, this one: whose gateway it serves, and what it is called."""
    host = api_url.partition("://")[2].partition("/")[0]
    return f"//{host}/presence-runtime" + (f"/{name}" if name else "")


def _transition(row: JournalRow, agent: dict[str, Any] | None) -> dict[str, Any]:
    """`agent`: null, if they were forgotten."""
    data: dict[str, Any] = {
        "agent": agent,
        "from": row.from_state,
        "to": row.to_state,
        "at": iso_ms(row.at_us),
        "received_at": iso_ms(row.received_us),
        "queues": queues_of(row.queue),
        "queue": former_queue(row.queue),
        "presence": row.presence,
        "cause": row.cause,
        "position": {"epoch": row.epoch, "sequence": row.sequence},
    }
    if row.correlation is not None:
        data["correlation"] = row.correlation
    if row.native is not None:
        native = native_of(row.native)
        data["native"] = None if native is None else native_json(native)
    return data


def _gap(row: JournalRow, gap: GapRow) -> dict[str, Any]:
    return {
        "scope": gap.scope,
        "since": iso_ms(gap.since_us) if gap.since_us else None,
        "until": iso_ms(gap.at_us),
        "received_at": iso_ms(row.received_us),
        "cause": row.cause,
        "epoch": gap.epoch,
        "first_sequence": gap.first_sequence,
        "last_sequence": gap.last_sequence,
        "reason": gap.reason,
    }


class SinkFilter:
    """Which rows a sink wants. A gap is about everybody: only `causes` can leave it out."""

    __slots__ = ("_causes", "_queues", "_states", "is_open")

    def __init__(self, settings: SinkSettings) -> None:
        self._causes = frozenset(settings.causes)
        self._states = frozenset(settings.states)
        self._queues = frozenset(settings.queues)
        self.is_open = not (self._causes or self._states or self._queues)

    def wants(self, row: JournalRow) -> bool:
        if self._causes and row.cause not in self._causes:
            return False
        if row.gap is not None:
            return True
        if self._states and not self._states & {row.from_state, row.to_state}:
            return False
        return not self._queues or not self._queues.isdisjoint(queues_of(row.queue))

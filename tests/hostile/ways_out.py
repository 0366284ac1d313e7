"""Every way that a committed row and a held agent may leave by: what was accepted comes out of all.

Each raises for what it cannot write. A time comes out as it was told, to the millisecond.
"""

from __future__ import annotations

import orjson

from actors.cli.export_formats import Rows
from actors.genesys.times import microseconds
from actors.messages.queries import AgentRecord
from actors.messages.transition import JournalRow, Transition
from actors.sender.transitions import doubt
from actors.shard.agent_table import Agent
from actors.shard.checkpoint import decode_page, encode_page
from actors.shard.shard import Shard
from actors.sinks.envelope import EventEnvelope
from actors.web.names import Names
from actors.web.rendering import transition_shown

_ENVELOPE = EventEnvelope("hostile")
_EXPORTS = (Rows("jsonl", None), Rows("csv", None))
_NAMES = Names()


def assert_comes_out(row: Transition, user_id: str) -> None:
    told = JournalRow("shard-00", row.id, user_id, *row[3:])
    event = orjson.loads(_ENVELOPE.row(told).body)
    shown = orjson.loads(orjson.dumps(transition_shown(told, _NAMES)))
    line = orjson.loads(_EXPORTS[0].line(told))
    assert _EXPORTS[1].line(told).endswith(b"\n")
    at_us = row.at_us - row.at_us % 1_000
    for text in (event["time"], event["data"]["at"], shown["at"], line["at"]):
        if text is not None or row.at_us:  # the page has no time for the first µs of 1970
            assert microseconds(text) == at_us, (text, row)
    record = AgentRecord(0, user_id, row.to_state, row.presence, row.queue, row.at_us, None)
    assert doubt(record, None) is not None


def assert_restores(shard: Shard) -> None:
    """Every agent is the same in the pages of a checkpoint."""
    agents = [agent for agent in shard.agent_table.by_id if agent.state is not None]
    again = list(decode_page(encode_page(agents)))
    assert list(map(_held, again)) == list(map(_held, agents))


def _held(agent: Agent) -> tuple[object, ...]:
    return agent.user_id, agent.state, agent.at_us, agent.queue, agent.presence, agent.sequence

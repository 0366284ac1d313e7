"""Whoever reads the journal's transitions has the same columns in the same order."""

from __future__ import annotations

import apsw

from actors.shard.agent_table import Transition
from actors.shard.journal import SCHEMA
from actors.shard.reader import TransitionRow
from actors.sinks.envelope import JournalRow

TOLD = Transition._fields[3:]


def test_the_table_the_history_and_the_sinks_name_the_columns_alike() -> None:
    connection = apsw.Connection(":memory:")
    connection.execute(SCHEMA)
    table = connection.execute("SELECT name FROM pragma_table_info('transitions')")
    assert tuple(name for (name,) in table) == Transition._fields
    assert TransitionRow._fields[2:-1] == TOLD
    assert JournalRow._fields[3:-2] == TOLD

"""Whoever reads the journal's transitions has the same columns in the same order."""

from __future__ import annotations

import apsw

from actors.messages.transition import TOLD, JournalRow, Transition
from actors.shard.journal import SCHEMA


def test_the_table_and_the_rows_as_read_name_the_columns_alike() -> None:
    connection = apsw.Connection(":memory:")
    connection.execute(SCHEMA)
    table = connection.execute("SELECT name FROM pragma_table_info('transitions')")
    assert tuple(name for (name,) in table) == Transition._fields
    assert JournalRow._fields[3:-2] == TOLD

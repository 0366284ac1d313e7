"""Forgetting: takes one person out of a journal that nobody else has open.

What happened stays, as rows of nobody: the sum of all outcomes stays exact, and a gateway that
repeats an event finds its number handled. Who it was is gone: the name, the current state, native
values, and the frames in quarantine that mention the person. Agents are numbered without a hole, so
the last one takes the number that becomes free.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

import apsw
import orjson

from actors.genesys import json_text
from actors.messages.mention import Mention, cut_mentions
from actors.shard.checkpoint import page_of
from actors.shard.journal import KIND, dialect_of
from actors.storage import sqlite

CUT_BYTES: Final = 512
"""At the end of a frame that was cut: so much may the beginning of an id take, however spelt."""
NOBODY: Final = 0
"""As `transitions.agent` has it of a gap, too."""


class ForgottenRows(NamedTuple):
    """What one journal held of them."""

    agents: int
    transitions: int
    quarantined: int


def forget(path: Path, user_id: str, mentioned: Mention) -> ForgottenRows:
    """Raises TemporaryError for a disk in trouble; then nothing was changed."""
    with sqlite.erasing(path, KIND) as connection:
        agent = connection.execute("SELECT id FROM agents WHERE user_id = ?", (user_id,)).get
        transitions = 0 if agent is None else _forget_agent(connection, agent)
        return ForgottenRows(
            int(agent is not None), transitions, _forget_frames(connection, user_id, mentioned)
        )


def _forget_agent(connection: apsw.Connection, agent: int) -> int:
    execute = connection.execute
    is_cloud = dialect_of(connection) == "cloud"
    if is_cloud:
        execute(
            "DELETE FROM natives WHERE row IN (SELECT id FROM transitions WHERE agent = ?)",
            (agent,),
        )
        execute("DELETE FROM watched WHERE agent = ?", (agent,))
    execute(
        "UPDATE transitions SET agent = ?, previous = 0, correlation = NULL WHERE agent = ?",
        (NOBODY, agent),
    )
    transitions = connection.changes()
    execute("DELETE FROM agents WHERE id = ?", (agent,))
    _take_from_page(connection, agent)
    last = execute("SELECT max(id) FROM agents").get
    if last is not None and last > agent:
        _renumber(connection, last, agent, is_cloud=is_cloud)
    return transitions


def _renumber(connection: apsw.Connection, old: int, new: int, *, is_cloud: bool) -> None:
    execute = connection.execute
    execute("UPDATE agents SET id = ? WHERE id = ?", (new, old))
    execute("UPDATE transitions SET agent = ? WHERE agent = ?", (new, old))
    if is_cloud:
        execute("UPDATE watched SET agent = ? WHERE agent = ?", (new, old))
    entry = _take_from_page(connection, old)
    if entry is not None:
        _put_into_page(connection, [new, *entry[1:]])


def _take_from_page(connection: apsw.Connection, agent: int) -> list[Any] | None:
    """Its entry, if its page has one; the page is without it then."""
    page = page_of(agent)
    entries = _entries(connection, page)
    mine = next((entry for entry in entries if entry[0] == agent), None)
    if mine is not None:
        _write_page(connection, page, [entry for entry in entries if entry is not mine])
    return mine


def _put_into_page(connection: apsw.Connection, entry: list[Any]) -> None:
    page = page_of(entry[0])
    _write_page(connection, page, sorted([*_entries(connection, page), entry], key=_number))


def _number(entry: list[Any]) -> int:
    return int(entry[0])


def _entries(connection: apsw.Connection, page: int) -> list[list[Any]]:
    data = connection.execute("SELECT data FROM pages WHERE page = ?", (page,)).get
    return [] if data is None else orjson.loads(data)


def _write_page(connection: apsw.Connection, page: int, entries: list[list[Any]]) -> None:
    """True up to row 0: so the next checkpoint writes it anew, whatever was moved into it."""
    if entries:
        connection.execute(
            "INSERT OR REPLACE INTO pages VALUES (?, 0, ?)", (page, orjson.dumps(entries))
        )
    else:
        connection.execute("DELETE FROM pages WHERE page = ?", (page,))


def _texts_in(frame: bytes) -> bytes:
    """What its JSON says, line by line, without any escape; nothing if it is none."""
    try:
        found = [json_text.parsed(frame)]
    except (ValueError, RecursionError):
        return b""
    texts = []
    while found:
        value = found.pop()
        if isinstance(value, dict):
            found += [*value, *value.values()]
        elif isinstance(value, list):
            found += value
        elif isinstance(value, str):
            texts.append(value)
    return "\n".join(texts).encode("utf-8", "surrogatepass")


def _forget_frames(connection: apsw.Connection, user_id: str, mentioned: Mention) -> int:
    """Also those of which no more was kept than the beginning of the id."""
    kept = connection.execute("SELECT hash, reason, frame, bytes FROM quarantine")
    cut = cut_mentions(user_id)
    found = [
        (key,)
        for key, reason, frame, size in kept
        if mentioned.search(frame)
        or mentioned.search(reason.encode())
        or mentioned.search(_texts_in(frame))
        or (cut is not None and size > len(frame) and cut.search(frame[-CUT_BYTES:]))
    ]
    connection.executemany("DELETE FROM quarantine WHERE hash = ?", found)
    return len(found)

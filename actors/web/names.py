"""Names: what people call agents and queues, by id; from the planner's store or from a CSV file.

Knows no agent and no request. A name is hostile text like any other: short enough and sayable in
UTF-8 is all that is made of it here.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Final

from actors.messages.control import Dialect
from actors.messages.spelling import folded
from actors.planner.store import read_names, roster_path
from actors.storage.text_file import read_text
from actors.web.encoding import mended
from runtime.errors import LocalError

NAME_CHARS_MAX: Final = 200
FILE_BYTES_MAX: Final = 64 << 20
HEADER: Final = ["id", "name"]


class Names:
    """As of one reading; never changes."""

    def __init__(
        self, users: Mapping[str, str] | None = None, queues: Mapping[str, str] | None = None
    ) -> None:
        self._users = {} if users is None else _bounded(users)
        self._queues = {} if queues is None else _bounded(queues)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Names):
            return NotImplemented
        return (self._users, self._queues) == (other._users, other._queues)

    __hash__ = None  # type: ignore[assignment]  # compared, never kept in a set

    @property
    def users(self) -> Mapping[str, str]:
        """By id. A file of names does not say what is an agent: its queues are here as well."""
        return self._users

    def user(self, user_id: str) -> str | None:
        return self._users.get(user_id)

    def queue(self, queue_id: str) -> str | None:
        return self._queues.get(queue_id)

    def folded(self, user_id: str) -> str:
        """By which agents are sorted and found: the name, or the id of one without, `folded`."""
        return self._folded.get(user_id) or folded(user_id)

    @cached_property
    def _folded(self) -> dict[str, str]:
        return {user_id: folded(name) for user_id, name in self._users.items()}


NO_NAMES: Final = Names()


def read(data_dir: Path, dialect: Dialect, names_file: Path | None) -> Names:
    """The file's names come before the planner's. Raises RuntimeFault if what is there cannot be
    read; what is not there yet (the planner's store) has no names."""
    users: dict[str, str] = {}
    queues: dict[str, str] = {}
    store = roster_path(data_dir)
    if dialect == "cloud" and store.exists():
        planned = read_names(store)
        users.update(planned.users)
        queues.update(planned.queues)
    if names_file is not None:
        given = dict(_rows(names_file))
        users.update(given)  # an id is one or the other: the file need not say which
        queues.update(given)
    return Names(users, queues)


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    try:
        text = read_text(path, FILE_BYTES_MAX)
    except OSError as error:
        raise LocalError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:  # what is wrong with it as a text
        raise LocalError(f"{path}: {error}") from None
    rows = csv.reader(io.StringIO(text, newline=""))
    try:
        if next(rows, None) != HEADER:
            raise LocalError(f"{path}: the first line must be {','.join(HEADER)}")
        for row in rows:
            if row and len(row) != len(HEADER):
                raise LocalError(f"{path}:{rows.line_num}: {len(row)} fields, not {len(HEADER)}")
            if row:
                yield row[0], row[1]
    except csv.Error as error:
        raise LocalError(f"{path}: {error}") from None


def _bounded(names: Mapping[str, str]) -> dict[str, str]:
    return {
        each: mended(name if len(name) <= NAME_CHARS_MAX else name[: NAME_CHARS_MAX - 1] + "…")
        for each, name in names.items()
        if name
    }

"""AgentLookup: finds the agent that a command names, in the files of a data directory.

Knows no rule of what is near (`agent_resolver`), and asks no runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from actors.cli import tables
from actors.cli.agent_resolver import NAMESAKES_MAX, NamedAgent, Resolved, bearers, resolve
from actors.messages.control import Dialect
from actors.messages.spelling import folded
from actors.shard import reader
from actors.storage.data_dir import read_meta
from actors.web import names
from runtime.errors import LocalError, RuntimeFault


class Lookup:
    """Names and ids of one data directory, read when they are first needed and kept."""

    def __init__(self, path: Path, config: Path | None) -> None:
        self._path = path
        self._config = config
        self._read: tuple[set[str], dict[str, str]] | None = None
        self._bearers: Mapping[str, Sequence[str]] | None = None

    def find(self, given: str) -> Resolved:
        """An id that a journal holds costs one look, whatever else there is."""
        if self._read is None:
            with suppress(LocalError):  # no journal yet
                if reader.holds(self._path, given):
                    return Resolved(NamedAgent(given))
        return resolve(given, *self._held())

    def ids_of(self, given: str) -> Sequence[str]:
        """Of everybody who is meant, without a look at who is near; for many that are asked for."""
        ids, named = self._held()
        if given in ids:
            return [given]
        if self._bearers is None:
            self._bearers = bearers(named)
        return self._bearers.get(folded(given), ())

    @property
    def is_empty(self) -> bool:
        """Whether nobody is known: nothing was held yet, or nothing is written down."""
        return not self._held()[0]

    def _held(self) -> tuple[set[str], dict[str, str]]:
        if self._read is None:
            planned = dict(self._names_of(None))
            ids = set(planned)
            with suppress(LocalError):
                ids |= reader.read_ids(self._path)
            named = planned | dict(self._names_of(self._names_file()))  # the file's come first
            self._read = ids, {each: name for each, name in named.items() if each in ids}
        return self._read

    def _names_of(self, file: Path | None) -> Mapping[str, str]:
        try:
            dialect: Dialect = "cloud" if read_meta(self._path).dialect == "cloud" else "wsp"
            return names.read(self._path, dialect, file).users
        except RuntimeFault:  # a name is a convenience: what cannot be read has none
            return {}

    def _names_file(self) -> Path | None:
        from actors.settings.layers import load  # 0.2 s

        try:
            return load(config=self._config, needs_gateway=False).settings.web.names_file
        except RuntimeFault:  # whoever names the data directory needs no settings
            return None


def found(path: Path, config: Path | None, given: str) -> str:
    """The id of whom a person means. Raises LocalError if that is nobody or not one alone."""
    return _one(path, given, Lookup(path, config).find(given))


def found_to_change(
    path: Path, config: Path | None, given: str, *, is_sending: Callable[[], bool]
) -> str:
    """As `found`, so that a command that names nobody is refused before it is in any audit. But
    whoever is named where nothing says who there is (only the running shards know), or where
    nothing `is_sending`: the runtime says why, and audits nothing."""
    lookup, meta = Lookup(path, config), read_meta(path)
    resolved = lookup.find(given)
    is_nobody = resolved.agent is None and not resolved.namesakes
    if is_nobody:
        is_unsaid = lookup.is_empty or meta.journal == "off" or not meta.has_store
        if is_unsaid or not is_sending():
            return given
    return _one(path, given, resolved)


def found_to_forget(path: Path, config: Path | None, given: str) -> tuple[str, str]:
    """The id, and what to tell before anybody agrees to it. Whom no journal knows may still stand
    in an audit: taken as an id, with who is near."""
    resolved = Lookup(path, config).find(given)
    if resolved.namesakes:
        raise LocalError(unknown(path, given, resolved))
    if resolved.agent is None:
        return given, unknown(path, given, resolved) if resolved.alike else ""
    user_id = resolved.agent.user_id
    hint = "" if user_id == given else f"{tables.cell(given)} is {tables.cell(user_id)}"
    return user_id, hint


def _one(path: Path, given: str, resolved: Resolved) -> str:
    if resolved.agent is None:
        raise LocalError(unknown(path, given, resolved))
    return resolved.agent.user_id


def unknown(path: Path, given: str, resolved: Resolved | None = None) -> str:
    """What to tell of one who was not found."""
    name = tables.cell(given)
    if resolved is not None and resolved.namesakes:
        several = ", ".join(
            tables.cell(each.user_id) for each in resolved.namesakes[:NAMESAKES_MAX]
        )
        return f"{len(resolved.namesakes)} agents are named {name}; specify an id: {several}"
    said = f"no agent {name} in the journals of {path}"
    if resolved is not None and resolved.alike:
        return f"{said}; did you mean {' or '.join(tables.cell(each) for each in resolved.alike)}?"
    return f"{said}; to list all agents, run: presence-runtime state --limit 0"

"""Layers of settings: where each value came from and which one wins. Knows no default or bound.

Flags, environment (`PRESENCE_…`, then the `GENESYSCLOUD_…` names that Genesys' own tools use),
the TOML file, defaults. They are merged here and not by pydantic-settings' own chain, because that
forgets which layer a value came from, and because a secret and the file of a secret are one choice:
`client_secret` in the environment must silence `client_secret_file` in the file, not quarrel
with it.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from actors.genesys.credentials import is_exposed, read_secret
from actors.genesys.proxy import proxy_for
from actors.genesys.regions import doubt_about, region_domain_in
from actors.settings.environment import given_in, variable
from actors.settings.model import (
    CONFIG_DEFAULT,
    ENVIRONMENT_PREFIX,
    Settings,
    shown,
    unusable,
)
from actors.settings.problems import LISTS, Keys, explain, known_keys, leaves, named
from actors.settings.renamed import RENAMED, Leaf, current
from actors.settings.sinks import STDOUT
from actors.storage.text_file import text_of

CONFIG_VARIABLE: Final = "PRESENCE_CONFIG"
GENESYS_NAMES: Final = {
    "GENESYSCLOUD_OAUTHCLIENT_ID": "client_id",
    "GENESYSCLOUD_OAUTHCLIENT_ID_FILE": "client_id_file",
    "GENESYSCLOUD_OAUTHCLIENT_SECRET": "client_secret",
    "GENESYSCLOUD_OAUTHCLIENT_SECRET_FILE": "client_secret_file",
    "GENESYSCLOUD_REGION": "region",
    "GENESYSCLOUD_REGION_FILE": "region_file",
}
# Variables with our prefix that are no settings: read by others, never a misspelling.
OTHER_VARIABLES: Final = frozenset({CONFIG_VARIABLE, "PRESENCE_CRASH_AT"})
# Ways to say one thing: a layer that says one of them silences them all in the layers below.
CHOICES: Final = (
    ("client_id", "client_id_file"),
    ("client_secret", "client_secret_file"),
    ("environment", "region", "region_file"),
    ("sender.webhook.secret", "sender.webhook.secret_file"),
)
# Tables whose keys are names of the gateway's making. A variable's name knows no upper case.
OPEN_TABLES: Final = (
    "sender.capacity.queues",
    "sender.presence_of_state",
    "sender.cloud_transitions",
    "web.thresholds",
)
_SECRETS: Final = {
    "client_secret", "clients.client_secret", "sender.webhook.secret", "sinks.secret",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """Settings as merged from their layers."""

    settings: Settings
    origins: Mapping[str, str]  # "log.level" -> "flag", a variable's name, a file's path
    warnings: tuple[str, ...]

    @property
    def file(self) -> Path | None:
        """The settings file that a setting came from, wherever it was found; None: none did."""
        prefix = "file "
        told = (each.removeprefix(prefix) for each in self.origins.values() if prefix in each[:5])
        return next((Path(each).absolute() for each in told), None)

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """(key, value with secrets masked, where it came from), in the order of the fields."""
        for path, value in _unfolded(self.settings.model_dump()):
            yield named(path), shown(named(path), value), self._origin(path)

    def _origin(self, path: Keys) -> str:
        found = self.origins.get(named(path))
        if found is None and path[0] in LISTS and len(path) > 1:
            # A list is given whole, what is in its tables need not be.
            element = getattr(self.settings, path[0])[int(path[1])]
            found = self.origins.get(path[0]) if path[2] in element.model_fields_set else None
        if found is None and path[:-2] == ("sender", "capacity", "queues"):
            found = self.origins.get(f"sender.capacity.default.{path[-1]}")  # inherited
        return found or "default"


def load(
    *,
    config: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    needs_gateway: bool = True,
) -> Effective:
    """The settings of this process. Flags that are None were not given. Raises ConfigurationError
    that names every key that is wrong, its value (masked) and the way out. Whoever only reads
    journals needs no gateway, and so no credentials."""
    path, table = _read_toml(config)
    layers = [
        *_flag_layer(flags or {}),
        *_environment_layers(),
        *((f"file {path}", keys, value) for keys, value in leaves(table)),
    ]
    layers, renamed = _under_current_names(layers)
    merged, origins = _merge(layers)
    if region_file := merged.get("region_file"):
        merged["region"] = read_secret("region_file", Path(region_file))
        origins["region"] = f"{region_file}, {origins['region_file']}"
    try:
        settings = Settings(**merged)
    except ValidationError as error:
        problems = [explain(each, origins) for each in error.errors(include_url=False)]
        raise unusable(problems) from None  # the cause holds the values, also the secret ones
    if needs_gateway:
        if problems := _missing(settings):
            is_first_try = not any(_layer(origin) != "flag" for origin, _, _ in layers)
            raise unusable(problems, is_first_try=is_first_try)
        proxy_for(settings.api_url, settings.proxy, os.environ)
        if problems := _given_twice([credentials()[0] for credentials in settings.all_credentials]):
            raise unusable(problems)
        settings.sender.webhook.signing_secret()
        for sink in settings.sinks:
            sink.signing_secret()
    warnings = (*renamed, *_warnings(path, table, settings))
    doubts = _gateway_doubts(settings) if needs_gateway else ()
    return Effective(settings=settings, origins=origins, warnings=warnings + doubts)


# -- layers ------------------------------------------------------------------------------------


def _read_toml(config: Path | None) -> tuple[Path, dict[str, Any]]:
    given = os.environ.get(CONFIG_VARIABLE)
    named = config or (Path(given) if given else None)
    path = named or CONFIG_DEFAULT
    try:
        table = tomllib.loads(text_of(path.read_bytes()))
    except FileNotFoundError:
        if named is None:
            return path, {}
        raise unusable([f"--config {path}: file not found"]) from None
    except OSError as error:
        raise unusable([f"--config {path}: {error.strerror}"]) from None
    except tomllib.TOMLDecodeError as error:
        raise unusable([f"{path} is not valid TOML: {error}"]) from None
    except ValueError as error:  # what is wrong with the file as a text
        raise unusable([f"{path}: {error}"]) from None
    _anchor(Settings, table, path.parent)
    return path, table


def _anchor(model: type[BaseModel], table: dict[str, Any], folder: Path) -> None:
    """A path in a file is meant from that file, whatever the working directory."""
    for key, field in model.model_fields.items():
        value, kind = table.get(key), field.annotation
        if "Path" in str(kind) and isinstance(value, str):
            if value == str(STDOUT):
                continue
            table[key] = folder / Path(value).expanduser()
        elif isinstance(kind, type) and issubclass(kind, BaseModel) and isinstance(value, dict):
            _anchor(kind, value, folder)
        elif key in LISTS and isinstance(value, list):
            for each in value:
                if isinstance(each, dict):
                    _anchor(LISTS[key], each, folder)


def _flag_layer(flags: Mapping[str, Any]) -> Iterator[Leaf]:
    for key, value in flags.items():
        if value is not None:
            origin = f"flag --{key.replace('_', '-').replace('.', '-')}"
            yield origin, tuple(key.split(".")), value


def _environment_layers() -> Iterator[Leaf]:
    yield from given_in(os.environ)
    for name, key in GENESYS_NAMES.items():
        if os.environ.get(name):
            yield name, (key,), os.environ[name]


def _unfolded(table: Mapping[str, Any]) -> Iterator[tuple[Keys, Any]]:
    """As `leaves`, and what is in a list of tables by its number."""
    for path, value in leaves(table):
        if path[0] in LISTS and value:
            for number, each in enumerate(value):
                yield from leaves(each, (*path, str(number)))
        else:
            yield path, value


def _under_current_names(layers: Sequence[Leaf]) -> tuple[list[Leaf], tuple[str, ...]]:
    """With a warning for each old name. Both names in one layer are a mistake."""
    found: list[Leaf] = []
    warnings: list[str] = []
    given = {(_layer(origin), keys) for origin, keys, _ in layers}
    for leaf in layers:
        origin, keys, _ = leaf
        try:
            renamed, told = current(leaf)
        except ValueError as error:
            raise unusable([f"{named(keys)} (from {origin}): {error}"]) from None
        if renamed[1] != keys and (_layer(origin), renamed[1]) in given:
            both = f"{named(renamed[1])} and {named(keys)} are both set"
            raise unusable([f"{both} (from {origin}); remove {named(keys)}"])
        found.append(renamed)
        warnings += told
    return found, tuple(warnings)


def _merge(layers: list[Leaf]) -> tuple[dict[str, Any], dict[str, str]]:
    """The first to name a key wins; of a choice, the first layer to name any of it."""
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, path, value in layers:
        key = named(path)
        said = [each for choice in CHOICES if key in choice for each in choice if each in origins]
        for other in said:
            if other != key and _layer(origins[other]) == _layer(origin):
                raise unusable([f"{other} and {key} are both set; remove one of them"])
        if said or key in origins:
            continue
        origins[key] = origin
        *parents, leaf = path
        table = merged
        for parent in parents:
            table = table.setdefault(parent, {})
            if not isinstance(table, dict):
                raise unusable([f"{key} (from {origin}): {parent} is not a table"])
        if isinstance(table.get(leaf), dict):
            raise unusable([f"{key} (from {origin}): must be a table"])
        table[leaf] = value
    return merged, origins


def _layer(origin: str) -> str:
    return re.split(r"[ _]", origin, maxsplit=1)[0]  # flag, PRESENCE, GENESYSCLOUD, file


# -- what is missing or doubtful ---------------------------------------------------------------


def _missing(settings: Settings) -> list[str]:
    problems = []
    if settings.dialect == "cloud" and settings.base_url is None and not settings.region:
        problems.append(_way_out("region", "GENESYSCLOUD_REGION"))
    if not settings.client_id and settings.client_id_file is None:
        problems.append(_way_out("client_id", "GENESYSCLOUD_OAUTHCLIENT_ID"))
    if not settings.client_secret.get_secret_value() and settings.client_secret_file is None:
        problems.append(_way_out("client_secret", "GENESYSCLOUD_OAUTHCLIENT_SECRET"))
    if settings.ca_file is not None and not settings.ca_file.is_file():
        problems.append(f"ca_file = {settings.ca_file}: file not found")
    return problems


def _given_twice(client_ids: Sequence[str]) -> list[str]:
    """Two clients that are one would evict each other's channels, and share one rate limit."""
    twice = sorted({each for each in client_ids if client_ids.count(each) > 1})
    return [
        f"client_id = {each!r} is used more than once; configure each OAuth client once"
        for each in twice
    ]


def _way_out(key: str, genesys_name: str) -> str:
    own = ENVIRONMENT_PREFIX + key.upper()
    return (
        f"{key} is missing: set {own} or {genesys_name} (or either with _FILE), "
        f"or {key} in {CONFIG_DEFAULT}"
    )


def _gateway_doubts(settings: Settings) -> tuple[str, ...]:
    """What is likely to be the wrong gateway, or the wrong way to speak to it."""
    host = urlsplit(settings.api_url).hostname or ""
    if settings.dialect == "wsp" and region_domain_in(host) is not None:
        what = f"dialect = wsp is used with a Genesys Cloud domain ({host})"
        cure = 'a Genesys Cloud organisation requires dialect = "cloud"'
        return (f"{what}; {cure} (wsp is the dialect of the two tutorials)",)
    if settings.base_url is None and settings.region and (doubt := doubt_about(settings.region)):
        return (f"region = {settings.region!r}: {doubt}",)
    return ()


def _warnings(path: Path, table: Mapping[str, Any], settings: Settings) -> tuple[str, ...]:
    """What looks like a mistake, but may be none: a cluster sets variables of its own making."""
    warnings = []
    known = {variable(keys[:length]) for keys in known_keys() for length in range(1, len(keys) + 1)}
    open_tables = tuple(variable(tuple(key.split("."))) for key in OPEN_TABLES)
    known.update(open_tables, map(variable, RENAMED))
    for name in sorted(os.environ):
        upper = name.upper()
        if not upper.startswith(ENVIRONMENT_PREFIX) or upper in OTHER_VARIABLES:
            continue
        if table_of := [each for each in open_tables if upper.startswith(f"{each}__")]:
            warnings.append(
                f"{name}: to keep the case of the names in this table, set {table_of[0]} as JSON"
            )
        elif upper not in known:
            near = difflib.get_close_matches(upper, known, n=1, cutoff=0.8)
            warnings.append(
                f"{name} is not a known setting" + (f"; did you mean {near[0]}?" if near else "")
            )
    given = {named(keys) for keys, _ in leaves(table)}
    for listed in LISTS:
        tables = table.get(listed)
        if isinstance(tables, list):  # a layer above may have silenced whatever it is
            given |= {
                f"{listed}.{key}" for each in tables if isinstance(each, dict) for key in each
            }
    secrets = given & _SECRETS
    if secrets and path.stat().st_mode & 0o077:
        told = " and ".join(sorted(secrets))
        warnings.append(
            f"{path} contains {told} and is readable by other users; run: chmod 600 {path}"
        )
    for keys, value in _unfolded(settings.model_dump()):
        if keys[-1].endswith("secret_file") and value is not None and is_exposed(value):
            warnings.append(
                f"{named(keys)} = {value} is readable by every user; run: chmod 600 {value}"
            )
    return tuple(warnings)

"""Words of the settings: an error names the setting, its origin and what is allowed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from actors.settings.environment import given_in
from actors.settings.model import Settings
from actors.settings.problems import explain, known_keys, leaves
from actors.settings.table import rows
from runtime.errors import ConfigurationError

PYDANTIC = re.compile(
    r"Input should|valid (string|integer|number|boolean|tuple|list|dict)|value_error|Value error|"
    r"validation error|type=|should match|pydantic|ensure this"
)
WRONG: tuple[Any, ...] = (
    None,
    [],
    {},
    [[]],
    "",
    "x y z",
    "\ud800",
    "-1",
    -1,
    1e400,
    float("nan"),
    10**30,
    True,
    2.5,
    {"a": {"b": 1}},
    ["a", 1],
    b"\xff",
    object(),
)


def problems(given: dict[str, Any], origins: dict[str, str]) -> list[str]:
    try:
        Settings(**given)
    except ValidationError as error:
        return [explain(each, origins) for each in error.errors(include_url=False)]
    return []


@pytest.mark.parametrize("key", sorted({".".join(path) for path in known_keys()}))
def test_no_word_of_pydantic_s_is_left_whatever_is_given(key: str) -> None:
    for value in WRONG:
        given: Any = value
        for part in reversed(key.split(".")):
            given = {part: given}
        for said in problems(given, {key: "file a.toml"}):
            assert not PYDANTIC.search(said), said
            assert "[type" not in said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"shards": 900}, "shards = 900 (from file a.toml): must be 1 to 64"),
        ({"shards": "many"}, "shards = 'many' (from file a.toml): must be a whole number, 1 to 64"),
        ({"retention_days": "x"}, "must be a number, over 0 to 36,500"),
        ({"dialect": "clod"}, "must be 'wsp' or 'cloud'; did you mean cloud?"),
        ({"name": "a b"}, "must consist of up to 32 letters, digits"),
        ({"client_id": 5}, "client_id = 5 (from file a.toml): must be text"),
        ({"appointments": "maybe"}, "must be true or false"),
        ({"web": {"allowed_hosts": "a"}}, 'must be a list, such as ["a", "b"]'),
        ({"log": "json"}, "log = 'json' (from file a.toml): must be a table"),
        ({"sinks": [{"kind": "jsonl"}]}, "sinks.0.name (from file a.toml): is required"),
        ({"cloud": {"watch": "teams"}}, "must be 'all', 'queues', 'groups', 'divisions' or 'file'"),
    ],
)
def test_each_says_what_where_and_what_is_allowed(given: dict[str, Any], said: str) -> None:
    origins = dict.fromkeys(given, "file a.toml")
    origins |= {".".join(path): "file a.toml" for path, _ in leaves(given)}
    (told,) = problems(given, origins)
    assert said in told


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({"WEB__ALLOWED_HOSTS": "a.example"}, {"web.allowed_hosts": ["a.example"]}),
        (
            {"WEB__ALLOWED_HOSTS": "a.example, [::1]\n b"},
            {"web.allowed_hosts": ["a.example", "[::1]", "b"]},
        ),
        ({"WEB__ALLOWED_HOSTS": '["a", "b"]'}, {"web.allowed_hosts": ["a", "b"]}),
        ({"WEB__ALLOWED_HOSTS": "[::1]"}, {"web.allowed_hosts": ["[::1]"]}),
        ({"WEB__ALLOWED_HOSTS": '"a.example"'}, {"web.allowed_hosts": ["a.example"]}),
        ({"WEB__ALLOWED_HOSTS": "[]"}, {"web.allowed_hosts": []}),
        ({"CLOUD__WATCH_IDS": "Sales West,Q2"}, {"cloud.watch_ids": ["Sales West", "Q2"]}),
        (
            {"SENDER__TRANSITIONS__BUSY": "available,break"},
            {"sender.transitions.busy": ["available", "break"]},
        ),
        ({"WEB__THRESHOLDS__TALKING": "5,6"}, {"web.thresholds.talking": ["5", "6"]}),
        ({"WEB__THRESHOLDS": '{"Wrapped Up": [5, 6]}'}, {"web.thresholds.Wrapped Up": [5, 6]}),
        ({"LOG": '{"level": "debug"}'}, {"log.level": "debug"}),
        ({"LOG__LEVEL": "debug"}, {"log.level": "debug"}),
        ({"LOG__LEVLE": "debug"}, {"log.levle": "debug"}),
        ({"SHARDS": "3"}, {"shards": "3"}),
        ({"SHARDS": ""}, {}),
        ({"SHARDS__X": "3"}, {}),
        ({"NOTHING": "3"}, {}),
        ({"SINKS": '[{"name": "a"}]'}, {"sinks": [{"name": "a"}]}),
    ],
)
def test_a_variable_means_what_it_says(variables: dict[str, str], found: dict[str, Any]) -> None:
    given = given_in({f"PRESENCE_{name}": value for name, value in variables.items()})
    assert {".".join(path): value for _, path, value in given} == found
    assert {name for name, _, _ in given} <= {f"PRESENCE_{name}" for name in variables}


def test_of_two_that_set_one_thing_the_deeper_comes_first() -> None:
    given = given_in({"PRESENCE_LOG": '{"level": "debug"}', "PRESENCE_LOG__LEVEL": "error"})
    assert [value for _, _, value in given] == ["error", "debug"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOG", "foo"),
        ("LOG", "5"),
        ("RESTART", "{"),
        ("CLIENTS", "a,b"),
        ("SINKS", "{}"),
        ("WEB__THRESHOLDS", "5"),
        ("CLOUD__WATCH_IDS", '["a"'),
        ("SENDER__CAPACITY__QUEUES", "[1]"),
    ],
)
def test_a_variable_that_is_wrong_is_named_alone_and_its_value_is_not(
    name: str, value: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        given_in({f"PRESENCE_{name}": value, "PRESENCE_LOG__FORMAT": "json"})
    (line,) = [each for each in str(caught.value).splitlines() if "PRESENCE_" in each]
    assert line.startswith(f"  PRESENCE_{name}: ")
    assert value not in line.replace("[1]", "[]") or len(value) == 1


def test_every_setting_of_a_list_can_be_given_with_commas() -> None:
    lists = [
        path
        for path, value in leaves(Settings.model_construct().model_dump())
        if isinstance(value, tuple) and path[0] not in {"clients", "sinks"}
    ]
    assert len(lists) >= 2
    for path in lists:
        ((_, keys, value),) = given_in({"PRESENCE_" + "__".join(path).upper(): "1,2"})
        assert (keys, value) == (tuple(each.lower() for each in path), ["1", "2"])


def test_the_table_of_settings_has_bounds_for_the_words() -> None:
    assert next(row.allowed for row in rows() if row.setting == "shards") == "1 to 64"

"""Settings of the cloud dialect: more OAuth clients than one, who is watched, what quarrels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from actors.genesys.channel_plan import Limits
from actors.planner.arguments import ROSTER_EVERY_S, WatchKind
from actors.settings.cloud import ClientSettings, CloudSettings
from actors.settings.layers import Effective, load
from actors.settings.model import Settings
from runtime.log import MASK
from tests.actors.settings.test_model import SECRET, _bare_environment, _credentials, refusal, shown

__all__ = ["_bare_environment", "_credentials"]  # fixtures

TWO_MORE = f"""
dialect = "cloud"
region = "eu-central-1"
[[clients]]
client_id = "second"
client_secret_file = "two"
[[clients]]
client_id = "third"
client_secret = "{SECRET}"
"""
pytestmark = pytest.mark.usefixtures("_credentials")


def read(toml: str, config: Path = Path("presence-runtime.toml")) -> Effective:
    """As a command that reads does: nobody asks yet whether the gateway can be reached."""
    config.write_text(toml)
    config.chmod(0o600)
    return load(config=config, needs_gateway=False)


def wrong(**fields: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        Settings(**{"dialect": "cloud", "region": "eu-central-1"} | fields)
    return str(caught.value)


def client(name: str, secret: str = SECRET) -> ClientSettings:
    return ClientSettings(client_id=name, client_secret=SecretStr(secret))


def test_every_client_has_its_credentials_and_the_first_stands_before_the_others(
    tmp_path: Path,
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "two").write_text("second-secret\n")
    settings = read(TWO_MORE, Path("etc/presence-runtime.toml")).settings
    assert [credentials() for credentials in settings.all_credentials] == [
        ("client-7", SECRET),
        ("second", "second-secret"),  # its path is meant from the file
        ("third", SECRET),
    ]
    (tmp_path / "etc" / "two").write_text("rotated")
    assert settings.all_credentials[1]() == ("second", "rotated")


def test_their_secrets_are_masked_wherever_settings_are_shown() -> None:
    effective = read(TWO_MORE)
    rows = shown(effective)
    file = "file presence-runtime.toml"
    assert rows["clients.0.client_id"] == ("second", file)
    assert rows["clients.0.client_secret_file"] == ("two", file)
    assert rows["clients.1.client_secret"] == (MASK, file)
    assert SECRET not in str(rows) + repr(effective.settings)
    assert effective.settings.secrets == (SECRET, "", SECRET)  # what a log must hide
    assert SECRET not in repr(effective.settings.all_credentials)


def test_a_variable_gives_all_of_them_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    others = [{"client_id": "x", "client_secret": SECRET}]
    monkeypatch.setenv("PRESENCE_CLIENTS", json.dumps(others))
    effective = read(TWO_MORE)
    assert [each.client_id for each in effective.settings.clients] == ["x"]
    assert shown(effective)["clients.0.client_id"] == ("x", "PRESENCE_CLIENTS")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (f"{SECRET}", "PRESENCE_CLIENTS: clients is a list of tables: specify it as a JSON list"),
        (
            f'{{"client_id": "{SECRET}"}}',
            "PRESENCE_CLIENTS: clients is a list of tables: specify it as a JSON list",
        ),
        (f'["{SECRET}"]', "clients.0 (from PRESENCE_CLIENTS): "),
        (f'[{{"client_secret": "{SECRET}"}}]', "requires either client_id or client_id_file"),
        ('[{"client_id": "x"}]', "requires either client_secret or client_secret_file"),
        (
            f'[{{"client_id": "x", "client_secret": "{SECRET}", "client_secret_file": "s"}}]',
            "requires either client_secret or client_secret_file",
        ),
        (f'[{{"client_id": "x", "client_secret": ["{SECRET}"]}}]', "clients.0.client_secret"),
        (
            f'[{{"client_id": "x", "secret": "{SECRET}"}}]',
            "unknown setting; did you mean clients.0.client_secret",
        ),
        (
            f'[{{"client_id": "x\\n", "client_secret": "{SECRET}"}}]',
            "must not contain control characters",
        ),
        (json.dumps([{"client_id": "x", "client_secret": SECRET}] * 64), "at most 63 entries"),
    ],
)
def test_what_is_wrong_with_one_is_said_and_no_secret_is(
    given: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRESENCE_CLIENTS", given)
    monkeypatch.setenv("PRESENCE_DIALECT", "cloud")
    assert said in refusal(needs_gateway=False)


def test_a_file_with_the_secret_of_a_further_client_is_one_that_others_may_not_read() -> None:
    read(TWO_MORE)
    Path("presence-runtime.toml").chmod(0o644)
    assert "is readable by other users" in load(needs_gateway=False).warnings[0]


def test_a_client_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    again = [{"client_id": "client-7", "client_secret": "another"}]
    monkeypatch.setenv("PRESENCE_CLIENTS", json.dumps(again))
    flags = {"dialect": "cloud", "region": "eu-west-1"}
    assert "client_id = 'client-7' is used more than once" in refusal(flags=flags)


def test_a_region_must_be_named_because_every_default_would_be_somebody_elses() -> None:
    assert "region is missing: set PRESENCE_REGION or GENESYSCLOUD_REGION" in refusal(
        flags={"dialect": "cloud"}
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"environment": "east", "region": ""},
            "environment is not supported with dialect = cloud; remove it",
        ),
        (
            {"resource": "x", "appointments": True},
            "resource, appointments are not supported with dialect = cloud; remove them",
        ),
        (
            {"dialect": "wsp", "clients": (client("x"),)},
            "clients is not supported with dialect = wsp; remove it",
        ),
        (
            {"dialect": "wsp", "cloud": {"topics": "combined"}},
            "cloud is not supported with dialect = wsp",
        ),
        ({"receivers": 2}, "receivers = 2, but there are 1 OAuth clients"),
        ({"receivers": 0}, "greater than or equal to 1"),
        ({"clients": tuple(client(f"c{n}") for n in range(16))}, "a receiver serves at most 16"),
    ],
)
def test_settings_of_the_other_dialect_and_idle_receivers_are_refused(
    given: dict[str, Any], said: str
) -> None:
    assert said in wrong(**given)


def test_each_receiver_has_at_least_one_client() -> None:
    others = (client("second"), client("third"))
    settings = Settings(dialect="cloud", region="eu-west-1", clients=others, receivers=3)
    assert settings.api_url == "https://api.mypurecloud.ie"
    assert len(settings.all_credentials) == settings.receivers == 3


@pytest.mark.parametrize(
    ("cloud", "said"),
    [
        ({"watch": "queues"}, "watch = queues requires watch_ids"),
        ({"watch_ids": ("x",)}, "watch_ids is not used with watch = all"),
        ({"watch": "file"}, "watch = file requires watch_file"),
        (
            {"watch": "groups", "watch_ids": ("x",), "watch_file": "f"},
            "watch_file is not used with watch =",
        ),
        ({"watch": "queues", "watch_ids": ("",)}, "at least 1 character"),
        ({"watch": "teams"}, "Input should be"),
        ({"topics": "presence"}, "Input should be"),
        ({"topics_per_channel_max": 1001}, "less than or equal to 1000"),
        ({"topics_per_channel_max": 0}, "greater than or equal to 1"),
        ({"channels_per_client_max": 20}, "less than or equal to 19"),
        ({"rotate_after_s": 86_400}, "less than or equal to 82800"),
        ({"roster_every_s": 0}, "greater than or equal to 10"),
        ({"requests_per_minute": 0}, "greater than or equal to 20"),
    ],
)
def test_who_is_watched_and_how_has_bounds(cloud: dict[str, Any], said: str) -> None:
    assert said in wrong(cloud=cloud)


def test_a_file_of_user_ids_is_meant_from_the_settings_file(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    toml = 'dialect = "cloud"\n[cloud]\nwatch = "file"\nwatch_file = "agents.txt"\n'
    assert read(toml, Path("etc/our.toml")).settings.cloud.watch_file == Path("etc/agents.txt")


def test_the_defaults_leave_room_for_rotations_and_are_those_of_the_planner() -> None:
    settings = CloudSettings()
    assert settings.limits == Limits()
    assert settings.roster_every_s == ROSTER_EVERY_S
    assert WatchKind.__args__ == CloudSettings.model_fields["watch"].annotation.__args__  # type: ignore[attr-defined, union-attr]  # of a Literal

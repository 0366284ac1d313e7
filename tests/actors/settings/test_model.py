"""Settings: bounds and defaults, four layers, and errors that a person can act on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from actors.genesys.regions import DOMAINS, domain_of
from actors.settings.layers import Effective, load
from actors.settings.model import Settings
from runtime.errors import EXIT_CONFIGURATION, ConfigurationError
from runtime.log import MASK

SECRET = "s3cret-of-the-client"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.upper().startswith(("PRESENCE_", "GENESYSCLOUD_", "HTTPS_PROXY", "NO_PROXY")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESENCE_CLIENT_ID", "client-7")
    monkeypatch.setenv("PRESENCE_CLIENT_SECRET", SECRET)


def shown(effective: Effective) -> dict[str, tuple[str, str]]:
    return {key: (value, origin) for key, value, origin in effective.rows()}


def doubts(effective: Effective) -> list[str]:
    """But for what every default of the gateway brings."""
    return [
        each for each in effective.warnings if not each.startswith("dialect = wsp is used with")
    ]


def refusal(**given: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(**given)
    assert caught.value.exit_code == EXIT_CONFIGURATION
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_without_any_setting_it_says_what_is_missing_and_mentions_the_demo() -> None:
    text = refusal()
    assert "client_id is missing: set PRESENCE_CLIENT_ID or GENESYSCLOUD_OAUTHCLIENT_ID" in text
    assert "client_secret is missing" in text
    assert "presence-runtime demo" in text


def test_whoever_has_set_something_is_not_sent_to_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "some.toml"
    path.write_text("shards = 3\n")
    for text in (refusal(config=path), refusal(config=tmp_path / "missing.toml")):
        assert "presence-runtime demo" not in text
    monkeypatch.setenv("GENESYSCLOUD_OAUTHCLIENT_ID", "client-7")
    assert "presence-runtime demo" not in refusal()
    monkeypatch.delenv("GENESYSCLOUD_OAUTHCLIENT_ID")
    assert "presence-runtime demo" in refusal(flags={"shards": 3})


@pytest.mark.usefixtures("_credentials")
@pytest.mark.parametrize(("mode", "is_told"), [(0o600, 0), (0o640, 0), (0o644, 1), (0o604, 1)])
def test_a_secret_that_every_user_may_read_is_told(
    mode: int, is_told: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret"
    path.write_text(SECRET)
    path.chmod(mode)
    monkeypatch.delenv("PRESENCE_CLIENT_SECRET")
    monkeypatch.setenv("PRESENCE_CLIENT_SECRET_FILE", str(path))
    told = [f"client_secret_file = {path} is readable by every user; run: chmod 600 {path}"]
    assert doubts(load()) == told * is_told


@pytest.mark.usefixtures("_credentials")
def test_two_credentials_are_enough() -> None:
    effective = load()
    assert effective.settings.credentials() == ("client-7", SECRET)
    assert effective.settings.shards == 2
    assert effective.settings.api_url == "https://api.mypurecloud.com"
    assert doubts(effective) == []
    assert effective.warnings[0].startswith(
        "dialect = wsp is used with a Genesys Cloud domain (api.mypure"
    )


@pytest.mark.usefixtures("_credentials")
def test_flags_beat_environment_beats_file_beats_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "presence-runtime.toml"
    config.write_text('shards = 3\nname = "east"\njournal = "off"\n[log]\nlevel = "debug"\n')
    monkeypatch.setenv("PRESENCE_SHARDS", "4")
    monkeypatch.setenv("PRESENCE_JOURNAL", "full")
    monkeypatch.setenv("PRESENCE_LOG__FORMAT", "json")
    rows = shown(load(flags={"shards": 5, "name": None}))
    assert rows["shards"] == ("5", "flag --shards")
    assert rows["journal"] == ("full", "PRESENCE_JOURNAL")
    assert rows["name"] == ("east", "file presence-runtime.toml")
    assert rows["log.level"] == ("debug", "file presence-runtime.toml")
    assert rows["log.format"] == ("json", "PRESENCE_LOG__FORMAT")
    assert rows["retention_days"] == ("7.0", "default")


@pytest.mark.usefixtures("_credentials")
def test_an_empty_variable_is_one_that_was_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESENCE_BASE_URL", "")
    monkeypatch.setenv("PRESENCE_SHARDS", "")
    monkeypatch.setenv("PRESENCE_CONFIG", "")
    assert load().settings.shards == 2


@pytest.mark.usefixtures("_credentials")
def test_secrets_are_masked_wherever_settings_are_shown(tmp_path: Path) -> None:
    effective = load(flags={"proxy": f"http://me:{SECRET}@proxy.example:3128"})
    rows = shown(effective)
    assert rows["client_secret"] == (MASK, "PRESENCE_CLIENT_SECRET")
    assert rows["proxy"][0] == f"http://{MASK}@proxy.example:3128"
    assert SECRET not in str(rows)
    assert SECRET not in repr(effective.settings.client_secret)


def test_the_names_of_genesys_own_tools_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESYSCLOUD_OAUTHCLIENT_ID", "client-8")
    monkeypatch.setenv("GENESYSCLOUD_OAUTHCLIENT_SECRET", SECRET)
    monkeypatch.setenv("GENESYSCLOUD_REGION", "eu-central-1")
    effective = load()
    assert effective.settings.credentials() == ("client-8", SECRET)
    assert effective.settings.api_url == "https://api.mypurecloud.de"
    assert shown(effective)["client_id"][1] == "GENESYSCLOUD_OAUTHCLIENT_ID"


def test_and_so_are_files_that_hold_their_values(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, text in (("ID", "client-9\n"), ("SECRET", f" {SECRET}\n")):
        (tmp_path / name).write_text(text)
        monkeypatch.setenv(f"GENESYSCLOUD_OAUTHCLIENT_{name}_FILE", str(tmp_path / name))
    (tmp_path / "region").write_text("eu-west-1\n")
    monkeypatch.setenv("GENESYSCLOUD_REGION_FILE", str(tmp_path / "region"))
    effective = load()
    assert effective.settings.credentials() == ("client-9", SECRET)
    assert effective.settings.api_url == "https://api.mypurecloud.ie"
    (tmp_path / "SECRET").write_text("rotated")
    assert effective.settings.credentials() == ("client-9", "rotated")


@pytest.mark.usefixtures("_credentials")
def test_our_own_name_beats_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESYSCLOUD_OAUTHCLIENT_ID", "theirs")
    assert load().settings.client_id == "client-7"


def test_a_secret_in_a_higher_layer_silences_the_secret_file_in_a_lower_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Path("presence-runtime.toml").write_text(
        'client_id = "c"\nclient_secret_file = "/nowhere/secret"\n'
    )
    monkeypatch.setenv("GENESYSCLOUD_OAUTHCLIENT_SECRET", SECRET)
    assert load().settings.credentials() == ("c", SECRET)


def test_a_secret_twice_in_one_layer_is_refused(tmp_path: Path) -> None:
    Path("presence-runtime.toml").write_text(
        f'client_id = "c"\nclient_secret = "{SECRET}"\nclient_secret_file = "s"\n'
    )
    assert "client_secret and client_secret_file are both set" in refusal()


@pytest.mark.parametrize("content", [None, b"", b"  \n", b"\xff\xfe", b"x" * 65_537])
def test_a_secret_file_must_say_something(content: bytes | None, tmp_path: Path) -> None:
    Path("presence-runtime.toml").write_text('client_id = "c"\nclient_secret_file = "s"\n')
    if content is not None:
        (tmp_path / "s").write_bytes(content)
    assert "client_secret_file = s: " in refusal()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_secret_file_is_a_regular_file(make: Callable[[str], None], tmp_path: Path) -> None:
    make("s")
    Path("presence-runtime.toml").write_text('client_id = "c"\nclient_secret_file = "s"\n')
    assert refusal().endswith("client_secret_file = s: not a regular file")


def test_a_client_id_holds_no_control_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESENCE_CLIENT_SECRET", SECRET)
    monkeypatch.setenv("PRESENCE_CLIENT_ID", "client\n7")
    assert "must not contain control characters" in refusal()
    monkeypatch.delenv("PRESENCE_CLIENT_ID")
    Path("id").write_text("client\x1b7")
    monkeypatch.setenv("PRESENCE_CLIENT_ID_FILE", "id")
    assert "client_id_file = id: the file contains control characters" in refusal()


@pytest.mark.usefixtures("_credentials")
@pytest.mark.parametrize(
    "given",
    [
        {"PRESENCE_LOG": "foo"},
        {"PRESENCE_LOG": "5"},
        {"PRESENCE_RESTART": "{"},
        {"PRESENCE_LOG": "5", "PRESENCE_LOG__LEVEL": "debug"},
    ],
)
def test_a_variable_for_a_whole_table_that_is_none_is_refused(
    given: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert "PRESENCE_" in refusal()


@pytest.mark.usefixtures("_credentials")
@pytest.mark.parametrize(
    "proxy",
    [
        f"user:{SECRET}@host:3128",
        f"http://user:pa/{SECRET}@host",
        f"http://user:12/{SECRET}@host",
        f"http://user:{SECRET}@host:port",
        f"gopher://user:{SECRET}@host",
    ],
)
def test_a_proxy_that_is_none_is_refused_and_shows_no_password(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRESENCE_PROXY", proxy)
    assert f"{MASK}@host" in refusal()
    assert f"{MASK}@host" in refusal(flags={"proxy": [proxy]})
    monkeypatch.delenv("PRESENCE_PROXY")
    monkeypatch.setenv("HTTPS_PROXY", proxy.replace(":3128", ":port"))
    assert f"{MASK}@host" in refusal()


@pytest.mark.usefixtures("_credentials")
def test_whatever_names_the_gateway_in_a_higher_layer_silences_what_does_below(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("presence-runtime.toml").write_text('region_file = "/nowhere"\n')
    monkeypatch.setenv("GENESYSCLOUD_REGION", "eu-west-1")
    assert load().settings.api_url == "https://api.mypurecloud.ie"
    monkeypatch.setenv("PRESENCE_ENVIRONMENT", "east")
    assert load().settings.api_url == "https://api.east.mypurecloud.com"
    flags = {"environment": "west"}
    assert load(flags=flags).settings.api_url == "https://api.west.mypurecloud.com"


@pytest.mark.usefixtures("_credentials")
def test_a_path_in_the_file_is_meant_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "our.toml").write_text('data_dir = "journals"\n')
    effective = load(config=Path("etc/our.toml"))
    assert effective.settings.data_dir == Path("etc/journals")


@pytest.mark.usefixtures("_credentials")
@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("shard = 3", "unknown setting; did you mean shards"),
        ("zzz = 3", "zzz (from file presence-runtime.toml): unknown setting"),
        ('[log]\nformt = "json"', "log.formt"),
        ("shards = 900", "shards = 900 (from file presence-runtime.toml): must be 1 to 64"),
        ('shards = "many"', "shards = 'many'"),
        ("ring_bytes = 100000", "must be a power of two"),
        ('journal = "half"', "journal = 'half'"),
        ('dialect = "carrier pigeon"', "dialect = 'carrier pigeon'"),
        ('name = "a b"', "name = 'a b'"),
        ('environment = "evil.com/"', "environment = 'evil.com/'"),
        ('environment = "x"\nregion = "y"', "environment and region are both set"),
        ('base_url = "http://gateway.example"', "must be https"),
        ('base_url = "gateway"', "must be a URL"),
        ('base_url = "https://h:abc"', "must be a URL"),
        ('base_url = "https://[h"', "must be a URL"),
        ('base_url = "https://h/ x"', "must be a URL"),
        ("retention_gb = inf", "retention_gb = inf"),
        ("retention_gb = nan", "retention_gb = nan"),
        (f'base_url = "https://me:{SECRET}@gateway"', "must not contain a user"),
        (f'client_secret = ["{SECRET}"]', f"client_secret = {MASK}"),
        (f'[client_secret]\nx = "{SECRET}"', "client_secret"),
        ('log = "json"', "log"),
        ('ca_file = "none.pem"', "ca_file = none.pem: file not found"),
        ("shards = = 3", "presence-runtime.toml is not valid TOML"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_value_and_its_origin(
    toml: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "client_secret" in toml:
        monkeypatch.delenv("PRESENCE_CLIENT_SECRET")
    Path("presence-runtime.toml").write_text(toml)
    assert said in refusal()


@pytest.mark.usefixtures("_credentials")
def test_everything_wrong_is_named_at_once() -> None:
    text = refusal(flags={"shards": 0, "journal": "half"})
    assert "shards = 0 (from flag --shards)" in text
    assert "journal = 'half' (from flag --journal)" in text


def test_a_named_file_that_is_missing_is_refused() -> None:
    assert "file not found" in refusal(config=Path("none.toml"))


@pytest.mark.usefixtures("_credentials")
def test_an_unknown_variable_is_only_a_warning_because_clusters_make_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PRESENCE_SHARD", "3")
    monkeypatch.setenv("PRESENCE_CRASH_AT", "shard-0:after-commit")
    assert doubts(load()) == [
        "PRESENCE_SHARD is not a known setting; did you mean PRESENCE_SHARDS?"
    ]


def test_a_file_with_a_secret_that_others_may_read_is_a_warning(tmp_path: Path) -> None:
    config = tmp_path / "presence-runtime.toml"
    config.write_text(f'client_id = "c"\nclient_secret = "{SECRET}"\n')
    config.chmod(0o644)
    assert "is readable by other users" in load().warnings[0]
    config.chmod(0o600)
    assert doubts(load()) == []


@pytest.mark.parametrize(
    ("given", "api_url"),
    [
        ({}, "https://api.mypurecloud.com"),
        ({"environment": "euw2.test"}, "https://api.euw2.test.mypurecloud.com"),
        ({"region": "us-east-1"}, "https://api.mypurecloud.com"),
        ({"region": "EU-Central-1"}, "https://api.mypurecloud.de"),
        ({"region": "new1.pure.cloud"}, "https://api.new1.pure.cloud"),
        ({"base_url": "http://127.0.0.1:8080/"}, "http://127.0.0.1:8080"),
        ({"base_url": "https://gw.example", "region": "eu-west-1"}, "https://gw.example"),
    ],
)
def test_where_the_gateway_is(given: dict[str, Any], api_url: str) -> None:
    assert Settings(**given).api_url == api_url


def test_every_region_has_one_domain() -> None:
    assert len(set(DOMAINS.values())) == len(DOMAINS) == 18
    assert domain_of("ap-southeast-1") == "apse1.pure.cloud"


def test_settings_are_frozen_and_read_nothing_behind_the_callers_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PRESENCE_SHARDS", "5")
    settings = Settings()
    assert settings.shards == 2
    with pytest.raises(ValidationError):
        settings.shards = 3


def test_the_file_that_a_setting_came_from_is_known_wherever_it_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(needs_gateway=False).file is None
    (tmp_path / "presence-runtime.toml").write_text("shards = 3\n")
    assert load(needs_gateway=False).file == tmp_path / "presence-runtime.toml"
    other = tmp_path / "other.toml"
    other.write_text("shards = 4\n")
    assert load(config=other, needs_gateway=False).file == other

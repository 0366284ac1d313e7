"""Settings of the web child: addresses as people write them, and in words what is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from actors.settings.layers import Effective, load
from actors.settings.web import (
    DEFAULT_THRESHOLDS,
    ListenAddress,
    WebSettings,
    is_loopback,
    parsed,
)
from runtime.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.upper().startswith(("PRESENCE_", "GENESYSCLOUD_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def loaded(toml: str) -> Effective:
    Path("presence-runtime.toml").write_text(toml)
    return load(needs_gateway=False)


def test_unless_told_otherwise_nobody_but_this_machine_is_served() -> None:
    address = WebSettings().address
    assert address == ListenAddress("127.0.0.1", 8321)
    assert address.is_loopback
    assert WebSettings().tokens_file is None


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:0", ListenAddress("127.0.0.1", 0)),
        ("0.0.0.0:80", ListenAddress("0.0.0.0", 80)),
        ("[::1]:8321", ListenAddress("::1", 8321)),
        ("[0:0::1]:8321", ListenAddress("::1", 8321)),
        ("wall.example:65535", ListenAddress("wall.example", 65_535)),
    ],
)
def test_an_address_is_read_as_it_is_written_everywhere(text: str, address: ListenAddress) -> None:
    assert parsed(text) == address
    assert parsed(str(address)) == address


@pytest.mark.parametrize("text", ["", "off"])
def test_the_network_can_be_left_out_also_where_an_empty_value_means_none(text: str) -> None:
    settings = WebSettings(listen=text)
    assert (settings.listen, settings.address) == ("", None)


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True),
        ("::ffff:127.0.0.1", True), ("0.0.0.0", False), ("::", False), ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False), ("127.0.0.1.evil.example", False), ("localhost.evil", False),
    ],
)  # fmt: skip
def test_loopback_is_told_by_the_address_not_by_how_it_begins(host: str, is_ours: bool) -> None:
    assert is_loopback(host) is is_ours


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ('listen = "8321"', "web.listen = '8321' (from file presence-runtime.toml): must be host:"),
        ('listen = "127.0.0.1:99999"', "must be host:port"),
        ('listen = "127.0.0.1:٣"', "must be host:port"),
        ('listen = "::1:8321"', "must have an IPv6 address in brackets"),
        ('listen = "[::g]:8321"', "web.listen = '[::g]:8321'"),
        ('listen = "a b:1"', "must contain a host name"),
        ('allowed_hosts = ["wall.example:8321"]', "must be a host name without a port"),
        ('allowed_hosts = ["https://wall.example"]', "must be a host name without a port"),
        ("requests_per_s = -1", "web.requests_per_s = -1"),
        ("thresholds = {Talking = [600, 60]}", "Talking is long after 600 s and too long after"),
        ("thresholds = {Talking = [0, 60]}", "web.thresholds.Talking.0 = 0"),
        ("request_per_s = 1", "did you mean web.requests_per_s"),
    ],
)
def test_what_is_wrong_is_named_as_it_was_written(toml: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        loaded(f"[web]\n{toml}")
    assert said in str(caught.value)


def test_files_are_meant_from_the_settings_file(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "p.toml").write_text('[web]\ntokens_file = "tokens"\nnames_file = "names.csv"\n')
    web = load(config=folder / "p.toml", needs_gateway=False).settings.web
    assert (web.tokens_file, web.names_file) == (folder / "tokens", folder / "names.csv")


def test_thresholds_given_in_part_change_only_that_part() -> None:
    web = loaded('[web.thresholds]\n"On Break" = [60, 90]\nTalking = [1, 2]\n').settings.web
    assert web.thresholds == {
        **DEFAULT_THRESHOLDS, "On Break": (60.0, 90.0), "Talking": (1.0, 2.0),
    }  # fmt: skip


def test_variables_reach_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESENCE_WEB__LISTEN", "off")
    monkeypatch.setenv("PRESENCE_WEB__ALLOWED_HOSTS", '["Wall.Example.", "[0::1]"]')
    monkeypatch.setenv("PRESENCE_WEB__THRESHOLDS", '{"Wrapped Up": [5, 6]}')
    effective = load(needs_gateway=False)
    assert effective.settings.web.address is None
    assert effective.settings.web.allowed_hosts == ("wall.example", "[::1]")
    assert effective.settings.web.thresholds["Wrapped Up"] == (5.0, 6.0)
    assert effective.warnings == ()

"""TLS and proxy are decided once, and nothing of ours shows a secret."""

from __future__ import annotations

import pickle
import ssl
from pathlib import Path

import pytest
import trustme

from actors.genesys.http import GatewayAddress, reach
from actors.genesys.proxy import passwords_in, proxy_for, without_password
from actors.genesys.secret import Secret
from runtime.errors import ConfigurationError

API = "https://api.example.com"


def _credentials() -> tuple[str, str]:
    return "id", "hunter2"


def test_sockets_go_to_the_same_host_as_http() -> None:
    address = GatewayAddress(api_url="https://api.example.com", credentials=_credentials)
    assert address.websocket_url == "wss://api.example.com"
    local = GatewayAddress(api_url="http://127.0.0.1:8", credentials=_credentials)
    assert local.websocket_url == "ws://127.0.0.1:8"


@pytest.mark.parametrize(
    ("url", "setting", "environment", "proxy"),
    [
        (API, None, {}, None),
        (API, None, {"HTTPS_PROXY": "http://p:3128"}, "http://p:3128"),
        (API, None, {"https_proxy": "p:3128"}, "http://p:3128"),
        (API, "http://ours:1", {"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "*"}, "http://ours:1"),
        (API, None, {"HTTPS_PROXY": "http://p", "NO_PROXY": "*"}, None),
        (API, None, {"HTTPS_PROXY": "http://p", "NO_PROXY": "other.com, example.com"}, None),
        (API, None, {"HTTPS_PROXY": "http://p", "no_proxy": ".example.com"}, None),
        (API, None, {"HTTPS_PROXY": "http://p", "no_proxy": "api.example.com:443"}, None),
        (API, None, {"HTTPS_PROXY": "http://p", "no_proxy": "api.example.com:80"}, "http://p"),
        (API, None, {"HTTPS_PROXY": "http://p", "no_proxy": "xample.com"}, "http://p"),
        ("https://127.0.0.1:9", None, {"HTTPS_PROXY": "http://p"}, None),
        ("http://127.0.0.1:9", None, {"HTTPS_PROXY": "http://p"}, None),
    ],
)
def test_one_proxy_decision(
    url: str, setting: str | None, environment: dict[str, str], proxy: str | None
) -> None:
    assert proxy_for(url, setting, environment) == proxy


@pytest.mark.parametrize(
    "proxy",
    ["ftp://p:1", "http://p:port", "http://", "http://u:p/hunter2@p:1", "u:12/hunter2@p:1",
     "p:99999", "http://p:0", "[::1", "http://p\x7f:1", "http://p:1/path"],
)  # fmt: skip
def test_a_variable_that_is_no_proxy_is_refused_and_shows_no_password(proxy: str) -> None:
    address = GatewayAddress(api_url=API, credentials=_credentials)
    with pytest.raises(ConfigurationError, match=r"^HTTPS_PROXY = ") as caught:
        reach(address, {"HTTPS_PROXY": proxy})
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://p:3128", "http://p:3128"),
        ("http://u:hunter2@p:3128", "http://********@p:3128"),
        ("u:hunter2@p:3128", "********@p:3128"),
        ("HTTPS://u:hun/ter@2@p", "HTTPS://********@p"),
        ("u://hunter2@p", "********@p"),
        ("", ""),
    ],
)
def test_a_proxy_is_shown_from_its_last_at_sign_on(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_what_a_log_must_not_show_of_a_proxy() -> None:
    hidden = {"u:h%40nter", "u:h@nter", "h%40nter", "h@nter"}
    assert set(passwords_in("http://u:h%40nter@p:1")) == hidden
    assert passwords_in("http://p:1") == passwords_in(None) == ()


def test_tls_is_checked_and_at_least_1_2(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(ca_file))
    address = GatewayAddress(api_url=API, credentials=_credentials, ca_file=ca_file)
    route = reach(address, {})
    assert route.ssl_context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert route.ssl_context.verify_mode is ssl.CERT_REQUIRED
    assert route.ssl_context.check_hostname
    assert any(ca["subject"] for ca in route.ssl_context.get_ca_certs() if "trustme" in str(ca))


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"# B\xfcro\r\n", "# Büro\n".encode()])
def test_certificates_are_read_as_editors_save_them(tmp_path: Path, before: bytes) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(before + trustme.CA().cert_pem.bytes().replace(b"\n", b"\r\n"))
    address = GatewayAddress(api_url=API, credentials=_credentials, ca_file=ca_file)
    found = reach(address, {}).ssl_context.get_ca_certs()
    assert any("trustme" in str(ca) for ca in found)


def test_certificates_in_utf_16_are_refused_by_the_name_of_the_encoding(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(trustme.CA().cert_pem.bytes().decode().encode("utf-16"))
    address = GatewayAddress(api_url=API, credentials=_credentials, ca_file=ca_file)
    with pytest.raises(ConfigurationError, match=r"ca\.pem: .*UTF-16"):
        reach(address, {})


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_bad_ca_file_is_named(tmp_path: Path, content: str | None) -> None:
    ca_file = tmp_path / "ca.pem"
    if content is not None:
        ca_file.write_text(content)
    address = GatewayAddress(api_url=API, credentials=_credentials, ca_file=ca_file)
    with pytest.raises(ConfigurationError, match=r"ca\.pem"):
        reach(address, {})


def test_only_a_tls_proxy_is_given_a_context() -> None:
    def with_proxy(proxy: str) -> ssl.SSLContext | None:
        address = GatewayAddress(api_url=API, credentials=_credentials, proxy=proxy)
        return reach(address, {}).proxy_ssl_context

    assert with_proxy("http://p:3128") is None
    assert isinstance(with_proxy("https://p:3128"), ssl.SSLContext)


def test_an_address_travels_and_shows_no_password() -> None:
    address = GatewayAddress(api_url=API, credentials=_credentials, proxy="http://u:hunter2@p:1")
    assert pickle.loads(pickle.dumps(address)) == address
    assert "hunter2" not in repr(address) + repr(reach(address, {}))


def test_a_secret_formats_as_a_mask_and_is_not_pickled() -> None:
    secret = Secret("hunter2")
    shown = f"{secret} {secret!r} {secret!s} {secret:>20} {[secret]} {'%s' % secret}"  # noqa: UP031
    assert "hunter2" not in shown
    assert secret.reveal() == "hunter2"
    assert secret == Secret("hunter2") != Secret("hunter3")
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(secret)

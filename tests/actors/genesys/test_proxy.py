"""Proxies: which variable counts, whom NO_PROXY exempts, and what is refused by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.genesys.proxy import is_exempt, proxy_for
from runtime.errors import ConfigurationError

API = "https://api.mypurecloud.de"
PROXY = "http://p:3128"


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        (API, {"HTTPS_PROXY": PROXY}, PROXY),
        (API, {"https_proxy": PROXY, "HTTPS_PROXY": "http://q:1"}, PROXY),
        (API, {"ALL_PROXY": PROXY}, PROXY),
        (API, {"all_proxy": "p:3128"}, PROXY),
        (API, {"HTTPS_PROXY": PROXY, "ALL_PROXY": "socks5://q:1"}, PROXY),
        (API, {"HTTP_PROXY": PROXY}, None),
        (API, {"HTTPS_PROXY": "", "ALL_PROXY": ""}, None),
        ("http://gw.example", {"HTTP_PROXY": PROXY}, PROXY),
        ("http://gw.example", {"HTTPS_PROXY": PROXY}, None),
        ("wss://streaming.mypurecloud.de/x", {"HTTPS_PROXY": PROXY}, PROXY),
        ("https://127.8.9.1:9", {"ALL_PROXY": PROXY}, None),
        ("https://[::1]:9", {"ALL_PROXY": PROXY}, None),
        ("https://localhost.", {"ALL_PROXY": PROXY}, None),
        (API, {"ALL_PROXY": "socks5://q:1", "NO_PROXY": "mypurecloud.de"}, None),
    ],
)
def test_a_variable_counts_for_its_kind_of_url(
    url: str, environment: dict[str, str], proxy: str | None
) -> None:
    assert proxy_for(url, None, environment) == proxy


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks4", "socks4a", "socks", "SOCKS5"])
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY", "all_proxy"])
def test_socks_is_refused_by_name_with_what_is_supported(scheme: str, variable: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        proxy_for(API, None, {variable: f"{scheme}://me:hunter2@p:1080"})
    said = str(caught.value)
    assert said.startswith(f"{variable} = '")
    assert f"SOCKS proxies are not supported ({scheme.lower()}): an HTTP proxy" in said
    assert "api.mypurecloud.de in NO_PROXY" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("entry", "host"),
    [
        ("mypurecloud.de", "api.mypurecloud.de"),
        (".mypurecloud.de", "api.mypurecloud.de"),
        ("*.mypurecloud.de", "api.mypurecloud.de"),
        ("MYPURECLOUD.DE.", "api.mypurecloud.de"),
        ("api.mypurecloud.de.", "api.mypurecloud.de"),
        ("api.mypurecloud.de", "api.mypurecloud.de."),
        ("api.mypurecloud.de:443", "api.mypurecloud.de"),
        ("a.example; mypurecloud.de", "api.mypurecloud.de"),
        ("a.example mypurecloud.de", "api.mypurecloud.de"),
        ("*", "anything.example"),
        ("10.0.0.0/8", "10.1.2.3"),
        ("10.1.2.3/8", "10.200.0.1"),
        ("10.1.2.3", "10.1.2.3"),
        ("10.1.2.3:443", "10.1.2.3"),
        ("10.0.0.0/255.0.0.0", "10.1.2.3"),
        ("fd00::/8", "fd12::1"),
        ("[fd00::1]", "fd00::1"),
        ("[fd00::1]:443", "fd00::1"),
        ("fd00:0:0::1", "fd00::1"),
        ("10.0.0.0/8", "::ffff:10.1.2.3"),
    ],
)
def test_whom_an_entry_exempts(entry: str, host: str) -> None:
    assert is_exempt(host, 443, entry)
    assert is_exempt(host, 443, f"other.example,{entry}")


@pytest.mark.parametrize(
    ("entry", "host"),
    [
        ("purecloud.de", "api.mypurecloud.de"),
        ("api.mypurecloud.de:8443", "api.mypurecloud.de"),
        ("[fd00::1]:8443", "fd00::1"),
        ("10.0.0.0/8", "11.0.0.1"),
        ("10.0.0.0/8", "api.mypurecloud.de"),
        ("0.0.0.0/0", "fd00::1"),
        ("10.0.0.0/99", "10.0.0.1"),
        (" , ,", "api.mypurecloud.de"),
        ("*.", "api.mypurecloud.de"),
        (".", "api.mypurecloud.de"),
    ],
)
def test_and_whom_it_does_not(entry: str, host: str) -> None:
    assert not is_exempt(host, 443, entry)


@given(st.text(max_size=60))
def test_no_list_raises(exempt: str) -> None:
    for host in ("api.mypurecloud.de", "10.0.0.1", "fd00::1"):
        is_exempt(host, 443, exempt)

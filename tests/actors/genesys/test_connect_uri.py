"""Where a channel's socket may be opened: within the domain of the API, and never in plaintext."""

from __future__ import annotations

import pytest

from actors.genesys.connect_uri import distrust_of

GERMAN = "https://api.mypurecloud.de"


@pytest.mark.parametrize(
    ("api", "uri"),
    [
        (GERMAN, "wss://streaming.mypurecloud.de/channels/s-1"),
        (GERMAN, "WSS://Streaming.MyPureCloud.DE./channels/s-1"),
        (GERMAN, "wss://streaming-3.eu.mypurecloud.de:443/channels/s-1"),
        ("https://api.mypurecloud.com.au", "wss://streaming.mypurecloud.com.au/channels/s"),
        ("https://api.euw2.pure.cloud", "wss://streaming.euw2.pure.cloud/channels/s"),
        ("https://api.new9.pure.cloud", "wss://streaming.new9.pure.cloud/channels/s"),
        ("https://api.example.org", "wss://streaming.example.org/channels/s"),
        ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/channels/s"),
        ("http://127.0.0.1:8080", "ws://localhost:8080/channels/s"),
        ("http://[::1]:8080", "ws://[::1]:8080/channels/s"),
        ("https://localhost:8443", "wss://localhost:8443/channels/s"),
        ("http://gateway.lan", "ws://gateway.lan/channels/s"),
        ("https://gateway.lan", "wss://gateway.lan:9443/channels/s"),
    ],
)
def test_a_host_of_the_gateway_s_own_domain_is_opened(api: str, uri: str) -> None:
    assert distrust_of(uri, api) == ""


@pytest.mark.parametrize(
    ("api", "uri"),
    [
        (GERMAN, "ws://streaming.mypurecloud.de/channels/s-1"),
        (GERMAN, "https://streaming.mypurecloud.de/channels/s-1"),
        (GERMAN, "wss://streaming.mypurecloud.com/channels/s-1"),
        (GERMAN, "wss://evilmypurecloud.de/channels/s-1"),
        (GERMAN, "wss://streaming.mypurecloud.de.evil.example/channels/s-1"),
        (GERMAN, "wss://streaming.mypurecloud.de@evil.example/channels/s-1"),
        (GERMAN, "wss://me:you@streaming.mypurecloud.de/channels/s-1"),
        (GERMAN, "wss://evil.example\\@streaming.mypurecloud.de/channels/s-1"),
        (GERMAN, "wss://evil.example/?.mypurecloud.de/channels/s-1"),
        (GERMAN, "wss://127.0.0.1/channels/s-1"),
        (GERMAN, "wss://[::1]/channels/s-1"),
        (GERMAN, "wss://streaming.mypurecloud.de:port/channels/s-1"),
        (GERMAN, "wss://strеaming.mypurecloud.de/channels/s-1"),  # noqa: RUF001 - a Cyrillic letter
        (GERMAN, "wss://streaming.mypurecloud.de/channels/s-1\r\nHost: x"),
        (GERMAN, " wss://streaming.mypurecloud.de/channels/s-1"),
        (GERMAN, "streaming.mypurecloud.de/channels/s-1"),
        (GERMAN, "file:///etc/passwd"),
        (GERMAN, "wss:///channels/s-1"),
        (GERMAN, "wss://" + "x" * 10_000),
        ("https://api.euw2.pure.cloud", "wss://streaming.apne2.pure.cloud/channels/s-1"),
        ("https://api.mypurecloud.com", "wss://streaming.mypurecloud.com.au/channels/s-1"),
        ("https://localhost:8443", "ws://127.0.0.1:99/latest/s-1"),
        ("http://127.0.0.1:8080", "ws://169.254.169.254/latest/s-1"),
        ("http://127.0.0.1:8080", "wss://streaming.mypurecloud.de/channels/s-1"),
        ("https://gateway.lan", "wss://other.gateway.lan/channels/s-1"),
    ],
)
def test_any_other_is_not_and_the_reason_holds_no_channel(api: str, uri: str) -> None:
    reason = distrust_of(uri, api)
    assert reason
    assert "s-1" not in reason
    assert reason.isprintable()

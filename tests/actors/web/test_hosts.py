"""Hosts: which names are ours, and which pages; what a hostile one may try."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.web.hosts import AllowedHosts, authority

LOOPBACK = AllowedHosts("127.0.0.1", ())
EVERYWHERE = AllowedHosts("0.0.0.0", ("wall.example", "10.9.9.9"))


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8321", "127.0.0.1", "localhost:8321", "LOCALHOST", "[::1]:8321", "localhost.",
     "[0:0::1]:1"],
)  # fmt: skip
def test_loopback_is_always_ours_at_whatever_port(host: str) -> None:
    assert LOOPBACK.serves(host, "127.0.0.1")
    assert EVERYWHERE.serves(host, "127.0.0.1")


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "127.0.0.2",
     "a@localhost", "localhost:x", "localhost:99999", "localhost:", "[::1", "[::2]", "::1",
     "local host", "localhost/x", "localhost, evil.example", "0.0.0.0", "127.1", "0x7f000001"],
)  # fmt: skip
def test_any_other_name_is_not(host: str) -> None:
    assert not LOOPBACK.serves(host, "127.0.0.1")
    assert not LOOPBACK.serves(host, None)


def test_where_we_listen_everywhere_we_are_called_by_the_address_that_was_reached() -> None:
    assert EVERYWHERE.serves("10.1.2.3:8321", "10.1.2.3")
    assert not EVERYWHERE.serves("10.1.2.4:8321", "10.1.2.3")
    assert EVERYWHERE.serves("[fe80::1]:8321", "fe80::1")
    assert EVERYWHERE.serves("Wall.Example", "10.1.2.3")
    assert EVERYWHERE.serves("wall.example:443", "10.1.2.3")
    assert EVERYWHERE.serves("10.9.9.9", "172.17.0.2")
    assert AllowedHosts("wall.example", ()).serves("wall.example:8321", "10.1.2.3")


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://127.0.0.1:8321", "127.0.0.1:8321"),
        ("http://localhost:8321", "LocalHost:8321"),
        ("http://[::1]:8321", "[::1]:8321"),
        ("http://wall.example", "wall.example"),
        ("https://wall.example", "wall.example"),
        ("https://wall.example", "wall.example:443"),
        ("https://wall.example", "127.0.0.1:8321"),  # a proxy that puts its own name for us
    ],
)
def test_a_page_is_ours_if_it_came_from_where_it_asks(origin: str, host: str) -> None:
    assert EVERYWHERE.is_ours(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("null", "127.0.0.1:8321"),
        ("", "127.0.0.1:8321"),
        ("127.0.0.1:8321", "127.0.0.1:8321"),
        ("file://", "127.0.0.1:8321"),
        ("ws://127.0.0.1:8321", "127.0.0.1:8321"),
        ("http://127.0.0.1:8322", "127.0.0.1:8321"),  # another program on this machine
        ("http://127.0.0.1", "127.0.0.1:8321"),
        ("http://localhost:8321", "127.0.0.1:8321"),
        ("https://wall.example:8443", "wall.example"),
        ("https://wall.example:8443", "127.0.0.1:8321"),
        ("https://wall.example.evil.example", "wall.example"),
        ("https://evil.example", "wall.example"),
        ("https://evil.example/wall.example", "wall.example"),
        ("https://evil@wall.example", "wall.example"),
    ],
)
def test_any_other_page_is_not(origin: str, host: str) -> None:
    assert not EVERYWHERE.is_ours(origin, host)


@given(st.text(max_size=40), st.text(max_size=40))
def test_nothing_that_is_sent_makes_it_stumble(origin: str, host: str) -> None:
    assert isinstance(EVERYWHERE.is_ours(origin, host), bool)
    assert isinstance(EVERYWHERE.is_ours(f"http://{origin}", host), bool)
    assert isinstance(EVERYWHERE.serves(host, origin), bool)
    authority(f"[{host}]:{origin}")

"""Sessions: a cookie is good for its token, its time and our key, and for nothing else."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.web import ended_sessions
from actors.web.arguments import WEB_WORDS
from actors.web.ended_sessions import FILE, EndedSessions
from actors.web.identity import AccessScope, CallerIdentity
from actors.web.sessions import (
    COOKIE,
    KEY_BYTES,
    KEY_FILE,
    BrowserSessions,
    OneTimeToken,
    ended,
    load_key,
)
from actors.web.tokens import ApiToken, Tokens, token
from runtime.counters import Counters

OPS = token("ops", AccessScope.WRITE, "o" * 32)
WALL = token("wall.1", AccessScope.READ, "w" * 32)
KEY = b"k" * KEY_BYTES
NOW_S = 1_795_000_000.5
LIVES_S = 3600.0
ONCE = "1" * 32


def sessions(
    *known: ApiToken,
    key: bytes = KEY,
    one_time: OneTimeToken | None = None,
    ended: EndedSessions | None = None,
) -> BrowserSessions:
    return BrowserSessions(
        key, Tokens(known or (OPS, WALL)), lives_s=LIVES_S, one_time=one_time, ended=ended
    )


def cookie_of(header: str) -> str:
    """What a browser sends back."""
    return header.partition(";")[0]


def test_a_cookie_is_its_token_again_until_its_time_is_over() -> None:
    ours = sessions()
    for known in (OPS, WALL):
        cookie = cookie_of(ours.cookie(known, NOW_S, is_secure=False))
        assert ours.holder(cookie, NOW_S) == known
        assert ours.holder(f"a=1; {cookie}; {COOKIE}=x", NOW_S + LIVES_S - 1) == known
        assert ours.holder(cookie, NOW_S + LIVES_S) is None


def test_it_survives_a_restart_and_no_other_key_knows_it() -> None:
    cookie = cookie_of(sessions().cookie(OPS, NOW_S, is_secure=False))
    assert sessions().holder(cookie, NOW_S) == OPS
    assert sessions(key=b"x" * KEY_BYTES).holder(cookie, NOW_S) is None


@pytest.mark.parametrize(
    "known",
    [WALL, token("ops", AccessScope.READ, "o" * 32), token("ops", AccessScope.WRITE, "p" * 32)],
    ids=["removed", "may less", "another secret"],
)
def test_it_dies_with_its_token_whatever_of_that_has_changed(known: ApiToken) -> None:
    cookie = cookie_of(sessions().cookie(OPS, NOW_S, is_secure=False))
    assert sessions(known).holder(cookie, NOW_S) is None


def test_no_script_sees_it_and_no_other_site_sends_it() -> None:
    header = sessions().cookie(OPS, NOW_S, is_secure=False)
    assert header.endswith("; Max-Age=3600; Path=/; HttpOnly; SameSite=Strict")
    assert sessions().cookie(OPS, NOW_S, is_secure=True).endswith("; SameSite=Strict; Secure")
    assert ended(is_secure=False).startswith(f"{COOKIE}=; Max-Age=0; ")


SOMEBODYS = cookie_of(sessions().cookie(OPS, NOW_S, is_secure=False))


@given(st.data())
def test_whatever_is_changed_in_it_makes_it_nobodys(data: st.DataObject) -> None:
    ours, cookie = sessions(), SOMEBODYS
    place = data.draw(st.integers(len(COOKIE) + 1, len(cookie) - 1))
    other = data.draw(st.characters(exclude_characters=cookie[place], codec="latin-1"))
    changed = cookie[:place] + other + cookie[place + 1 :]
    assert ours.holder(changed, NOW_S) is None


@given(st.text(alphabet=st.characters(codec="latin-1")))
def test_anything_else_is_nobodys(text: str) -> None:
    assert sessions().holder(text, NOW_S) is None
    assert sessions().holder(f"{COOKIE}={text}", NOW_S) is None


# -- signed out --------------------------------------------------------------------------------


def test_a_session_that_was_signed_out_is_over_also_for_a_copy_and_no_other_is() -> None:
    ours = sessions()
    mine, other = (cookie_of(ours.cookie(OPS, NOW_S, is_secure=False)) for _ in range(2))
    assert mine != other  # of the same token, in the same second
    assert len(ours.sign_out(f"a=b; {mine}", NOW_S)) == 1
    assert ours.holder(mine, NOW_S) is None
    assert ours.holder(other, NOW_S) == OPS
    assert ours.sign_out(mine, NOW_S) == []
    assert ours.sign_out(other[:-1], NOW_S) == []


def test_it_stays_over_across_a_restart_and_is_forgotten_when_it_would_be_over(
    tmp_path: Path,
) -> None:
    path = tmp_path / FILE
    first = sessions(ended=EndedSessions(path))
    cookie = cookie_of(first.cookie(OPS, NOW_S, is_secure=False))
    first.sign_out(cookie, NOW_S)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sessions(ended=EndedSessions(path, now_s=NOW_S)).holder(cookie, NOW_S) is None
    assert len(EndedSessions(path, now_s=NOW_S + LIVES_S + 1)) == 0
    assert path.read_text() == ""


@pytest.mark.parametrize("text", ["", "x", "12\n", "9 *\n", "\x00\xff 1\n", "1 a b\n" * 3])
def test_whatever_stands_in_the_file_a_session_goes_on(text: str, tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.write_text(text, encoding="latin-1")
    ours = sessions(ended=EndedSessions(path, now_s=NOW_S))
    assert ours.holder(cookie_of(ours.cookie(OPS, NOW_S, is_secure=False)), NOW_S) == OPS


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("theirs")
    (tmp_path / FILE).symlink_to(elsewhere)
    kept = EndedSessions(tmp_path / FILE)
    kept.end("1", int(NOW_S) + 9, NOW_S)
    assert elsewhere.read_text() == "theirs"
    assert kept.has("1", int(NOW_S) + 9)


def test_of_too_many_nobody_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ended_sessions, "KEPT_MAX", 10)
    kept, end = EndedSessions(tmp_path / FILE), int(NOW_S)
    for number in range(100):
        kept.end(str(number), end + number, NOW_S)
        assert len(kept) <= 10
    again = EndedSessions(tmp_path / FILE, now_s=NOW_S)
    for one in (kept, again):
        assert all(one.has(str(number), end + number) for number in range(100))
        assert not one.has("another", end + 200)


# -- once --------------------------------------------------------------------------------------


def test_a_one_time_token_signs_one_browser_in_also_across_restarts() -> None:
    page = Counters.create("web", WEB_WORDS)
    first = sessions(one_time=OneTimeToken(ONCE, page))
    assert first.spend(ONCE[:-1]) is None
    holder = first.open(ONCE)
    assert holder is not None
    assert holder.identity == CallerIdentity("token:demo", AccessScope.WRITE)
    assert first.open(ONCE) is None
    cookie = cookie_of(first.cookie(holder, NOW_S, is_secure=False))
    successor = sessions(one_time=OneTimeToken(ONCE, page))
    assert successor.spend(ONCE) is None
    assert successor.holder(cookie, NOW_S) == holder
    assert sessions().holder(cookie, NOW_S) is None


# -- the key -----------------------------------------------------------------------------------


def test_the_key_is_made_once_for_the_owner_alone(tmp_path: Path) -> None:
    key = load_key(tmp_path)
    assert len(key) == KEY_BYTES
    assert load_key(tmp_path) == key
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


@pytest.mark.parametrize("left", [b"", b"short"])
def test_half_a_key_is_made_anew(left: bytes, tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_bytes(left)
    assert len(load_key(tmp_path)) == KEY_BYTES

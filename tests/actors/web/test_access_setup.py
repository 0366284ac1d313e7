"""AccessSetup: what is said of tokens at a start, and what a broken file of them does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from actors.settings.web import WebSettings
from actors.web.access_middleware import AccessChecks
from actors.web.access_setup import make_guards, read_again
from actors.web.arguments import WEB_WORDS
from actors.web.sessions import KEY_FILE
from runtime.clock import ManualClock
from runtime.counters import Counters
from tests.actors.web.rig import web_arguments

SECRET = "s" * 32


def guarded(folder: Path, settings: WebSettings) -> tuple[AccessChecks, list[Any]]:
    """What a child would ask, and what it has logged."""
    arguments = replace(web_arguments(folder), settings=settings)
    with capture_logs() as lines:
        guards = make_guards(arguments, Counters.create("web", WEB_WORDS), ManualClock())
    return guards, lines


@pytest.mark.parametrize(
    ("settings", "is_open", "said"),
    [
        ({"listen": "127.0.0.1:0"}, True, []),
        ({"listen": "[::1]:0"}, True, []),
        ({"listen": "off"}, True, []),
        ({"listen": "0.0.0.0:0"}, False, ["web.no_tokens_configured"]),
        ({"listen": "[::]:0"}, False, ["web.no_tokens_configured"]),
        ({"allowed_hosts": ("wall.example",)}, False, ["web.no_tokens_configured"]),
        ({"listen": "off", "allowed_hosts": ("wall.example",)}, False, []),
    ],
)
def test_whether_this_machine_may_look_without_a_token_and_an_address_that_nobody_may_use_is_told(
    settings: dict[str, Any], is_open: bool, said: list[str], tmp_path: Path
) -> None:
    guards, lines = guarded(tmp_path, WebSettings(**settings))
    assert guards.is_open_here is is_open
    assert [line["event"] for line in lines] == said


def test_a_file_of_tokens_closes_loopback_even_if_it_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    for text in ("nonsense\n", "# nobody\n", f"read wall {SECRET}\n"):
        path.write_text(text)
        path.chmod(0o600)
        guards, _ = guarded(tmp_path, WebSettings(tokens_file=path))
        assert not guards.is_open_here


def test_a_file_that_others_may_read_is_told_without_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"read wall {SECRET}\n")
    path.chmod(0o644)
    guards, lines = guarded(tmp_path, WebSettings(tokens_file=path))
    assert [line["event"] for line in lines] == ["web.tokens_exposed", "web.tokens_loaded"]
    assert guards.tokens.find(SECRET) is not None
    assert SECRET not in str(lines)


def test_a_broken_file_leaves_a_starting_child_without_tokens_and_a_running_one_with_its_own(
    tmp_path: Path,
) -> None:
    path = tmp_path / "tokens"
    path.write_text("nonsense\n")
    path.chmod(0o600)
    guards, lines = guarded(tmp_path, WebSettings(tokens_file=path))
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("web.tokens_invalid", "error")
    ]
    assert len(guards.tokens) == 0
    path.write_text(f"read wall {SECRET}\n")
    read_again(guards.tokens, path)
    path.unlink()
    read_again(guards.tokens, path)
    assert guards.tokens.find(SECRET) is not None


def test_without_room_for_a_key_people_are_signed_in_until_a_restart(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).mkdir()  # what stands in the way, whoever we run as
    _, lines = guarded(tmp_path, WebSettings(listen="off"))
    (line,) = lines
    assert (line["event"], line["cause"]) == ("web.key_not_saved", "Is a directory")

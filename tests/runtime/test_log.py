"""The log: one chain, one line per call, nothing secret in any of them."""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from runtime import log

SECRET = "s3cret-of-the-client"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.reset_defaults()
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    for ours in ("actors", "runtime", "presence"):
        logging.getLogger(ours).setLevel(logging.NOTSET)
    log._hidden.clear()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def start(level: str = "info", *hidden: str) -> Any:
    log.setup_child("shard-3", log.arguments_of("json", level, *hidden))
    return structlog.get_logger("actors.state")


def test_a_line_says_when_what_and_which_process(capsys: pytest.CaptureFixture[str]) -> None:
    start().info("shard.loaded", agents=12)
    (line,) = lines(capsys)
    assert line["event"] == "shard.loaded"
    assert line["process"] == "shard-3"
    assert line["level"] == "info"
    assert line["agents"] == 12
    assert line["time"].endswith("Z")


def test_the_level_holds_for_ours_and_others_speak_from_warning_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    start("info").debug("too.much")
    logging.getLogger("httpx").info("GET http://x/?access_token=abc")
    logging.getLogger("picows").warning("odd frame")
    assert [line["event"] for line in lines(capsys)] == ["odd frame"]
    start("debug").debug("wanted")
    logging.getLogger("httpx").debug("still too much")
    assert [line["event"] for line in lines(capsys)] == ["wanted"]


def test_a_level_above_warning_silences_others_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    start("error")
    logging.getLogger("picows").warning("odd frame")
    assert lines(capsys) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"secret": SecretStr(SECRET)},
        {"token": SECRET},
        {"headers": {"Authorization": SECRET}},
        {"tried": ["a", {"password": SECRET}]},
        {"url": f"wss://gateway/?access_token={SECRET}&x=1"},
        {"error": f"no answer from http://me:{SECRET}@proxy.example:3128/"},
        {"reply": f'{{"access_token": "{SECRET}"}}'},
        {"header": f"Bearer {SECRET}"},
        {"error": ValueError(f"refused: Basic {SECRET}")},
    ],
)
def test_a_secret_shows_in_no_value(
    fields: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    start().info("receiver.connecting", **fields)
    captured = capsys.readouterr().err
    assert SECRET not in captured
    assert log.MASK in captured


def test_a_declared_secret_shows_neither_in_a_message_nor_in_a_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logger = start("info", SECRET)
    log.hide("a-token-of-this-hour")
    try:
        raise RuntimeError(f"could not use {SECRET}")
    except RuntimeError:
        logger.exception("token.refused")
    logging.getLogger("picows").warning("with %s and %s", SECRET, "a-token-of-this-hour")
    refused, foreign = lines(capsys)
    assert "could not use" in refused["exception"]
    assert SECRET not in json.dumps([refused, foreign])
    assert foreign["event"] == f"with {log.MASK} and {log.MASK}"


def test_a_short_value_is_not_hidden_for_it_would_mask_half_of_every_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    start("info", "a").info("shard.loaded")
    assert lines(capsys)[0]["event"] == "shard.loaded"


def test_what_a_peer_sent_never_breaks_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logger = start()
    logger.info("odd", sequence=2**80)
    logger.info("odd", text="half a pair \ud800", newline="a\nb")
    logger.info("odd", raw=b"\xff\x00", keys={1: {"x"}})
    assert [line["event"] for line in lines(capsys)] == ["odd"] * 3


def test_the_console_format_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup(log.arguments_of("console", "info", SECRET), process="supervisor")
    structlog.get_logger("runtime.supervisor").info("child.started", why=f"because {SECRET}")
    captured = capsys.readouterr().err
    assert "child.started" in captured
    assert "supervisor" in captured
    assert SECRET not in captured


def test_auto_is_json_when_nobody_watches() -> None:
    assert log.arguments_of("auto", "info").format == "json"


def test_the_arguments_travel_to_a_child_and_show_no_secret() -> None:
    arguments = log.arguments_of("json", "info", SECRET)
    assert pickle.loads(pickle.dumps(arguments)) == arguments
    assert SECRET not in repr(arguments)

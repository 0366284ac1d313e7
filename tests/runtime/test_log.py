"""The log: one chain, one line per call, nothing secret in any of them."""

from __future__ import annotations

import json
import logging
import pickle
import time
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from runtime import log
from runtime.clock import ManualClock

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


def test_what_repeats_is_counted_and_the_count_told_when_the_minute_is_over(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = ManualClock()
    arguments = log.LogArguments(format="json", level="info", lines_per_minute=3)
    log.setup(arguments, process="receiver", clock=clock)
    logger = structlog.get_logger("actors.receiver")
    for number in range(10_000):
        logger.warning("frame.odd", number=number)
        logging.getLogger("httpx").warning("odd answer %d", number)
    logger.info("another")
    assert [line["event"] for line in lines(capsys)] == [
        "frame.odd", "odd answer 0", "frame.odd", "odd answer 1", "frame.odd", "odd answer 2",
        "another",
    ]  # fmt: skip
    clock.advance(60)
    logger.info("another")
    told = lines(capsys)
    assert {(line.get("lines"), line.get("count")) for line in told[:2]} == {
        ("frame.odd", 9_997), ("httpx", 9_997),
    }  # fmt: skip
    assert [line["event"] for line in told] == ["log.lines_left_out"] * 2 + ["another"]


def test_what_was_left_out_is_told_at_the_end_and_what_is_finished_never_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.setup(
        log.LogArguments(format="json", level="info", lines_per_minute=1),
        process="sender",
        clock=ManualClock(),
    )
    for number in range(4):
        structlog.get_logger("presence.audit").info(f"AUDIT|{number}")
        structlog.get_logger("actors.sender").info("command.refused")
    log.finish()
    log.finish()
    events = [line["event"] for line in lines(capsys)]
    assert [each for each in events if each.startswith("AUDIT|")] == [
        f"AUDIT|{number}" for number in range(4)
    ]
    assert events.count("command.refused") == 1
    assert events.count("log.lines_left_out") == 1


def test_a_count_is_told_although_nothing_follows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.line_rates.MINUTE_S", 0.05)
    log.setup(log.LogArguments(format="json", level="info", lines_per_minute=1), process="web")
    for _ in range(3):
        structlog.get_logger("actors.web").info("web.odd")
    told: list[dict[str, Any]] = []
    deadline_s = time.monotonic() + 20
    while not any(line["event"] == "log.lines_left_out" for line in told):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
        told += lines(capsys)

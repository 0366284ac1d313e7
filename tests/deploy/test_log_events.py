"""Every event that can be logged stands in a table of docs/operations.md, and nothing else does."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.deploy.log_events import ANY_LEVEL, Unreadable, events_of, log_events
from tests.deploy.operations_page import PAGE

HEAD = "| event | level | meaning | what to do |"
KEEPS_ITS_NAME = (
    "history.complete", "snapshot.whole", "web.listens", "shard.loaded", "session.begins",
    "child.exited", "child.failed", "child.crashed", "runtime.failed", "roster.failed",
    "channel.call_failed",
)  # fmt: skip


def documented_rows() -> Iterator[tuple[str, str, str]]:
    """Event, its levels, and what it means."""
    is_inside = False
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        is_inside = line == HEAD or (is_inside and line.startswith("|"))
        if is_inside and line != HEAD and not line.startswith("|---"):
            cells = [each.strip() for each in re.split(r"(?<!\\)\|", line)[1:-1]]
            assert len(cells) == 4, line
            for event in re.findall(r"`([^`]+)`", cells[0]):
                yield event.replace("\\|", "|"), cells[1], cells[2]


def test_every_event_is_documented_and_every_documented_event_exists() -> None:
    documented = [event for event, _, _ in documented_rows()]
    assert sorted(documented) == sorted(log_events())


def test_every_event_is_documented_with_its_levels_and_a_meaning() -> None:
    events = log_events()
    for event, level, meaning in documented_rows():
        levels, found = set(level.split(", ")), events[event]
        assert levels == found or levels < found == ANY_LEVEL, (event, found)
        assert len(meaning) > 10, event


@pytest.mark.parametrize("event", KEEPS_ITS_NAME)
def test_an_event_that_others_read_keeps_its_name(event: str) -> None:
    assert event in log_events()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('self._log.warning("a.b", x=1)', [("a.b", {"warning"})]),
        ('structlog.get_logger("x").info("a.b")', [("a.b", {"info"})]),
        ('log.exception("a.b")', [("a.b", {"error"})]),
        ('(log.info if ok else log.error)("a.b")', [("a.b", {"info", "error"})]),
        ('self._act(signals.Tell("a.b", (), "error"))', [("a.b", {"error"})]),
        ('Tell("a.b", ())', [("a.b", {"info"})]),
        ('log.info("a.b" if ok else "a.c")', [("a.b", {"info"}), ("a.c", {"info"})]),
        ('def f():\n    e = "a.b" if ok else "a.c"\n    log.error(e)',
         [("a.b", {"error"}), ("a.c", {"error"})]),
        ('def say(self, event):\n    log.error(event)\nself.say("a.b")', [("a.b", {"error"})]),
        (('def say(self, event, *, level="info"):\n    Tell(event, (), level)\n'
          'def again(self, event):\n    self.say(event, level="warning")\nself.again("a.b")'),
         [("a.b", {"warning"})]),
        ("_AUDIT_LOG.info(audit_line(command))", [("AUDIT|…", {"info"})]),
        ('text.info("a.b")', []),
    ],
)  # fmt: skip
def test_an_event_is_found_however_it_reaches_the_log(
    text: str, found: list[tuple[str, set[str]]]
) -> None:
    assert [(event, set(levels)) for event, levels in events_of(text)] == found


@pytest.mark.parametrize("text", ['log.info(f"a.{b}")', "def f():\n    log.info(names[0])"])
def test_an_event_whose_name_is_computed_is_a_finding(text: str) -> None:
    with pytest.raises(Unreadable):
        events_of(text)

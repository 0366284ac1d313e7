"""One hostile corpus through every way out. The ways are found, not listed: a new one is here at
once, and fails where it lets something through, or where nobody has said how it is gone.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import structlog

from runtime import log
from tests.deploy import everything
from tests.ways_out import finding
from tests.ways_out.corpus import FORMULA, HARMLESS, KINDS, acting, texts
from tests.ways_out.recipes import RECIPES
from tests.ways_out.scene import STATES, TOKEN, USERS, WaysOutScene

UNDESCRIBED = {"/", "/static/{name}", "/api/openapi.json"}
"""The page's own files and the description: nothing of others is in them."""
ENDLESS = {"/api/stream"}
EVIDENCE = ("owned", "1;1H", "31mb", "<img", *(KINDS[kind] for kind in HARMLESS))
"""Of the corpus, whatever was escaped in it."""
pytestmark = pytest.mark.timeout(300)


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)


# -- routes


def called(path: str, text: str) -> str:
    return re.sub(r"\{(\w+)(:path)?\}", lambda _: quote(text, safe=""), path)


def bodies(operation: dict[str, Any]) -> Iterator[Any]:
    """None, and whatever hostile body the description lets one send."""
    yield None
    if "requestBody" in operation:
        for text in texts(300):
            yield {"state": text, "reason": text, "expected": text, "token": text, "force": True}
        yield texts(300)


@pytest.mark.parametrize(("method", "path"), finding.routes())
def test_a_route_says_the_corpus_as_data_and_nothing_breaks(
    running: WaysOutScene, method: str, path: str
) -> None:
    operation = finding.description()["paths"][path][method.lower()]
    named = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"]
    heads = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "header"]
    asked: list[tuple[str, dict[str, str], Any]]
    asked = [(called(path, text), {}, None) for text in ["x", *USERS]]
    asked += [(called(path, USERS[0]), {name: text}, None) for name in named for text in texts(300)]
    asked += [(called(path, USERS[0]), {}, body) for body in bodies(operation)]
    if path in ENDLESS:
        asked = [*[each for each in asked if each[1]][:40], (path, {}, None)]
    for target, query, body in asked:
        headers = {name: ascii(KINDS["markup"]) for name in heads}
        with running.http.stream(
            method, target, params=query, json=body, headers=headers
        ) as answer:
            assert answer.status_code != 500, (target, query, body)
            kind = answer.headers.get("content-type", "")
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert acting(" ".join(answer.headers.values())) == []
            if "text/event-stream" in kind:
                first = next(answer.iter_text())
                assert all(line.partition(":")[0] in {"", "id", "event", "data", "retry"}
                           for line in first.split("\n")), first[:300]  # fmt: skip
                continue
            shown = answer.read()
        if "json" in kind:
            json.loads(shown)
        else:
            assert kind.startswith("text/plain") or not shown, kind
            assert acting(shown.decode()) == []


def test_what_the_description_leaves_out_is_known() -> None:
    assert finding.undescribed() <= UNDESCRIBED
    assert len(finding.routes()) >= 20


def test_every_text_comes_back_as_it_was(running: WaysOutScene) -> None:
    shown = set(strings(running.listed("/api/agents?limit=200")))
    assert set(USERS) <= shown
    assert len(shown & set(STATES)) >= len(STATES) - 2  # one more was set aside for its length


# -- commands


def on_a_pipe(running: WaysOutScene, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "runtime", *arguments],
        cwd=finding.ROOT, capture_output=True, check=False, timeout=100,
        env={**os.environ, "PRESENCE_DATA_DIR": str(running.service.data_dir), "COLUMNS": "200"},
    )  # fmt: skip


def on_a_terminal(running: WaysOutScene, *arguments: str) -> str:
    """What a terminal is sent, its drawing and colours apart."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PRESENCE_DATA_DIR": str(running.service.data_dir),
                   "TERM": "xterm-256color", "COLUMNS": "200"}  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "runtime", *arguments],
        cwd=finding.ROOT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    parts = []
    try:
        while part := os.read(ours, 65_536):
            parts.append(part)
    except OSError:  # the other end is closed
        pass
    process.wait(100)
    os.close(ours)
    shown = b"".join(parts).decode(errors="replace").replace("\r\n", "\n")
    shown = re.sub(r"\r[\d,]+ rows(, up to [\dTZ:.-]+ )?(\x1b\[K)?", "", shown)  # of export
    return re.sub(r"\x1b\[[\d;]*m", "", shown)


@pytest.mark.parametrize("words", finding.commands())
def test_a_command_shows_the_corpus_and_it_acts_on_nobody(
    running: WaysOutScene, words: str
) -> None:
    recipe = RECIPES.get(words)
    assert recipe is not None, f"nobody says how `{words}` is called: tests/ways_out/recipes.py"
    assert recipe.calls or recipe.why
    for arguments in recipe.calls:
        asked = [word for word in arguments if "\0" not in word]
        done = on_a_pipe(running, *words.split(), *asked)
        out, errors = done.stdout.decode(), done.stderr.decode()
        assert acting(out) == [], arguments
        assert acting(errors) == [], arguments
        assert "Traceback" not in errors, (arguments, errors[-2_000:])
        if "--json" in arguments and out:
            json.loads(out)
        if recipe.shows and "--pseudonymise" not in arguments:
            assert any(each in out for each in EVIDENCE), arguments
    for arguments in recipe.calls[:2]:
        assert acting(on_a_terminal(running, *words.split(), *arguments)) == [], arguments


def test_every_recipe_is_of_a_command_that_there_is() -> None:
    assert RECIPES.keys() <= finding.commands().keys()


def test_a_csv_export_has_every_text_in_its_own_cell(running: WaysOutScene) -> None:
    done = on_a_pipe(running, "export", "--since", "7d", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout.decode(), newline="")))
    # A cell may be made safe to open; what stands behind the mark is the text.
    shown = {row["user"].removeprefix("'") for row in rows}
    as_they_were = {each for each in USERS if acting(each) == [] and "\r" not in each}
    assert as_they_were - shown <= {"'; DROP TABLE agents; --"}
    assert len(as_they_were) > 10
    assert all(None not in row and None not in row.values() for row in rows)


@pytest.mark.xfail(strict=False, reason="until CSV exports are safe by default (of another part)")
def test_no_cell_of_a_csv_export_is_a_formula(running: WaysOutScene) -> None:
    done = on_a_pipe(running, "export", "--since", "7d", "--format", "csv")
    rows = list(csv.reader(io.StringIO(done.stdout.decode(), newline="")))
    assert [cell for row in rows for cell in row if cell.startswith(FORMULA)] == []


def test_whoever_writes_to_a_standard_stream_goes_through_the_escaping() -> None:
    """`print` does; everything else is one of these."""
    others = {(path, what) for path, _, what in finding.prints() if what != "print"}
    assert others <= {
        ("actors/cli/tables.py", "sys.stdout.write"),  # JSON, escaped as JSON is
        ("actors/cli/tables.py", "Console"),  # shows cells
        ("actors/cli/export.py", "sys.stdout.buffer"),  # not on a terminal
        ("actors/cli/export.py", "sys.stdout.write"),
        ("actors/cli/status.py", "Live"),
        ("actors/demo/view.py", "Live"),
    }


# -- log events


@pytest.mark.parametrize("format_", ["json", "console"])
@pytest.mark.parametrize("event", finding.events())
def test_a_log_event_is_one_bounded_line_whatever_stands_in_it(
    event: str, format_: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        log.setup(log.LogArguments(format=format_, level="debug", lines_per_minute=0), process="p")
        logger = structlog.get_logger("actors.any")
        for text in KINDS.values():
            try:
                raise ValueError(text)
            except ValueError:
                logger.warning(event, error=text, fields={text: [text]}, exc_info=True)
        logging.getLogger("picows").warning("%s", KINDS["another line"])
    finally:
        structlog.reset_defaults()
        logging.captureWarnings(False)
        root.handlers[:] = handlers
        root.setLevel(level)
    shown = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().err)
    assert acting(shown) == []
    ours = [line for line in shown.splitlines() if not line.startswith("  | ")]
    assert len(ours) == len(KINDS) + 1, ours[:5]
    assert max(map(len, ours)) < 60_000
    if format_ == "json":
        assert {json.loads(line)["event"] for line in ours[:-1]} == {event}
    else:
        assert [line for line in ours[:-1] if event not in line] == []


def test_the_log_of_the_whole_runtime_is_lines_of_json_that_act_on_nobody(
    running: WaysOutScene,
) -> None:
    shown = running.service.log.read_text()
    assert acting(shown) == []
    for line in shown.splitlines():
        assert json.loads(line)["process"]
    assert "forged" not in {json.loads(line)["event"] for line in shown.splitlines()}


# -- metrics


@pytest.mark.parametrize("metric", sorted(everything.names()))
def test_a_metric_has_labels_of_a_closed_set(metric: str, running: WaysOutScene) -> None:
    """Nothing that others name becomes a label: they could be without end."""
    scraped = running.http.get("/metrics").text
    lines = [
        line for line in scraped.splitlines() if line.startswith((f"{metric}{{", f"{metric} "))
    ]
    assert [
        line for line in lines for text in KINDS.values() if len(text) > 4 and text in line
    ] == []
    assert len(lines) < 400


def test_the_metrics_of_the_whole_runtime_act_on_nobody(running: WaysOutScene) -> None:
    assert acting(running.http.get("/metrics").text) == []


# -- sinks


@pytest.mark.parametrize("kind", finding.sinks())
def test_a_sink_hands_on_every_text_as_data(running: WaysOutScene, kind: str) -> None:
    match kind:
        case "jsonl":
            shown = running.lines.read_text()
            events = [json.loads(line) for line in shown.split("\n") if line]
        case "webhook":
            shown = "\n".join(post.body.decode() for post in running.gateway.posts)
            bodies_ = [json.loads(post.body) for post in running.gateway.posts]
            events = [e for each in bodies_ for e in (each if isinstance(each, list) else [each])]
            heads = [v for post in running.gateway.posts for v in post.headers.values()]
            assert acting(" ".join(heads)) == []
        case _:
            raise AssertionError(f"nobody says how a sink of the kind {kind} is read")
    assert acting(shown) == []
    assert {each.get("subject") for each in events} >= set(USERS)


# -- the page


@pytest.mark.parametrize("path", finding.page_files(), ids=lambda path: path.name)
def test_a_part_of_the_page_makes_text_of_text(path: Path) -> None:
    text = path.read_text()
    banned = re.findall(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc"
        r"|createContextualFragment|DOMParser|setHTML|javascript:|\.on(?:click|load|error)\s*=",
        text,
    )
    assert banned == [], "what others wrote would become markup or code"
    attributes = re.findall(r"setAttribute\((?:[^,()]|\([^()]*\))+,\s*\"([\w-]+)\"", text)
    acting_ones = {"href", "src", "style", "action", "formaction", "srcset", "xlink:href"}
    assert [each for each in attributes if each in acting_ones or each.startswith("on")] == []
    # Objects by names of others: `__proto__` and `constructor` would be found in every one of them.
    assert TOKEN not in text

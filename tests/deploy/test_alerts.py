"""The alerts: few, each with somebody to act and a page that says how, silent when nobody need act.

When they speak and when they do not stands in alerts_test.yml, which Prometheus' own tool judges.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.everything import label_values, names, text, used_in
from tests.deploy.operations_page import PAGE
from tests.deploy.promtool import ALERTS, promtool, rules
from tests.deploy.test_operations_page import anchors

ALERTS_MAX = 8


def test_prometheus_takes_them() -> None:
    assert f"{len(rules())} rules found" in promtool("check", "rules", ALERTS)


def test_they_speak_and_are_silent_when_they_should() -> None:
    tested = Path(__file__).with_name("alerts_test.yml")
    assert "SUCCESS" in promtool("test", "rules", tested)
    alertnames = set(re.findall(r"alertname: (\w+)", tested.read_text()))
    assert alertnames == {rule["alert"] for rule in rules()}


def test_they_are_few() -> None:
    assert 1 <= len(rules()) <= ALERTS_MAX


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_each_has_a_severity_a_patience_and_a_page(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert re.fullmatch(r"[1-9][0-9]*m", rule["for"])
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert page == "docs/operations.md"
    assert anchor == rule["alert"].lower()
    assert anchor in anchors(PAGE.read_text(encoding="utf-8"))
    assert rule["annotations"]["summary"]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_each_asks_only_for_what_there_is(rule: dict[str, Any]) -> None:
    used = used_in(rule["expr"])
    assert used or rule["alert"] == "PresenceDown"  # `up` is Prometheus' own
    assert used - names() == set()
    for name, label, value in re.findall(r'(presence_\w+)\{(\w+)="([^"]*)"', rule["expr"]):
        assert value in label_values()[f"{name}.{label}"]


def test_prometheus_finds_nothing_to_say_of_the_metrics_names() -> None:
    promtool("check", "metrics", stdin=text())

"""The dashboard: importable as it is, and every panel asks for what there is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.deploy.everything import names, used_in
from tests.deploy.promtool import DEPLOY

DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
WIDTH = 24


def panels() -> Iterator[dict[str, Any]]:
    return (each for each in DASHBOARD["panels"] if each["type"] != "row")


def test_its_data_source_is_chosen_when_it_is_imported() -> None:
    source, instance = DASHBOARD["templating"]["list"]
    assert (source["type"], source["query"]) == ("datasource", "prometheus")
    chosen = {"type": "prometheus", "uid": "${" + source["name"] + "}"}
    assert instance["datasource"] == chosen
    for panel in panels():
        assert panel["datasource"] == chosen
        assert all(target["datasource"] == chosen for target in panel["targets"])


def test_every_panel_asks_for_what_there_is() -> None:
    asked = [(panel["title"], target["expr"]) for panel in panels() for target in panel["targets"]]
    assert len(asked) > 20
    for title, expression in asked:
        used = used_in(expression)
        assert used, title
        assert used - names() == set(), title
    (variable,) = used_in(DASHBOARD["templating"]["list"][1]["definition"])
    assert variable in names()


def test_every_panel_has_a_unit_and_asks_for_the_chosen_runtime() -> None:
    for panel in panels():
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        for target in panel["targets"]:
            assert 'instance=~"$instance"' in target["expr"], panel["title"]


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert max(x for x, _ in cells) < WIDTH, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)

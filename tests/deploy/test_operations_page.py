"""What docs/operations.md says of settings, alerts and files is what there is."""

from __future__ import annotations

import json
import re

import pytest

from actors import main as cli
from actors.settings.table import SettingRow, markdown, rows
from tests.deploy.operations_page import PAGE, RENEW, written


def test_the_table_of_settings_is_that_of_the_model() -> None:
    assert written() == markdown(), f"settings have changed: {RENEW}"


def test_the_command_that_the_page_names_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["settings", "--markdown"]) == 0
    assert capsys.readouterr().out == written()
    assert cli.main(["settings", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["setting"] for each in told] == [row.setting for row in rows()]


def test_every_setting_says_what_it_means() -> None:
    assert [row.setting for row in rows() if not row.meaning] == []


def test_a_setting_tells_its_default_and_its_bounds() -> None:
    by_key = {row.setting: row for row in rows()}
    assert by_key["shards"] == SettingRow("shards", "2", "1 to 64", by_key["shards"].meaning)
    assert by_key["retention_days"].allowed == "over 0 to 36,500"
    assert by_key["journal"].allowed == "full, off"
    assert by_key["sender.enabled"][1:3] == ("true", "true, false")
    assert by_key["client_secret"].default == ""
    assert by_key["proxy"].default == ""
    assert by_key["sinks[].kind"].default == "needed"
    assert by_key['sender.capacity.queues."…".minimum_available'].default == "0"
    assert '"Wrapped Up" = [120, 300]' in by_key["web.thresholds"].default


def test_every_link_of_the_page_leads_somewhere() -> None:
    text = PAGE.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    local = [link for link in links if "://" not in link]
    assert local
    lost = [
        link
        for link in local
        if not (PAGE.parent / link.partition("#")[0]).exists()
        or (link.startswith("#") and link[1:] not in anchors(text))
    ]
    assert lost == []


def anchors(text: str) -> set[str]:
    """Of its headings, as they are made of them on the web."""
    titles = re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}

"""Running: a whole runtime beside a bundled gateway, supervised by the test, scraped as it goes on.

Settings reach it unvalidated, so that a channel can be rotated every few seconds.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeAlias

from prometheus_client import parser

from actors.app.topology import Runtime
from actors.settings.model import Settings
from actors.web.address import connect_path
from runtime.log import LogArguments
from runtime.supervisor import Supervisor
from tests.deploy.promtool import ALERTS, rules
from tests.processes.service import UnixConnection

PATIENCE_S = 60.0
LOG = LogArguments(format="json", level="warning")

Key: TypeAlias = tuple[str, frozenset[tuple[str, str]]]
"""A sample's name and labels."""
Sample: TypeAlias = dict[Key, float]


def key(name: str, **labels: str) -> Key:
    return name, frozenset(labels.items())


class Running:
    """For the main thread of a test."""

    def __init__(self, supervisor: Supervisor, data_dir: Path) -> None:
        self.supervisor = supervisor
        self._data_dir = data_dir

    def scrape(self) -> Sample:
        """What it answers now; empty while nobody does."""
        with connect_path(self._data_dir) as path, closing(UnixConnection(path)) as connection:
            try:
                connection.request("GET", "/metrics")
                answer = connection.getresponse()
                text = answer.read().decode()
            except (OSError, http.client.HTTPException):
                return {}
        assert answer.status == 200, text
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in parser.text_string_to_metric_families(text)
            for sample in family.samples
        }

    def until(self, fact: Callable[[Sample], object], what: str) -> list[Sample]:
        """Every scrape up to the one of which `fact` is true."""
        deadline_s = time.monotonic() + PATIENCE_S
        seen = [self.scrape()]
        while not fact(seen[-1]):
            assert time.monotonic() < deadline_s, f"not within {PATIENCE_S} s: {what}"
            assert not self.supervisor.finished, self.supervisor.reason
            self.supervisor.step(0.1)
            seen.append(self.scrape())
        return seen


@contextmanager
def running(settings: Settings) -> Iterator[Running]:
    runtime = Runtime.assemble(settings, LOG)
    try:
        with Supervisor(
            runtime.specs, environment=runtime.environment, page=runtime.supervisor
        ) as supervisor:
            supervisor.start()
            yield Running(supervisor, settings.data_dir)
            supervisor.request_stop("the test is over")
            while not supervisor.finished:
                supervisor.step(0.1)
            assert supervisor.exit_code == 0, supervisor.reason
    finally:
        runtime.data_dir.lock.release()


def total(sample: Sample, name: str) -> float:
    """Of all its labels."""
    return sum(value for (each, _), value in sample.items() if each == name)


def is_confirmed(sample: Sample) -> bool:
    stale = [value for (name, _), value in sample.items() if name == "presence_shard_stale"]
    agents = total(sample, "presence_agents")
    return (
        bool(stale) and not any(stale) and agents > 0 and not sample[key("presence_page_lagging")]
    )


def written_as_rules_test(samples: list[Sample]) -> dict[str, object]:
    """What `promtool test rules` is given: each scrape stands for 15 s, and nothing may be said."""
    keys = sorted({each for sample in samples for each in sample}, key=str)
    series = []
    for name, labels in keys:
        told = ", ".join(f'{label}="{value}"' for label, value in sorted(labels))
        values = [sample.get((name, labels)) for sample in samples]
        shown = " ".join("_" if value is None else f"{value:.10g}" for value in values)
        series.append({"series": f"{name}{{{told}}}", "values": shown})
    up = " ".join(str(int(bool(sample))) for sample in samples)
    series.append({"series": 'up{job="presence-runtime"}', "values": up})
    times = [f"{15 * number}s" for number in range(len(samples))]
    silent = [
        {"eval_time": at, "alertname": rule["alert"], "exp_alerts": []}
        for at in times
        for rule in rules()
    ]
    test = {"interval": "15s", "input_series": series, "alert_rule_test": silent}
    return {"rule_files": [str(ALERTS)], "evaluation_interval": "15s", "tests": [test]}

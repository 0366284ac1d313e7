"""A runtime that runs: what it exposes, over restarts, and that alerts are silent in rotations."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import SecretStr

from actors.demo.gateway import BundledGateway
from actors.messages.control import Dialect
from actors.settings.model import Settings
from actors.settings.web import WebSettings
from tests.deploy.everything import names
from tests.deploy.promtool import promtool
from tests.deploy.running import (
    Running,
    Sample,
    is_confirmed,
    key,
    running,
    total,
    written_as_rules_test,
)

AGENTS = 60
CHANNEL_AGE_S = 3.0
JUDGED = "presence_shard_events_total"


@contextmanager
def runtime(
    tmp_path: Path, dialect: Dialect, token_life_s: float | None = None
) -> Iterator[Running]:
    gateway = BundledGateway.start(
        tmp_path / "ledger", agents=AGENTS, seed=7, tls=False, dialect=dialect,
        token_life_s=token_life_s,
    )  # fmt: skip
    settings = Settings(
        dialect=dialect,
        base_url=gateway.base_url,
        client_id=gateway.client_id,
        client_secret=SecretStr(gateway.client_secret),
        data_dir=tmp_path / "data",
        web=WebSettings(listen=""),
    )
    hasty = settings.cloud.model_copy(update={"rotate_after_s": CHANNEL_AGE_S})
    try:
        with running(settings.model_copy(update={"cloud": hasty})) as started:
            started.until(is_confirmed, "all states are confirmed")
            gateway.start_load(200, 600)
            yield started
    finally:
        gateway.close()


def counted(sample: Sample) -> Sample:
    """What may only grow."""
    ends = ("_total", "_bucket", "_sum", "_count")
    return {each: value for each, value in sample.items() if each[0].endswith(ends)}


def is_back(child: str, sample: Sample) -> bool:
    restarts = sample.get(key("presence_child_restarts_total", child=child))
    return restarts == 1 and is_confirmed(sample)


def test_what_is_counted_goes_on_whoever_is_killed(tmp_path: Path) -> None:
    with runtime(tmp_path, "wsp") as started:
        seen = started.until(lambda sample: total(sample, JUDGED) > 100, "events are judged")
        for child in ("shard-0", "receiver-0", "web"):
            pid = started.supervisor.pids[child]
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            seen += started.until(partial(is_back, child), f"{child} is back")
        most = total(seen[-1], JUDGED) + 100
        seen += started.until(lambda sample: total(sample, JUDGED) > most, "events go on")
    answered = [sample for sample in seen if sample]
    for before, after in pairwise(answered):
        shrunk = [each for each, value in counted(before).items() if after[each] < value]
        assert shrunk == []
    assert {name for sample in answered for name, _ in sample} <= names()
    assert total(answered[-1], "presence_agents") == AGENTS
    measured = total(answered[-1], "presence_shard_event_seconds_count")
    assert measured >= 200


@pytest.mark.parametrize(
    ("dialect", "token_life_s", "replaced"),
    [
        # Renewed after 11 s: a session is not replaced before it is 10 s old.
        ("wsp", 22.0, "presence_receiver_reconnects_total"),
        ("cloud", 6.0, "presence_receiver_rotations_total"),
    ],
)
def test_no_alert_speaks_while_tokens_and_channels_are_rotated(
    tmp_path: Path, dialect: Dialect, token_life_s: float, replaced: str
) -> None:
    with runtime(tmp_path, dialect, token_life_s) as started:
        renewed = key("presence_token_refreshes_total", child="receiver-0")
        seen = started.until(
            lambda sample: total(sample, replaced) >= 1 and sample[renewed] >= 2,
            "another token and another session",
        )
        judged = total(seen[-1], JUDGED)
        seen += started.until(lambda sample: total(sample, JUDGED) > judged + 100, "events go on")
    assert len(seen) > 10
    test = tmp_path / "rotation_test.yml"
    test.write_text(json.dumps(written_as_rules_test(seen)))  # JSON is YAML as well
    assert "SUCCESS" in promtool("test", "rules", test)

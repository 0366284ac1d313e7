"""What `check --online` tries, against both gateways: what is good, and what is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import SecretStr

from actors import main as cli
from actors.cli import preflight
from actors.cli.check import show, verdict
from actors.cli.preflight import Trial
from actors.settings.cloud import ClientSettings
from actors.settings.layers import Effective
from actors.settings.model import Settings
from actors.settings.sender import SenderSettings
from runtime.errors import EXIT_CLEAN, EXIT_CONFIGURATION, EXIT_TEMPORARY
from tests.gateway.bundled import CloudServed, in_loop, serving
from tests.gateway.client import bundled, rest_of

CHANNEL = ("channels", "a channel of ours")
OTHERS = ("token", "users and their presences", *CHANNEL)
ALL = (*OTHERS[:2], "queues", "OAuth clients", "presence definitions", *CHANNEL)


def cloud(gateway: CloudServed, **fields: Any) -> Settings:
    """Its settings, with all of its OAuth clients."""
    first, *others = (
        {"client_id": each["client_id"], "client_secret": SecretStr(each["client_secret"])}
        for each in gateway.ready["clients"]
    )
    more = tuple(ClientSettings(**each) for each in others)
    given = {"dialect": "cloud", "base_url": gateway.ready["base_url"], "clients": more, **first}
    return Settings(**given | fields)


def one(trials: list[Trial], what: str) -> Trial:
    (found,) = (trial for trial in trials if trial.what == what)
    return found


@in_loop
async def test_every_client_is_tried_and_its_channel_let_go(tmp_path: Path) -> None:
    async with bundled(tmp_path, agents=30, clients=2) as gateway:
        trials = await preflight.try_out(cloud(gateway))
        assert preflight.exit_code(trials) == EXIT_CLEAN
        assert [trial.what for trial in trials if trial.who == "client 1"] == list(ALL)
        assert [trial.what for trial in trials if trial.who == "client 2"] == list(OTHERS)
        assert "30 active users" in one(trials[:2], "users and their presences").said
        channels = (await gateway.control("/channels"))["channels"]
        assert [(each["client"], each["topics"]) for each in channels] == [(0, 0), (1, 0)]


@in_loop
async def test_a_permission_that_is_missing_is_named(tmp_path: Path) -> None:
    async with bundled(tmp_path, agents=3, forbidden_every=1) as gateway:
        trials = await preflight.try_out(cloud(gateway))
        refused = one(trials, "a channel of ours")
        assert refused.verdict == "wrong"
        assert "users:activity:view" in refused.said
        assert preflight.ROLES in refused.said
        assert preflight.exit_code(trials) == EXIT_CONFIGURATION
        (channel,) = (await gateway.control("/channels"))["channels"]
        assert channel["topics"] == 0  # let go all the same


@in_loop
async def test_what_is_refused_is_wrong_and_what_fails_may_pass(tmp_path: Path) -> None:
    async with bundled(tmp_path, agents=3) as gateway:
        await gateway.fault("refuse-rest", status=403)
        refused = await preflight.try_out(cloud(gateway))
        assert one(refused, "users and their presences").verdict == "wrong"
        assert preflight.exit_code(refused) == EXIT_CONFIGURATION
        await gateway.fault("refuse-rest", status=503)
        failed = await preflight.try_out(cloud(gateway))
        assert one(failed, "users and their presences").verdict == "no answer"
        assert preflight.exit_code(failed) == EXIT_TEMPORARY


@in_loop
async def test_a_wrong_secret_is_said_once_and_nothing_more_is_tried(tmp_path: Path) -> None:
    async with bundled(tmp_path, agents=3) as gateway:
        trials = await preflight.try_out(cloud(gateway, client_secret=SecretStr("not-this-one")))
        (trial,) = trials
        assert (trial.what, trial.verdict) == ("token", "wrong")
        assert preflight.CREDENTIALS in trial.said
        assert "not-this-one" not in str(trials)


@in_loop
async def test_where_nobody_answers_it_may_pass_by_itself(tmp_path: Path) -> None:
    async with bundled(tmp_path, agents=3) as gateway:
        (trial,) = await preflight.try_out(cloud(gateway, base_url="http://127.0.0.1:9"))
        assert trial.verdict == "no answer"


@in_loop
async def test_too_few_clients_are_told_with_how_many_are_needed(tmp_path: Path) -> None:
    small = {"topics_per_channel_max": 2, "channels_per_client_max": 3}
    async with bundled(tmp_path, agents=20) as gateway:
        trials = await preflight.try_out(cloud(gateway, cloud=small))
        told = one(trials, "OAuth clients")
        assert told.verdict == "wrong"
        assert told.said == "1 configured, 4 needed for 20 agents; 14 agents would not be monitored"


@pytest.mark.parametrize("there", [19, 20])
@in_loop
async def test_no_channel_of_somebody_else_is_pushed_out_by_a_trial(
    there: int, tmp_path: Path
) -> None:
    async with bundled(tmp_path, agents=3) as gateway:
        async with rest_of(gateway) as rest:
            for _ in range(there):
                await rest.create_channel()
        before = (await gateway.control("/channels"))["channels"]
        trials = await preflight.try_out(cloud(gateway))
        assert one(trials, "a channel of ours").verdict == "not tried"
        after = (await gateway.control("/channels"))["channels"]
        assert [each["channel"] for each in after] == [each["channel"] for each in before]


@in_loop
async def test_what_else_is_watched_is_tried_as_well(tmp_path: Path) -> None:
    ids = tmp_path / "ids"
    ids.write_text("a\nb\n")
    async with bundled(tmp_path, agents=3) as gateway:
        file = {"watch": "file", "watch_file": ids}
        assert (
            "2 ids"
            in one(await preflight.try_out(cloud(gateway, cloud=file)), "file of users").said
        )
        ids.unlink()
        trials = await preflight.try_out(cloud(gateway, cloud=file))
        assert one(trials, "file of users").verdict == "wrong"


@in_loop
async def test_names_are_found_as_the_planner_finds_them_and_their_agents_counted(
    tmp_path: Path,
) -> None:
    small = {"topics_per_channel_max": 2, "channels_per_client_max": 1, "watch": "queues"}
    async with bundled(tmp_path, agents=20) as gateway:
        wrong = await preflight.try_out(
            cloud(gateway, cloud=small | {"watch_ids": ("Queeu 0000",)})
        )
        assert one(wrong, "names of queues").verdict == "wrong"
        assert "unknown queues 'Queeu 0000'" in one(wrong, "names of queues").said
        assert "did you mean 'Queue 0000'" in one(wrong, "names of queues").said
        assert preflight.exit_code(wrong) == EXIT_CONFIGURATION
        found = await preflight.try_out(
            cloud(gateway, cloud=small | {"watch_ids": ("queue 0000",)})
        )
        assert one(found, "names of queues").verdict == "good"
        assert "all 1 found, with " in one(found, "names of queues").said
        agents = int(one(found, "names of queues").said.split()[-2])
        assert agents > 2
        assert f"needed for {agents} agents" in one(found, "OAuth clients").said
        assert one(found, "OAuth clients").verdict == "wrong"


@in_loop
async def test_in_the_wsp_dialect_each_token_is_asked_for_with_its_scopes(tmp_path: Path) -> None:
    scopes = frozenset({"notifications:read", "notifications:subscribe", "user:read"})
    async with serving(tmp_path, scopes=scopes) as served:
        settings = Settings(
            base_url=served.ready["base_url"],
            client_id=served.ready["client_id"],
            client_secret=SecretStr(served.ready["client_secret"]),
        )
        trials = await preflight.try_out(settings)
        assert one(trials, "token of the receiver").verdict == "good"
        refused = one(trials, "token of the sender")
        assert refused.verdict == "wrong"
        assert "lacks the scope presence:write" in refused.said
        without = settings.model_copy(update={"sender": SenderSettings(enabled=False)})
        assert preflight.exit_code(await preflight.try_out(without)) == EXIT_CLEAN


@pytest.mark.parametrize(
    ("verdicts", "says"),
    [
        ("good good", "online: 2 of 2 checks passed"),
        ("good not-tried", "online: 1 of 2 checks passed, 1 skipped"),
        ("good no-answer", "online: no response to 1 of 2 checks; try again; first: b (x): why"),
        ("no-answer wrong wrong", "online: 2 of 3 checks failed; first failure: b (x): why"),
    ],
)
def test_the_verdict_names_what_a_person_must_mend_first(verdicts: str, says: str) -> None:
    trials = [
        preflight.Trial("x", what, cast("preflight.Verdict", each.replace("-", " ")), "why")
        for what, each in zip("abc", verdicts.split(), strict=False)
    ]
    assert verdict(trials) == says


def test_it_is_shown_above_the_settings_and_in_their_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = Settings(
        base_url="http://127.0.0.1:9", client_id="c", client_secret=SecretStr("hidden")
    )
    effective = Effective(settings=settings, origins={}, warnings=())
    assert show(effective, online=True, as_json=False) == EXIT_TEMPORARY
    shown = capsys.readouterr().out
    assert "token of the receiver\tclient 1\tno answer\t" in shown
    assert shown.splitlines()[0].startswith("settings are valid: ")
    assert shown.splitlines()[1].startswith("online: no response to 2 of 2 checks")
    assert shown.index("token of the receiver\t") < shown.index("(gateway)")
    assert show(effective, online=True, as_json=True) == EXIT_TEMPORARY
    document = json.loads(capsys.readouterr().out)
    assert {each["verdict"] for each in document["online"]} == {"no answer"}
    assert show(effective, online=False, as_json=True) == EXIT_CLEAN
    assert "online" not in json.loads(capsys.readouterr().out)


def test_the_command_line_asks_for_it_by_a_flag(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRESENCE_CLIENT_ID", "c")
    monkeypatch.setenv("PRESENCE_CLIENT_SECRET", "hidden")
    assert cli.main(["check", "--online", "--base-url", "http://127.0.0.1:9"]) == EXIT_TEMPORARY
    assert cli.main(["check", "--base-url", "http://127.0.0.1:9"]) == EXIT_CLEAN

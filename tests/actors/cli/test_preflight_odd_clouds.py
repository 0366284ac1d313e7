"""What `check --online` says of clouds that refuse, hide and leave out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from actors.cli import preflight
from actors.cli.preflight import Trial
from actors.settings.model import Settings
from runtime.errors import EXIT_CLEAN, EXIT_CONFIGURATION
from tests.gateway.scripted_cloud import PAGES, QUEUES, ScriptedCloud, Trouble

CHANNELS = "/api/v2/notifications/channels"
DEFINITIONS = "/api/v2/presence/definitions"


def tried(
    prepare: Callable[[ScriptedCloud], object], clients: int = 1, watch: Any = None
) -> list[Trial]:
    """All trials, at a cloud of two users that has what a start needs."""

    async def run() -> list[Trial]:
        async with ScriptedCloud() as cloud:
            cloud.add("a", "b")
            cloud.named[QUEUES] = {"q": "Sales"}
            cloud.members[f"{QUEUES}/q/members"] = ["a"]
            uri = f"ws://127.0.0.1:{cloud.port}/channels/chan-1"
            cloud.answers["POST", CHANNELS] = lambda _: {"id": "chan-1", "connectUri": uri}
            cloud.answers["GET", CHANNELS] = lambda _: {"entities": []}
            topics = f"{CHANNELS}/chan-1/subscriptions"
            cloud.answers["PUT", topics] = lambda _: {"entities": [{"id": "v2.users.a.activity"}]}
            cloud.answers["DELETE", topics] = lambda _: b""
            cloud.answers["GET", DEFINITIONS] = lambda _: {
                "entities": [
                    {
                        "id": "d",
                        "systemPresence": "Away",
                        "languageLabels": {"en": "Away", "de": "Weg"},
                    }
                ]
            }
            prepare(cloud)
            first, *others = (
                {"client_id": f"c{number}", "client_secret": SecretStr("x")}
                for number in range(clients)
            )
            given: dict[str, Any] = {"dialect": "cloud", "base_url": cloud.url, **first}
            given |= {"clients": tuple(others), "cloud": watch or {}}
            settings = Settings(**given)
            return await preflight.try_out(settings)

    return asyncio.run(run())


def one(trials: list[Trial], what: str) -> Trial:
    (found,) = (trial for trial in trials if trial.what == what)
    return found


QUEUE = {"watch": "queues", "watch_ids": ("SALES",)}


def test_a_page_of_all_that_the_service_reads_is_read() -> None:
    trials = tried(lambda _: None, watch=QUEUE)
    assert preflight.exit_code(trials) == EXIT_CLEAN
    assert one(trials, "members of queues").said == "1 on the first page of the first of 1 queues"
    assert one(trials, "presence definitions").said == "1 in use, with labels in 2 languages"


def test_channels_of_other_tokens_count_and_none_is_made_from_nineteen_on() -> None:
    def prepare(there: int) -> Callable[[ScriptedCloud], None]:
        def found(cloud: ScriptedCloud) -> None:
            cloud.answers["GET", CHANNELS] = lambda _: {"entities": [{"expires": "x"}] * there}

        return found

    assert one(tried(prepare(18)), "a channel of ours").verdict == "good"
    trials = tried(prepare(19))
    assert one(trials, "channels").said.startswith("19 of 20 exist already")
    assert one(trials, "a channel of ours").verdict == "not tried"


@pytest.mark.parametrize(
    ("path", "what", "usual"),
    [
        (DEFINITIONS, "presence definitions", "presence:presenceDefinition:view"),
        (PAGES, "users and their presences", "directory:user:view"),
        (QUEUES, "names of queues", "routing:queue:view"),
        (f"{CHANNELS}/chan-1/subscriptions", "a channel of ours", "users:activity:view"),
    ],
)
def test_where_a_refusal_names_no_permission_the_usual_one_is_named(
    path: str, what: str, usual: str
) -> None:
    trials = tried(lambda cloud: cloud.troubles.append(Trouble(path, 403)), watch=QUEUE)
    trial = one(trials, what)
    assert trial.verdict == "wrong"
    assert f"a permission is missing, usually {usual}" in trial.said


def test_names_of_queues_are_optional_where_nobody_is_watched_by_them() -> None:
    trials = tried(lambda cloud: cloud.troubles.append(Trouble(QUEUES, 403)))
    assert preflight.exit_code(trials) == EXIT_CLEAN
    assert "routing:queue:view" in one(trials, "queues").said


def test_a_client_that_sees_fewer_users_is_wrong() -> None:
    def prepare(cloud: ScriptedCloud) -> None:
        totals = iter((500, 400))
        cloud.answers["GET", PAGES] = lambda _: {"entities": [{"id": "a"}], "total": next(totals)}

    trials = tried(prepare, clients=2)
    assert preflight.exit_code(trials) == EXIT_CONFIGURATION
    (wrong,) = (trial for trial in trials if trial.verdict == "wrong")
    assert wrong.who == "client 2"
    assert "only 400 of the 500 active users that client 1 sees" in wrong.said


def test_a_socket_that_leads_elsewhere_is_told_and_no_definition_at_all_is_wrong() -> None:
    def prepare(cloud: ScriptedCloud) -> None:
        uri = "wss://evil.example/channels/chan-1"
        cloud.answers["POST", CHANNELS] = lambda _: {"id": "chan-1", "connectUri": uri}
        cloud.answers["GET", DEFINITIONS] = lambda _: {"entities": None}

    trials = tried(prepare)
    channel = one(trials, "a channel of ours")
    assert channel.verdict == "wrong"
    assert "the connectUri names the host evil.example" in channel.said
    assert one(trials, "presence definitions").verdict == "wrong"

"""What a subscription comes to that is refused, and with which token channels are made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog
import structlog.testing

from actors.genesys.channel_plan import Slot
from actors.genesys.cloud import TopicsSetting, subscribed_user
from actors.genesys.cloud_rest import CloudRest
from actors.genesys.secret import Secret
from actors.receiver import channel_signals as signals
from actors.receiver.channel_store import ChannelRecord, ChannelStore, prepare, read_report
from actors.receiver.cloud_arguments import CLOUD_RECEIVER_WORDS
from actors.receiver.cloud_client import CloudClient
from actors.receiver.task_group import TaskGroup
from runtime.child import Child
from runtime.clock import SystemClock
from runtime.counters import Counters
from tests.actors.receiver.rig import until
from tests.gateway.loopback import Request
from tests.gateway.scripted_cloud import ScriptedCloud, with_cloud

SLOT = Slot(0, 0)
USERS = frozenset(f"user-{number}" for number in range(40))
CHANNELS = "/api/v2/notifications/channels"
TOPICS = f"{CHANNELS}/made/subscriptions"
WAIT_S = 77.0


class Bench:
    """A client of the scripted gateway, and the newest signal for its machine. `bad`: users whose
    topics fail whole calls, `refuses`: why every call is refused, `halved`: users of whose combined
    topics a part is refused."""

    def __init__(
        self,
        cloud: ScriptedCloud,
        rest: CloudRest,
        directory: Path,
        topics: TopicsSetting = "activity",
    ) -> None:
        self.cloud, self.path = cloud, directory / "channels-0.db"
        self.bad: set[str] = set()
        self.refuses: tuple[int, dict[str, Any]] | None = None
        self.names = True
        self.halved: set[str] = set()
        self.heard: set[str] = set()
        clock, log = SystemClock(), structlog.get_logger()
        counters = Counters.create("receiver-0", CLOUD_RECEIVER_WORDS)
        prepare(self.path, "run")
        self.told: list[signals.Signal] = []
        self.tasks = TaskGroup(Child("receiver-0", 1, counters), clock, log)
        self.client = CloudClient(
            0,
            rest,
            rest._tokens,
            ChannelStore(self.path, "run"),
            hopeless_retry_s=WAIT_S,
            tasks=self.tasks,
            counters=counters,
            topics=topics,
            clock=clock,
            tell=lambda _, signal: self.told.append(signal),
            log=log,
        )
        made = {"id": "made", "connectUri": f"{cloud.url.replace('http', 'ws')}/channels/made"}
        cloud.answers["POST", CHANNELS] = lambda _: made
        cloud.answers["PUT", TOPICS] = lambda request: self.subscribe(request, replaces=True)
        cloud.answers["POST", TOPICS] = lambda request: self.subscribe(request, replaces=False)

    def subscribe(self, request: Request, *, replaces: bool) -> Any:
        asked = [each["id"] for each in orjson.loads(request.body)]
        bad = [topic for topic in asked if topic.split(".")[2] in self.bad]
        if self.refuses is not None:
            return self.refuses
        if bad:
            named = {"topic": bad[0]} if self.names else {}
            return 400, {"code": "notification.invalid.topic", "messageParams": named}
        self.heard = set(asked) | (set() if replaces else self.heard)
        halves = [
            {"id": f"v2.users.{user}.routingStatus", "state": "Rejected", "rejectionReason": "no"}
            for user in self.halved
        ]
        return {"entities": [*({"id": topic, "state": "Permitted"} for topic in asked), *halves]}

    async def does(self, action: signals.Action) -> signals.Signal:
        before = len(self.told)
        self.client.carry_out(SLOT, action)
        await until(lambda: len(self.told) > before)
        return self.told[-1]

    def reuse(self) -> None:
        """A predecessor's channel."""
        self.client.reuse(1, ChannelRecord(Secret("made"), SLOT, Secret("ws://x"), 1, None))


def with_client(
    tmp_path: Path, test: Callable[[Bench], Awaitable[None]], topics: TopicsSetting = "activity"
) -> None:
    async def run(cloud: ScriptedCloud, rest: CloudRest) -> None:
        bench = Bench(cloud, rest, tmp_path, topics)
        await test(bench)
        await bench.tasks.end_tasks()

    with_cloud(run)


@pytest.mark.parametrize("names", [True, False])
def test_invalid_topics_are_named_and_the_others_heard(tmp_path: Path, names: bool) -> None:
    async def test(bench: Bench) -> None:
        bench.names, bench.bad = names, {"user-3", "user-30"}
        await bench.does(signals.Create(1))
        told = await bench.does(signals.Subscribe(1, USERS))
        assert isinstance(told, signals.Subscribed)
        assert told.users == USERS
        assert told.refused == dict.fromkeys(bench.bad, "notification.invalid.topic")
        assert told.invalid == bench.bad
        assert {topic.split(".")[2] for topic in bench.heard} == USERS - bench.bad
        report = read_report(bench.path).refused
        assert [each.topic.split(".")[2] for each in report] == sorted(bench.bad)
        calls = bench.cloud.paths(TOPICS)
        told = await bench.does(signals.Subscribe(1, USERS))
        assert bench.cloud.paths(TOPICS) - calls <= 5, "what was invalid is known"

    with_client(tmp_path, test)


def test_a_refused_part_of_a_combined_topic_is_told_once_and_its_agent_watched(
    tmp_path: Path,
) -> None:
    async def test(bench: Bench) -> None:
        await bench.does(signals.Create(1))
        with structlog.testing.capture_logs() as logs:
            for halved in ({"user-3", "user-30"}, {"user-3", "user-30"}, {"user-3"}, set()):
                bench.halved = set(halved)
                told = await bench.does(signals.Subscribe(1, USERS))
                assert isinstance(told, signals.Subscribed)
                assert (told.refused, told.invalid) == ({}, frozenset())
                assert bench.client.partly_refused(SLOT) == len(halved)
                report = read_report(bench.path).refused
                assert {subscribed_user(each.topic) for each in report} == halved
        told_of = [each for each in logs if each["event"] == "channel.topics_partly_refused"]
        assert [(each["refused"], each["reason"]) for each in told_of] == [(2, "no")]

    with_client(tmp_path, test, "combined")


@pytest.mark.parametrize("status", [400, 401, 403, 410])
def test_a_predecessors_channel_that_takes_nothing_is_refused_as_a_whole(
    tmp_path: Path, status: int
) -> None:
    async def test(bench: Bench) -> None:
        bench.reuse()
        bench.refuses = status, {"code": "bad.request", "message": "no"}
        told = await bench.does(signals.Subscribe(1, USERS))
        assert isinstance(told, signals.CallFailed)
        assert told.is_refused
        assert bench.cloud.paths(TOPICS) <= 2

    with_client(tmp_path, test)


def test_a_predecessors_channel_with_an_invalid_topic_is_kept(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        bench.reuse()
        bench.bad = {"user-3"}
        told = await bench.does(signals.Subscribe(1, USERS))
        assert isinstance(told, signals.Subscribed)
        assert set(told.refused) == bench.bad

    with_client(tmp_path, test)


def test_a_new_channel_that_takes_nothing_is_tried_again_after_a_while(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        await bench.does(signals.Create(1))
        bench.refuses = 403, {"code": "missing.permissions", "message": "no"}
        told = await bench.does(signals.Subscribe(1, USERS))
        assert isinstance(told, signals.CallFailed)
        assert told.is_refused
        assert told.retry_after_s == WAIT_S

    with_client(tmp_path, test)


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_search_goes_on_where_it_was_interrupted(tmp_path: Path, status: int) -> None:
    async def test(bench: Bench) -> None:
        bench.names, bench.bad = False, {"user-3"}
        await bench.does(signals.Create(1))
        bench.refuses = status, {}
        told = await bench.does(signals.Subscribe(1, USERS))
        assert isinstance(told, signals.CallFailed)
        assert not told.is_gone
        assert not told.is_refused
        bench.refuses = None
        if status != 429:  # which the budget waits for
            told = await bench.does(signals.Subscribe(1, USERS))
            assert isinstance(told, signals.Subscribed)
            assert set(told.refused) == bench.bad

    with_client(tmp_path, test)


def test_a_channel_is_made_with_a_token_of_which_half_is_left(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        told = await bench.does(signals.Create(1))
        assert isinstance(told, signals.Created)
        assert told.left_s == pytest.approx(86_400, abs=5)
        recorded = read_report(bench.path)
        assert recorded.channels == {SLOT: 1}
        tokens = bench.client._tokens
        held = tokens._token
        assert held is not None
        old_s = held.granted_s - held.life_s * 0.6
        tokens._token = type(held)(value=held.value, granted_s=old_s, life_s=held.life_s)
        before = bench.cloud.tokens
        told = await bench.does(signals.Create(2))
        assert bench.cloud.tokens == before + 1
        assert isinstance(told, signals.Created)
        assert told.left_s == pytest.approx(86_400, abs=5)

    with_client(tmp_path, test)

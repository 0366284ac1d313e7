"""What a gateway varies: when each is due, what it does, and that all of them happen."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from tests.gateway.bundled import CloudServed, in_loop, served
from tools.fake_gateway.cloud.definitions import DEFINITIONS
from tools.fake_gateway.cloud.problems import ApiError
from tools.fake_gateway.cloud.variations import (
    AT_LEAST,
    BY_NAME,
    HAMMERED,
    IN_S,
    VARIATIONS,
    Variation,
    Variations,
    token_life_s,
)
from tools.fake_gateway.cloud.varied_answers import (
    APART_S,
    HAMMERED_AFTER,
    NEVER_TOLD_MAX,
    PASSES_MIN,
    PLACES,
    TOKEN,
    TOKENS_CLOSED_S,
    VariedAnswers,
)
from tools.fake_gateway.cloud.varied_frames import split
from tools.fake_gateway.ledger import read_ledger
from tools.fake_gateway.pacing import Load
from tools.fake_gateway.wire import server_frame

BY_TIME = [one for one in VARIATIONS if one.every_s and one.name != "broken-label"]
OFTEN, SOCKETS_MAX = 0.02, 5
CHANNELS = "/api/v2/notifications/channels"


@pytest.mark.parametrize("row", BY_TIME, ids=lambda row: row.name)
def test_each_is_due_often_enough_in_two_minutes_whoever_takes_it_when(row: Variation) -> None:
    for seed in range(5):
        variations = Variations(str(seed), (row,))
        taken = sum(variations.take(row.name, second / 4) for second in range(int(IN_S) * 4))
        assert AT_LEAST <= taken <= IN_S / row.every_s * 1.5 + row.owed


def test_what_is_not_taken_waits_but_does_not_pile_up() -> None:
    variations = Variations("1", (Variation("x", "", 1.0, 5),))
    assert variations.owed("x", 0.0) == 5
    assert variations.owed("x", 1000.0) == 5
    variations.is_on = False
    assert not variations.take("x", 1000.0)
    assert variations.owed("nothing", 0.0) == 0


def test_tokens_live_longer_where_new_channels_cost_more() -> None:
    lives_s = [token_life_s(agents) for agents in (1, 500, 20_000, 100_000)]
    assert lives_s == sorted(lives_s)
    assert lives_s[-1] == 60.0
    assert 4 * IN_S / lives_s[1] >= AT_LEAST  # of four channels, each at the end of its token


class Recorded:
    """What was noted, and answers that vary by it."""

    def __init__(self, *names: str, users: int = 20) -> None:
        rows = tuple(BY_NAME[name]._replace(every_s=OFTEN, owed=8) for name in names)
        self.lines: list[dict[str, Any]] = []
        self.users = [f"{n:08x}-0000-4000-8000-00000000000a" for n in range(users)]
        self.variations = Variations("7", rows)
        agents = {user: n for n, user in enumerate(self.users)}
        self.now_s = 0.0
        self.answers = VariedAnswers(self.variations, self.note, agents, now_s=lambda: self.now_s)

    def note(self, what: str, **more: Any) -> None:
        self.lines.append({"what": what, **more})

    def page(self) -> dict[str, Any]:
        entities = [
            {
                "id": user,
                "name": user[:8],
                "presence": {"message": "", "primary": True, "modifiedDate": "x"},
                "routingStatus": {"status": "IDLE", "startTime": "x"},
            }
            for user in self.users
        ]
        return {"entities": entities, "pageSize": 25, "pageNumber": 1, "pageCount": 1}


class Request:
    query: dict[str, str] = {}  # noqa: RUF012 - of a stand-in


def test_whoever_is_left_out_is_told_the_next_time_but_for_a_few_who_never_are() -> None:
    recorded = Recorded("presence-left-out", "routing-left-out")
    before: set[tuple[str, str]] = set()
    kept: set[tuple[str, str]] = set()
    for _ in range(20):
        told = recorded.answers._users(Request(), recorded.page())  # type: ignore[arg-type]
        left = {
            (user["id"], part)
            for user in told["entities"]
            for part in ("presence", "routingStatus")
            if part not in user
        }
        kept |= left & before
        before = left
        recorded.now_s += OFTEN
    assert len(kept) == 2 * NEVER_TOLD_MAX
    assert kept <= left
    assert len(recorded.lines) > 20


def test_who_asks_for_a_token_at_once_is_refused_again_and_noted() -> None:
    recorded = Recorded("retry-after-zero")
    recorded.now_s += 100.0
    for _ in range(PASSES_MIN[TOKEN]):
        recorded.answers.refuse(TOKEN)
    for _ in range(2 * HAMMERED_AFTER):
        with pytest.raises(ApiError) as refused:
            recorded.answers.refuse(TOKEN)
        assert refused.value.headers["Retry-After"] == "0"
    assert [line["what"] for line in recorded.lines].count(HAMMERED) == 1


def test_a_refusal_has_each_form_and_without_one_it_is_never_429() -> None:
    names = [one for one in BY_NAME if one.startswith("retry-after")]
    recorded = Recorded(*names)
    told: dict[str, set[tuple[int, str | None]]] = {}
    for place in PLACES * 200:
        noted = len(recorded.lines)
        try:
            recorded.answers.refuse(place)
        except ApiError as problem:
            if len(recorded.lines) == noted:
                continue  # a token, asked for again at once
            value = problem.headers.get("Retry-After")
            told.setdefault(recorded.lines[-1]["what"], set()).add((problem.status, value))
        recorded.now_s += 0.1
    assert told.keys() == set(names)
    assert told["retry-after-zero"] == {(429, "0"), (503, "0")}
    assert told["retry-after-absent"] == {(503, None)}
    assert all(value and value.endswith("GMT") for _, value in told["retry-after-date"])


def test_whoever_was_refused_is_let_in_when_they_come_again() -> None:
    recorded = Recorded(*(one for one in BY_NAME if one.startswith("retry-after")))
    for place in PLACES:
        times_s = []
        for _ in range(400):
            recorded.now_s += TOKENS_CLOSED_S if place == TOKEN else 0.1
            try:
                recorded.answers.refuse(place, "GET /x")
            except ApiError:
                times_s.append(recorded.now_s)
        apart_s = [after - before for before, after in pairwise(times_s)]
        assert min(apart_s) >= APART_S[place] - 0.01


class Client:
    """Asks for everything, all the time, and takes no notice of how it is answered."""

    def __init__(self, gateway: CloudServed) -> None:
        self._gateway = gateway
        self._token = ""
        self._sockets: list[aiohttp.ClientWebSocketResponse] = []

    async def ask(self, method: str, path: str, asked: Any = None) -> bytes:
        url = self._gateway.ready["base_url"] + path
        headers = {"Authorization": f"Bearer {self._token}"}
        async with self._gateway.http.request(method, url, json=asked, headers=headers) as answer:
            return await answer.read() if answer.status == 200 else b""

    async def live(self, users: list[str], seconds: float) -> None:
        ends_s, turn = time.monotonic() + seconds, 0
        while time.monotonic() < ends_s:
            turn += 1
            self._token = (await self._gateway.token()).told["access_token"]
            told = await self.ask("POST", CHANNELS)
            if told:
                await self._hear(orjson.loads(told), users)
            await self.ask("GET", "/api/v2/users?pageSize=20&expand=presence,routingStatus")
            await self.ask("GET", "/api/v2/users?pageSize=20&pageNumber=2&expand=presence")
            await self.ask("GET", "/api/v2/presence/definitions")
            for user in users[turn % 10 :: 10]:
                asked = {"presenceDefinition": {"id": DEFINITIONS[turn % 4].id}}
                await self.ask("PATCH", f"/api/v2/users/{user}/presences/PURECLOUD", asked)

    async def _hear(self, channel: dict[str, Any], users: list[str]) -> None:
        topics = [{"id": f"v2.users.{user}.activity"} for user in users]
        path = f"{CHANNELS}/{channel['id']}/subscriptions?ignoreErrors=true"
        if not await self.ask("PUT", path, topics):
            for topic in topics:
                await self.ask("POST", path, [topic])
        with contextlib.suppress(aiohttp.ClientError):
            self._sockets.append((await self._gateway.connect(channel)).socket)
        if len(self._sockets) > SOCKETS_MAX:
            await self._sockets.pop(0).close()


def test_every_kind_happens_and_is_counted_and_stops_with_the_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    often = tuple(one._replace(every_s=one.every_s / 20) for one in VARIATIONS)
    monkeypatch.setattr("tools.fake_gateway.cloud.platform.VARIATIONS", often)
    counts: dict[str, int] = {}

    @in_loop
    async def happen() -> None:
        more: dict[str, Any] = {
            "faults": "platform",
            "token_life_s": 1.0,
            "calls_per_minute": 100_000,
        }
        async with served(tmp_path, **more) as gateway:
            client, users = Client(gateway), await gateway.users()
            gateway.gateway.start_load(Load(1000.0, 8.0))
            await client.live(users, 8.5)
            status = await gateway.eventually(lambda one: not one["variations"]["unsettled"])
            counts.update(status["variations"]["counts"])
            await client.live(users, 0.3)
            after = (await gateway.control("/status"))["variations"]["counts"]
            assert after | {"token-ends-channel": 0} == counts | {"token-ends-channel": 0}

    happen()
    assert counts.keys() == BY_NAME.keys()
    assert {name for name, count in counts.items() if not count} == set()
    kept = Counter(line["what"] for line in read_ledger(tmp_path / "ledger") if varied(line))
    assert {name: kept[name] for name in counts} | {"token-ends-channel": 0} == (
        counts | {"token-ends-channel": 0}
    )
    assert any(line["kind"] == "variations" for line in read_ledger(tmp_path / "ledger"))


def varied(line: dict[str, Any]) -> bool:
    return bool(line["kind"] == "varied")


def test_frames_are_told_apart_by_their_lengths() -> None:
    texts = [b"{" + b"x" * size + b"}" for size in (200, 1000, 60_000)]
    assert list(split(b"".join(map(server_frame, texts)))) == texts

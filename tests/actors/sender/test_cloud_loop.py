"""A sender's loop in the cloud dialect, against the strict gateway in the test's own loop."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from actors.genesys.cloud import parse_time_us
from actors.genesys.definitions import Definition
from actors.genesys.pacer import kept_pacer
from actors.sender import signals
from actors.sender.cloud_dialect import CHANGED_SINCE
from actors.sender.cloud_loop import CloudLoop
from actors.sender.signals import (
    Acknowledged,
    LineDown,
    LineUp,
    NotSent,
    Patch,
    StatesKnown,
    Unanswered,
)
from actors.settings.sender import SenderSettings
from runtime.errors import ConfigurationError
from tests.actors.receiver.rig import until
from tests.actors.sender.living import CloudLiving
from tests.gateway.bundled import CloudServed, in_loop
from tests.gateway.client import address_of, bundled, rest_of

FIRST = "1b4e28ba-2fa1-41d2-883f-0016d3cca427"
LONG_AGO_US = 1
AHEAD_US = 32_503_680_000_000_000  # the year 3000: nothing was changed since


def living(gateway: CloudServed, **more: Any) -> CloudLiving:
    address = address_of(gateway)
    return CloudLiving(address.api_url, credentials=address.credentials, **more)


def patch(up: LineUp, user: str, state: str = "Meal", **more: Any) -> Patch:
    asked = {"message": "", "doubted_since_us": None, "correlation": FIRST} | more
    return Patch(line=up.line, user_id=user, state=state, **asked)


async def presence_of(gateway: CloudServed, user: str) -> dict[str, Any]:
    async with rest_of(gateway) as rest:
        return await rest.presence(user)


@in_loop
async def test_a_change_is_acknowledged_with_what_the_stream_will_show(tmp_path: Path) -> None:
    async with bundled(tmp_path, agents=5) as gateway:
        sender, user = living(gateway), (await gateway.users())[0]
        async with sender.running() as loop:
            up = await sender.first(LineUp)
            known = await sender.first(StatesKnown)
            assert sender.told.index(known) < sender.told.index(up), "nobody sends what is unknown"
            assert sender.counters.get("connected") == 1
            assert sender.counters.get("definitions") == len(known.definitions) > 10
            loop.wish([patch(up, user, " mahlzeit ", message="lunch | 12:00")])
            told = await sender.first(Acknowledged)
            now = await presence_of(gateway, user)
            shown_as = f"presence@{parse_time_us(now['modifiedDate'])}"
            assert told == Acknowledged(FIRST, True, 200, "", "", None, shown_as)
            meal = known.definitions.meant("Meal")
            assert isinstance(meal, Definition)
            assert now["presenceDefinition"]["id"] == meal.id
            assert now["message"] == "lunch | 12:00"
        assert sender.counters.get("updates_sent") == 1
        assert sender.counters.get("requests") == 3, "two lists of definitions and the change"


@in_loop
async def test_every_refusal_has_its_status_and_changes_nothing(tmp_path: Path) -> None:
    async with bundled(tmp_path, agents=5) as gateway:
        sender, user = living(gateway), (await gateway.users())[0]
        before = await presence_of(gateway, user)
        async with sender.running() as loop:
            up = await sender.first(LineUp)
            wrong = {
                404: patch(up, str(uuid.UUID(int=1))),
                400: patch(up, user, "Old Lunch"),
            }
            answers = 0
            for status, change in wrong.items():
                loop.wish([change])
                answers += 1
                told = await sender.first(Acknowledged, answers)
                assert (told.success, told.status) == (False, status)
                assert told.message
            loop.wish([patch(up, "../x")])
            answers += 1
            assert (await sender.first(Acknowledged, answers)).status == 404
            assert sender.counters.get("updates_sent") == 1, "of those only one was a call"
            for status, refusals in ((400, 1), (401, 2), (403, 1)):  # a fresh token is tried too
                await gateway.fault("refuse-writes", status=status, count=refusals)
                loop.wish([patch(up, user)])
                answers += 1
                told = await sender.first(Acknowledged, answers)
                assert (told.success, told.status) == (False, status)
        assert await presence_of(gateway, user) == before


@in_loop
async def test_what_nobody_knows_is_told_as_unanswered(tmp_path: Path) -> None:
    async with bundled(tmp_path, agents=5) as gateway:
        sender, user = living(gateway), (await gateway.users())[0]
        async with sender.running() as loop:
            up = await sender.first(LineUp)
            for n, status in enumerate((500, 502, 503), 1):
                await gateway.fault("refuse-writes", status=status)
                loop.wish([patch(up, user)])
                told = await sender.first(Unanswered, n)
                assert told.correlation == FIRST
                assert str(status) in told.reason


@in_loop
async def test_a_call_is_cut_before_its_command_would_be_tried_again(tmp_path: Path) -> None:
    settings = SenderSettings(ack_timeout_s=0.05, settle_s=0.05)
    async with bundled(tmp_path, agents=5) as gateway:
        sender, user = living(gateway, settings=settings), (await gateway.users())[0]
        async with sender.running() as loop:
            up = await sender.first(LineUp)
            assert isinstance(loop, CloudLoop)
            await gateway.fault("slow-rest", seconds=600.0)
            loop.wish([patch(up, user)])
            await until(lambda: sender.counters.get("updates_sent") == 1)
            await until(lambda: loop.trying == 0)
            loop.wish([patch(up, user, correlation="next")])
            assert (await sender.first(Acknowledged)).correlation == "next"
            assert sender.all(Unanswered) == [], "the machine has its own clock"


@in_loop
async def test_a_try_in_doubt_is_made_again_only_if_nobody_changed_the_presence_since(
    tmp_path: Path,
) -> None:
    async with bundled(tmp_path, agents=5) as gateway:
        sender, user = living(gateway), (await gateway.users())[0]
        await gateway.control("/updates", {"user": user, "state": "Break"})
        by_hand = await presence_of(gateway, user)
        async with sender.running() as loop:
            up = await sender.first(LineUp)
            for n, state in enumerate(("Meal", "Break"), 1):
                loop.wish([patch(up, user, state, doubted_since_us=LONG_AGO_US)])
                told = await sender.first(Acknowledged, n)
                assert (told.success, told.status) == (False, CHANGED_SINCE)
                assert told.message.lower().startswith("the agent was changed to break at ")
                assert await presence_of(gateway, user) == by_hand
            loop.wish([patch(up, user, doubted_since_us=AHEAD_US)])
            assert (await sender.first(Acknowledged, 3)).success, "it stood there before"


@in_loop
async def test_a_429_is_waited_for_by_all(tmp_path: Path) -> None:
    async with bundled(tmp_path, agents=5) as gateway:
        sender, user = living(gateway), (await gateway.users())[0]
        async with sender.running() as loop:
            up = await sender.first(LineUp)
            await gateway.fault("refuse-writes", status=429, retry_after_s=4)
            loop.wish([patch(up, user)])
            told = await sender.first(Acknowledged)
            assert (told.success, told.status, told.retry_after_ms) == (False, 429, 4000)
            before_s = sender.clock.now_s()
            loop.wish([patch(up, user, correlation="next")])
            not_sent = await sender.first(NotSent)
            assert not_sent.correlation == "next"
            until_s = not_sent.spent_until_s
            assert until_s is not None
            assert before_s < until_s < before_s + 4.0
            await until(lambda: sender.clock.now_s() > until_s)
            loop.wish([patch(up, user)])
            assert (await sender.first(Acknowledged, 2)).success
            assert sender.all(LineDown) == []
        assert sender.counters.get("requests_refused") == 1


@in_loop
async def test_what_comes_together_goes_together_and_a_user_waits_for_their_own(
    tmp_path: Path,
) -> None:
    async with bundled(tmp_path, agents=60) as gateway:
        sender, users = living(gateway), await gateway.users()
        stranger = str(uuid.UUID(int=1))
        async with sender.running() as loop:
            up = await sender.first(LineUp)
            wishes = [patch(up, user, correlation=user) for user in (*users[:40], stranger)]
            loop.wish([*wishes, patch(up, users[0], "Break", correlation="second", message="tea")])
            await until(lambda: len(sender.all(Acknowledged)) == 42)
            answers = {each.correlation: each for each in sender.all(Acknowledged)}
            assert answers.pop(stranger).status == 404, "by itself; the others have succeeded"
            assert all(each.success for each in answers.values())
            assert answers[users[0]].shown_as.endswith(" in a bulk of 41")
            last = await presence_of(gateway, users[0])
            assert answers["second"].shown_as == f"presence@{parse_time_us(last['modifiedDate'])}"
            assert last["message"] == "tea"
            assert sender.counters.get("updates_sent") == 42
        calls = (await gateway.control("/status"))["calls"]
        one = "/api/v2/users/{user}/presences/{source}"
        assert calls["PUT /api/v2/users/presences/bulk"] == 1
        assert calls[f"PATCH {one}"] == 1, "the second of the user whose first was in the bulk"
        assert calls[f"GET {one}"] == 2, "the stranger's, and our own"


@in_loop
async def test_a_bulk_whose_answer_is_lost_is_told_as_unanswered_for_each(tmp_path: Path) -> None:
    async with bundled(tmp_path, agents=5) as gateway:
        sender, users = living(gateway), await gateway.users()
        async with sender.running() as loop:
            up = await sender.first(LineUp)
            await gateway.fault("refuse-writes", status=503)
            loop.wish([patch(up, user, correlation=user) for user in users])
            await until(lambda: len(sender.all(Unanswered)) == 5)
            assert {each.correlation for each in sender.all(Unanswered)} == set(users)
            loop.wish([
                patch(up, user, correlation=user, doubted_since_us=AHEAD_US) for user in users
            ])  # fmt: skip
            await until(lambda: len(sender.all(Acknowledged)) == 5)
            assert all(" " not in each.shown_as for each in sender.all(Acknowledged)), "alone"


@in_loop
async def test_a_share_that_is_spent_is_never_exceeded_and_a_successor_knows_it(
    tmp_path: Path,
) -> None:
    async with bundled(tmp_path, agents=5, calls_per_minute=20) as gateway:
        user = (await gateway.users())[0]
        settings = SenderSettings(ack_timeout_s=0.1)  # nothing is gathered for long
        sender = living(gateway, requests_per_minute=20, settings=settings)  # eight are its own
        async with sender.running() as loop:
            up = await sender.first(LineUp)
            loop.wish([patch(up, user, correlation=str(n)) for n in range(9)])
            await until(lambda: len(sender.told) >= 9 + 2)
            assert all(each.success for each in sender.all(Acknowledged))
            assert [each.correlation for each in sender.all(Acknowledged)] == list("012345")
            assert [each.correlation for each in sender.all(NotSent)] == ["6", "7", "8"]
            assert all(each.spent_until_s for each in sender.all(NotSent))
        assert sender.counters.get("budget_used") == 8
        status = await gateway.control("/status")
        assert "429" not in str(status.get("statuses")), status
        successor = kept_pacer(sender.counters, 8, 20, sender.clock)
        assert successor.budget.wait_s(sender.clock.now_s()) > 1.0


@in_loop
async def test_what_is_gathered_when_the_line_goes_was_never_sent(tmp_path: Path) -> None:
    async with bundled(tmp_path, agents=5) as gateway:
        sender, users = living(gateway), await gateway.users()
        async with sender.running() as loop:
            up = await sender.first(LineUp)
            await gateway.fault("refuse-tokens", status=500)
            await gateway.fault("expire-tokens")
            loop.wish([patch(up, user, correlation=str(n)) for n, user in enumerate(users)])
            loop.wish([patch(up, users[0], correlation="gathered")])
            down = await sender.first(LineDown)
            not_sent = [each.correlation for each in sender.all(NotSent)]
            assert sorted(not_sent) == [*"01234", "gathered"]
            assert sender.told.index(down) > sender.told.index(sender.all(NotSent)[-1])


@in_loop
async def test_without_a_token_nothing_is_sent_and_it_goes_on_with_the_next(
    tmp_path: Path,
) -> None:
    async with bundled(tmp_path, agents=5) as gateway:
        sender, user = living(gateway), (await gateway.users())[0]
        async with sender.running() as loop:
            up = await sender.first(LineUp)
            await gateway.fault("refuse-tokens", status=500)
            await gateway.fault("expire-tokens")
            loop.wish([patch(up, user)])
            assert await sender.first(NotSent) == NotSent(FIRST)
            down = await sender.first(LineDown)
            assert down.reason.startswith("127.0.0.1:")
            assert "the token request was answered with 500" in down.reason
            # Its own waits are jittered: two failures in a row may take twelve seconds.
            again = await sender.first(LineUp, 2, within_s=30.0)
            loop.wish([patch(again, user)])
            assert (await sender.first(Acknowledged)).success


@in_loop
async def test_a_gateway_that_does_not_know_us_ends_the_first_start(tmp_path: Path) -> None:
    async with bundled(tmp_path, agents=5) as gateway:
        sender = CloudLiving(address_of(gateway).api_url, credentials=lambda: ("who", "wrong"))
        with pytest.raises(ConfigurationError, match="check client_id and client_secret"):
            await sender.loop.live()


@in_loop
async def test_definitions_that_cannot_be_read_are_a_line_that_is_down(tmp_path: Path) -> None:
    async with bundled(tmp_path, agents=5) as gateway:
        sender = living(gateway)
        await gateway.fault("refuse-rest", status=500)
        async with sender.running():
            down = await sender.first(LineDown)
            assert down.reason.startswith("presence definitions: 500")
            await sender.first(LineUp)
            assert isinstance(sender.told[-2], signals.StatesKnown)

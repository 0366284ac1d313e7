"""How the channels of an OAuth client are listed, and what an answer that lists nothing says."""

from __future__ import annotations

from typing import Any

import pytest

from actors.genesys.cloud_errors import OddAnswerError
from actors.genesys.cloud_rest import CloudRest
from tests.gateway.scripted_cloud import ScriptedCloud, with_cloud

CHANNELS = "/api/v2/notifications/channels"


@pytest.mark.parametrize(
    "answer", [None, {}, "x", 5, {"entities": None}, {"entities": {"id": "c"}}]
)
def test_an_answer_that_lists_nothing_does_not_say_that_there_are_no_channels(answer: Any) -> None:
    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        cloud.answers["GET", CHANNELS] = lambda _: answer
        with pytest.raises(OddAnswerError, match="lists no channels"):
            await rest.channels()

    with_cloud(test)


@pytest.mark.parametrize("answer", [[], {"entities": []}])
def test_a_list_of_none_says_so(answer: Any) -> None:
    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        cloud.answers["GET", CHANNELS] = lambda _: answer
        assert (await rest.channels()).total == 0

    with_cloud(test)


def test_channels_of_other_tokens_are_counted_without_ids() -> None:
    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        own = {"id": "c", "connectUri": "wss://x/c"}
        others: list[Any] = [{"expires": "2026-11-22T22:00:00.000Z"}, {}, {"id": None}, None, "x"]
        cloud.answers["GET", CHANNELS] = lambda _: {"entities": [own, *others]}
        listing = await rest.channels()
        assert ([each.id.reveal() for each in listing.own], listing.others) == (["c"], 3)
        assert listing.total == 4

    with_cloud(test)

"""Batches posted to a receiver of a page: real connections, signatures that others can check."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import orjson
import pytest
from standardwebhooks import Webhook as Verifier

from actors.genesys.http import GatewayAddress
from actors.settings.sinks import SinkSettings
from actors.sinks.envelope import SinkEvent
from actors.sinks.sink import SinkBatch, UndeliveredError
from actors.sinks.webhook import CONTENT_TYPE, WebhookSink
from runtime.clock import SystemClock
from tests.actors.receiver.rig import DEADLINE_S, credentials, in_loop
from tests.gateway.loopback import answer
from tests.gateway.scripted import WebhookReceiver

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
ADDRESS = GatewayAddress(api_url="http://127.0.0.1:9", credentials=credentials)
BATCH = SinkBatch(
    (SinkEvent("j-1", "u1", b'{"id":"j-1"}'), SinkEvent("j-2", None, b'{"id":"j-2"}'))
)
NEVER = b""


def webhook(url: str, **fields: Any) -> WebhookSink:
    given = {"name": "w", "kind": "webhook", "url": url} | fields
    return WebhookSink(SinkSettings.model_validate(given), ADDRESS, SystemClock().wall_us)


async def attempt(url: str, *batches: SinkBatch, **fields: Any) -> None:
    sink = webhook(url, **fields)
    try:
        async with asyncio.timeout(DEADLINE_S):
            for batch in batches or (BATCH,):
                await sink.open()
                await sink.deliver(batch)
    finally:
        await sink.close()


async def failure(url: str, **fields: Any) -> UndeliveredError:
    with pytest.raises(UndeliveredError) as caught:
        await attempt(url, **fields)
    return caught.value


def test_a_batch_is_one_request_in_the_cloudevents_batch_format_and_signed() -> None:
    async def test() -> None:
        async with WebhookReceiver(answer(204)) as receiver:
            await attempt(receiver.url, BATCH, BATCH, secret=SECRET)
        first, second = receiver.posts
        assert orjson.loads(first.body) == [{"id": "j-1"}, {"id": "j-2"}]
        assert first.headers["content-type"] == CONTENT_TYPE
        told = Verifier(SECRET).verify(first.body.decode(), first.headers)
        assert told == [{"id": "j-1"}, {"id": "j-2"}]
        assert first.headers["webhook-id"] == second.headers["webhook-id"] == "j-1_j-2_2"
        assert receiver.connections == 1  # kept between batches

    in_loop(test)


def test_without_a_secret_nothing_is_signed() -> None:
    async def test() -> None:
        async with WebhookReceiver(answer(200)) as receiver:
            await attempt(receiver.url)
        assert "webhook-signature" not in receiver.posts[0].headers

    in_loop(test)


@pytest.mark.parametrize("status", [301, 400, 401, 404, 410, 413, 422])
def test_what_is_refused_is_a_persons_matter(status: int) -> None:
    async def test() -> None:
        async with WebhookReceiver(answer(status, Location="/elsewhere")) as receiver:
            told = await failure(receiver.url)
            assert len(receiver.posts) == 1
        assert (str(told), told.is_refused) == (f"answered with {status}", True)

    in_loop(test)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503])
def test_what_passes_by_itself_is_tried_again_when_the_other_side_said(status: int) -> None:
    async def test() -> None:
        async with WebhookReceiver(answer(status, Retry_After="7")) as receiver:
            told = await failure(receiver.url)
        assert (told.is_refused, told.retry_after_s) == (False, 7.0)

    in_loop(test)


def test_who_does_not_answer_or_is_not_there_is_tried_again() -> None:
    async def test() -> None:
        async with WebhookReceiver(NEVER) as receiver:
            told = await failure(receiver.url, timeout_s=0.2)
            url = receiver.url
        assert (str(told), told.is_refused) == ("no answer within 0.2 s", False)
        told = await failure(url)
        assert "ConnectError" in str(told)
        assert not told.is_refused

    in_loop(test)


def test_an_answer_that_never_ends_is_cut_off_when_its_status_said_it_all() -> None:
    async def test() -> None:
        async with WebhookReceiver(answer(200, b"").replace(b": 0", b": 9999999") + b"...") as r:
            await attempt(r.url)

    in_loop(test)


def test_a_secret_is_read_anew_for_every_attempt_and_a_missing_one_is_a_persons_matter(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        file = tmp_path / "secret"
        async with WebhookReceiver(answer(204)) as receiver:
            told = await failure(receiver.url, secret_file=file)
            assert told.is_refused
            assert "secret_file" in str(told)
            file.write_text(SECRET)
            await attempt(receiver.url, secret_file=file)
        (post,) = receiver.posts
        Verifier(SECRET).verify(post.body.decode(), post.headers)

    in_loop(test)

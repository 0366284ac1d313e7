"""One attempt at a webhook, against a receiver of a page: real connections (protocol.md §1.3)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook as Verifier

from actors.genesys.http import GatewayAddress
from actors.sender.delivery import CommandWebhook
from actors.sender.signals import Deliver, Delivered
from actors.settings.sender import WebhookSettings
from tests.actors.receiver.rig import DEADLINE_S, credentials, in_loop
from tests.gateway.loopback import answer
from tests.gateway.scripted import WebhookReceiver

BODY = b'{"event":"presence_change"}'
NEVER = b""
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
ADDRESS = GatewayAddress(api_url="http://127.0.0.1:9", credentials=credentials)
TLS = ssl.create_default_context()


def message(number: int = 1) -> Deliver:
    return Deliver(f"msg_{number}", BODY, 1_767_225_600)


async def attempt(url: str, **settings: Any) -> Delivered:
    async with CommandWebhook(WebhookSettings(url=url, **settings), ADDRESS, TLS) as webhook:
        async with asyncio.timeout(DEADLINE_S):
            return await webhook.deliver(message())


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_is_success(status: int) -> None:
    async def test() -> None:
        async with WebhookReceiver(answer(status)) as receiver:
            told = await attempt(receiver.url)
        assert told == Delivered("msg_1", True, status, f"answered with {status}")
        (post,) = receiver.posts
        assert post.body == BODY
        assert post.headers["content-type"] == "application/json"
        assert post.headers["idempotency-key"] == post.headers["webhook-id"] == "msg_1"

    in_loop(test)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 410, 429, 500, 503])
def test_any_other_status_is_a_failure_and_no_redirect_is_followed(status: int) -> None:
    async def test() -> None:
        async with WebhookReceiver(answer(status, b"no", Location="/elsewhere")) as receiver:
            told = await attempt(receiver.url)
        assert told == Delivered("msg_1", False, status, f"answered with {status}")
        assert len(receiver.posts) == 1

    in_loop(test)


def test_a_receiver_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.sender.delivery.TOTAL_TIMEOUT_S", 0.2)

    async def test() -> None:
        async with WebhookReceiver(NEVER) as receiver:
            told = await attempt(receiver.url)
        assert told == Delivered("msg_1", False, 0, "no answer within 0.2 s")
        assert len(receiver.posts) == 1

    in_loop(test)


def test_a_receiver_that_dribbles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.sender.delivery.TOTAL_TIMEOUT_S", 0.5)

    async def test() -> None:
        async with WebhookReceiver(b"HTTP/1.1 200 x\r\nX: y~") as receiver:
            told = await attempt(receiver.url)
        assert told == Delivered("msg_1", False, 0, "no answer within 0.5 s")

    in_loop(test)


def test_a_receiver_that_accepts_nobody_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.sender.delivery.CONNECT_TIMEOUT_S", 0.2)

    async def test() -> None:
        with contextlib.ExitStack() as stack:
            full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
            for _ in range(4):  # whoever waits for an accept that never comes fills its backlog
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(full.getsockname())
            told = await attempt(f"http://127.0.0.1:{full.getsockname()[1]}/hook")
        assert told == Delivered("msg_1", False, 0, "no connection within 0.2 s")

    in_loop(test)


def test_a_receiver_that_is_not_there_is_a_failure() -> None:
    async def test() -> None:
        async with WebhookReceiver(NEVER) as receiver:
            url = receiver.url
        told = await attempt(url)
        assert (told.success, told.status) == (False, 0)
        assert "ConnectError" in told.detail

    in_loop(test)


def test_a_receiver_that_hangs_up_is_a_failure() -> None:
    async def test() -> None:
        async with WebhookReceiver(b"HTTP/1.1 2") as receiver:
            receiver.hangs_up = True
            told = await attempt(receiver.url)
        assert (told.success, told.status) == (False, 0)
        assert "RemoteProtocolError" in told.detail

    in_loop(test)


@pytest.mark.parametrize("length", ["", "Content-Length: 99999999999\r\n"])
def test_an_endless_body_is_cut_and_its_status_counts(length: str) -> None:
    async def test() -> None:
        async with WebhookReceiver(f"HTTP/1.1 200 x\r\n{length}\r\n...".encode()) as receiver:
            told = await attempt(receiver.url)
            assert told == Delivered("msg_1", True, 200, "answered with 200")
            await receiver.until_hung_up()

    in_loop(test)


def test_a_body_that_never_comes_delays_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.genesys.http.BODY_TIMEOUT_S", 0.1)

    async def test() -> None:
        async with WebhookReceiver(b"HTTP/1.1 202 x\r\nContent-Length: 5\r\n\r\n") as receiver:
            told = await attempt(receiver.url)
        assert told == Delivered("msg_1", True, 202, "answered with 202")

    in_loop(test)


def test_a_connection_is_kept_for_the_next_message() -> None:
    async def test() -> None:
        async with WebhookReceiver(answer(200, b"thanks")) as receiver:
            async with CommandWebhook(WebhookSettings(url=receiver.url), ADDRESS, TLS) as webhook:
                for number in range(3):
                    assert (await webhook.deliver(message(number))).success
            assert len(receiver.posts) == 3
            assert receiver.connections == 1

    in_loop(test)


def test_a_message_is_signed_when_a_secret_is_set() -> None:
    async def test() -> None:
        async with WebhookReceiver(answer(200)) as receiver:
            await attempt(receiver.url, secret=SecretStr(SECRET))
            await attempt(receiver.url)
        signed, unsigned = receiver.posts
        assert signed.headers["webhook-timestamp"] == "1767225600"
        expected = Verifier(SECRET).sign(
            "msg_1", datetime.fromtimestamp(1_767_225_600, UTC), BODY.decode()
        )
        assert signed.headers["webhook-signature"] == expected
        assert "webhook-signature" not in unsigned.headers

    in_loop(test)


def test_the_file_of_a_secret_is_read_for_each_attempt(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET)

    async def test() -> None:
        async with WebhookReceiver(answer(200)) as receiver:
            settings = WebhookSettings(url=receiver.url, secret_file=file)
            async with CommandWebhook(settings, ADDRESS, TLS) as webhook:
                await webhook.deliver(message())
                file.write_text("whsec_" + base64.b64encode(b"another secret").decode())
                await webhook.deliver(message())
                file.unlink()
                told = await webhook.deliver(message())
        before, after = (post.headers["webhook-signature"] for post in receiver.posts)
        assert before != after
        assert (told.success, told.status) == (False, 0)
        assert "webhook.secret_file" in told.detail

    in_loop(test)


@pytest.mark.parametrize("secret", ["whsec_geheim!", "whsec_gehei"])
def test_a_secret_that_is_none_sends_nothing_and_is_not_shown(secret: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(secret)

    async def test() -> None:
        async with WebhookReceiver(answer(200)) as receiver:
            told = await attempt(receiver.url, secret_file=file)
        assert receiver.posts == []
        assert (told.success, told.status) == (False, 0)
        assert "must be whsec_ followed by base64" in told.detail
        assert "gehei" not in told.detail

    in_loop(test)


def test_without_a_url_nothing_is_sent() -> None:
    async def test() -> None:
        assert await attempt("") == Delivered("msg_1", False, 0, "no webhook is configured")

    in_loop(test)

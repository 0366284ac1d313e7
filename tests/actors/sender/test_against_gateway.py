"""A sender's loop against the fake gateway, which was written from the contract by other hands."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from actors.genesys.presence import update_frame
from actors.sender.signals import (
    Acknowledged,
    CheckUser,
    Deliver,
    Delivered,
    LineDown,
    LineUp,
    Send,
    UserChecked,
)
from actors.settings.sender import SenderSettings, WebhookSettings
from runtime.clock import SystemClock
from runtime.errors import ConfigurationError
from tests.actors.sender.living import Living
from tests.gateway.bundled import WspServed, in_loop, serving
from tools.fake_gateway.ledger import read_ledger

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef").decode()
FIRST = "1b4e28ba-2fa1-41d2-883f-0016d3cca427"
SECOND = "1b4e28ba-2fa1-41d2-883f-0016d3cca428"


def living(served: WspServed) -> Living:
    ready = served.ready
    webhook = WebhookSettings(url=ready["control_url"] + "/webhook", secret=SecretStr(SECRET))
    return Living(
        ready["base_url"],
        SenderSettings(webhook=webhook),
        credentials=lambda: ("fake-client", ready["client_secret"]),
        ca_file=Path(ready["ca_file"]) if ready["ca_file"] else None,
    )


def ledger(served: WspServed, kind: str) -> list[dict[str, Any]]:
    return [line for line in read_ledger(served.ledger) if line["kind"] == kind]


@in_loop
async def test_an_update_a_user_check_and_a_signed_webhook_over_tls(tmp_path: Path) -> None:
    async with serving(tmp_path, tls=True, webhook_secret=SECRET) as served:
        sender = living(served)
        user = (await served.users())[0]
        async with sender.running() as loop:
            up = await sender.first(LineUp)
            loop.wish([CheckUser(user), CheckUser("nobody")])
            await sender.first(UserChecked, 2)
            assert {each[:2] for each in sender.all(UserChecked)} == {
                (user, "exists"),
                ("nobody", "missing"),
            }
            frame = update_frame(user, "busy", "a|corr:b\nc", FIRST)
            loop.wish([Send(up.line, FIRST, frame)])
            told = await sender.first(Acknowledged)
            assert told == Acknowledged(FIRST, True, 200, "", "", None)
            body = {
                "event": "presence_change",
                "userId": user,
                "state": "busy",
                "timestamp": "2026-11-21T22:00:00.000Z",
            }
            now_s = SystemClock().wall_us() // 1_000_000
            loop.wish([Deliver("msg_1", orjson.dumps(body), now_s)])
            assert await sender.first(Delivered) == Delivered(
                "msg_1", True, 204, "answered with 204"
            )
        (update,) = ledger(served, "update")
        assert (update["user"], update["correlation"]) == (user, FIRST)
        assert update["reason"] == "a|corr:b\nc"


@in_loop
async def test_every_answer_of_the_gateway_and_the_loss_of_its_socket(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        sender = living(served)
        user = (await served.users())[0]

        def update(line: int, correlation: str = FIRST, who: str = user) -> Send:
            return Send(line, correlation, update_frame(who, "busy", "", correlation))

        async with sender.running() as loop:
            up = await sender.first(LineUp)
            await served.control(
                "/faults", {"kind": "ack-negative", "status": 429, "seconds": 0.75}
            )
            loop.wish([update(up.line)])
            refused = await sender.first(Acknowledged)
            assert (refused.status, refused.retry_after_ms) == (429, 750)
            loop.wish([update(up.line, SECOND, "nobody")])
            assert (await sender.first(Acknowledged, 2)).status == 404
            await served.control("/faults", {"kind": "ack-malformed"})
            loop.wish([update(up.line)])
            assert (await sender.first(Acknowledged, 3)).success
            assert sender.counters.get("malformed_frames") == 1
            await served.control("/faults", {"kind": "presence-drop"})
            assert await sender.first(LineDown) == LineDown(up.line, "closed with 1006")
            again = await sender.first(LineUp, 2)
            loop.wish([update(again.line)])
            assert (await sender.first(Acknowledged, 4)).success, "told again, applied once"
            await served.control("/faults", {"kind": "expire-tokens"})
            assert await sender.first(LineDown, 2) == LineDown(again.line, "closed with 1005")
            await sender.first(LineUp, 3)
            await sender.until_count("token_refreshes", 2)
        assert (await served.control("/status"))["applied"] == 1


@in_loop
async def test_a_client_without_the_scope_is_told_so_before_any_socket(tmp_path: Path) -> None:
    scopes = frozenset({"notifications:read", "notifications:subscribe", "user:read"})
    async with serving(tmp_path, scopes=scopes) as served:
        text = (
            "lacks the scope presence:write; grant it to the client, or set sender.enabled = false"
        )
        with pytest.raises(ConfigurationError, match=text):
            await living(served).loop.live()
        assert ledger(served, "presence-opened") == []

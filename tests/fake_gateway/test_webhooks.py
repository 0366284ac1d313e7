"""The webhook receiver takes what is right, and says of everything else what is wrong with it."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from standardwebhooks import Webhook

from tests.gateway.bundled import WspServed, in_loop, serving, until
from tools.fake_gateway.ledger import read_ledger
from tools.fake_gateway.webhooks import key_of

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
ID = "msg_1b4e28ba-2fa1-41d2-883f-0016d3cca427"
BODY = {
    "event": "presence_change",
    "userId": "u",
    "state": "busy",
    "timestamp": "2026-11-21T22:00:00.000Z",
}


def signed(body: bytes, secret: str = SECRET, *, age_s: int = 0) -> dict[str, str]:
    """As somebody else's program signs it."""
    at = datetime.now(tz=UTC) - timedelta(seconds=age_s)
    return {
        "webhook-id": ID,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(ID, at, body.decode()),
        "idempotency-key": ID,
    }


async def post(
    served: WspServed, body: bytes, headers: dict[str, str]
) -> tuple[int, dict[str, Any] | None]:
    url = served.ready["webhook_url"]
    async with served.http.post(url, data=body, headers=headers) as answer:
        return answer.status, await answer.json() if answer.status == 400 else None


def webhooks(served: WspServed) -> list[dict[str, Any]]:
    return [line for line in read_ledger(served.ledger) if line["kind"] == "webhook"]


@in_loop
async def test_a_message_is_received_and_stands_in_the_ledger(tmp_path: Path) -> None:
    async with serving(tmp_path, webhook_secret=SECRET) as served:
        body = orjson.dumps(BODY)
        assert await post(served, body, signed(body)) == (204, None)
        two = signed(body) | {"webhook-signature": f"v1,xyz {signed(body)['webhook-signature']}"}
        assert await post(served, body, two) == (204, None)
        assert (await served.control("/status"))["webhooks"] == 2
    told = webhooks(served)[0]
    assert told.pop("at_us") > 0
    assert told == {
        "kind": "webhook", "id": ID, "status": 204, "complaint": None, "user": "u",
        "state": "busy", "timestamp": BODY["timestamp"],
    }  # fmt: skip


@in_loop
async def test_without_a_secret_no_signature_is_asked_for(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        headers = {"webhook-id": ID, "Idempotency-Key": ID}
        assert await post(served, orjson.dumps(BODY), headers) == (204, None)


@pytest.mark.parametrize(
    ("body", "changed", "complaint"),
    [
        (b"{", {}, "not JSON"),
        (b"[]", {}, "not an object of"),
        (orjson.dumps(BODY | {"more": 1}), {}, "not an object of"),
        (orjson.dumps(BODY | {"event": "lunch"}), {}, "no presence change"),
        (orjson.dumps(BODY | {"state": "asleep"}), {}, "no presence change"),
        (orjson.dumps(BODY | {"state": ["busy"]}), {}, "no presence change"),
        (orjson.dumps(BODY), {"webhook-id": ""}, "no webhook-id"),
        (orjson.dumps(BODY), {"idempotency-key": "other"}, "Idempotency-Key is not"),
        (orjson.dumps(BODY), {"webhook-timestamp": "now"}, "not a time of now"),
        (orjson.dumps(BODY), {"webhook-signature": "v1,xyz"}, "no webhook-signature"),
        (orjson.dumps(BODY), {"webhook-signature": ""}, "no webhook-signature"),
    ],
)
@in_loop
async def test_what_is_wrong_is_refused_with_what_is_wrong(
    body: bytes, changed: dict[str, str], complaint: str, tmp_path: Path
) -> None:
    async with serving(tmp_path, webhook_secret=SECRET) as served:
        status, told = await post(served, body, signed(body) | changed)
        assert status == 400
        assert told is not None
        assert complaint in told["error"]
        assert (await served.control("/status"))["webhooks"] == 0
    assert [line["status"] for line in webhooks(served)] == [400]


@in_loop
async def test_a_signature_of_another_secret_or_time_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, webhook_secret=SECRET) as served:
        body = orjson.dumps(BODY)
        other = "whsec_" + base64.b64encode(b"another secret of whoever").decode()
        assert (await post(served, body, signed(body, other)))[0] == 400
        assert (await post(served, body, signed(body, age_s=3600)))[0] == 400
        assert (await post(served, body + b" ", signed(body)))[0] == 400


@in_loop
async def test_messages_are_refused_and_left_without_an_answer_by_order(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        headers, body = {"webhook-id": ID, "Idempotency-Key": ID}, orjson.dumps(BODY)
        await served.control("/faults", {"kind": "refuse-webhooks", "status": 500})
        assert (await post(served, body, headers))[0] == 500
        await served.control("/faults", {"kind": "refuse-webhooks", "status": 0})
        unanswered = asyncio.create_task(post(served, body, headers))

        async def is_met() -> bool:
            return bool((await served.control("/status"))["refused_webhooks"] == 2)

        await until(is_met)
        assert not unanswered.done()
        unanswered.cancel()
        assert (await post(served, body, headers))[0] == 204
        assert (await served.control("/status"))["webhooks"] == 1
    assert [line["status"] for line in webhooks(served)] == [500, 0, 204]


@pytest.mark.parametrize("secret", ["whsec_%%%", "whsec_", ""])
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="secret"):
        key_of(secret)

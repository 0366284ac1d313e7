"""Bodies that JSON can say and UTF-8 cannot: refused or taken, never a mistake of ours."""

from __future__ import annotations

import pytest

from actors.web.problems import MEDIA_TYPE
from tests.actors.web.rig import Serving


@pytest.mark.parametrize(
    "body",
    [
        b'{"state":"busy","reason":"\\ud800"}',
        b'{"state":"busy","expected":"\\udfff"}',
        b'{"state":"\\ud800"}',
        b'{"state":"busy","\\ud800":1}',
    ],
)
def test_half_a_character_is_refused(serving: Serving, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = serving.http.post("/api/agents/a/presence", content=body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (422, MEDIA_TYPE)
    assert answer.json()["code"] == "invalid-request"

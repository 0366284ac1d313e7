"""What the platform says of itself has a name; all else has none."""

from __future__ import annotations

import pytest

from actors.genesys.notices import notice_of


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        (b'{"topicName":"v2.system.maintenance.a-secret"}', "v2.system.maintenance"),
        (b'{"topicName":"V2.System.Maintenance","eventBody":null}', "v2.system.maintenance"),
        (b'{"topicName":"channel.quota.a-secret"}', "channel.quota"),
        (b'{"result":"500","message":"x"}', "result 500"),
        (b'{"result":500}', "result 500"),
        (b'{"result":"200"}', "result 200"),
    ],
)
def test_a_notice_has_a_name_without_a_channels_id(payload: bytes, name: str) -> None:
    assert notice_of(payload) == name


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"{}",
        b'{"topicName":5}',
        b'{"topicName":"v2.users.a.conversations"}',
        b'{"topicName":"v2.routing.queues.a"}',
        b'{"result":"a whole sentence"}',
        b'{"result":[]}',
        b'{"result":null}',
    ],
)
def test_what_is_no_notice_has_none(payload: bytes) -> None:
    assert notice_of(payload) is None

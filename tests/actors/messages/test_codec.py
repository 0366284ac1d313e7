"""Records between two ends: what was encoded comes back, and nothing else is believed."""

from __future__ import annotations

import pytest

from actors.messages.commands import (
    Accepted,
    CommandRequest,
    Rejected,
    Resend,
    StatusChanged,
    decode_outcome,
    decode_request,
    encode_outcome,
    encode_request,
)
from actors.messages.queries import (
    AgentRecord,
    AskAgent,
    AskQueue,
    QueueRecord,
    TransitionSeen,
    Watch,
    decode_answer,
    decode_question,
    encode_answer,
    encode_question,
)

ORDER = CommandRequest(1, "c-1", "key", "uid:0", "u", "busy", "lunch|\n", None, False, 7)


@pytest.mark.parametrize("record", [AskAgent(1, "u"), AskQueue(2, "q"), Watch("u", "c-1")])
def test_a_question_comes_back_as_it_was(record: AskAgent | AskQueue | Watch) -> None:
    assert decode_question(encode_question(record)) == record


@pytest.mark.parametrize(
    "record",
    [
        AgentRecord(1, "u", None, None, None, 0, None),
        QueueRecord(2, "q", 3, 4, 5, 6, 7),
        TransitionSeen("c-1", "u", "Not Available", "busy", 9),
    ],
)
def test_an_answer_comes_back_as_it_was(record: AgentRecord | QueueRecord | TransitionSeen) -> None:
    assert decode_answer(encode_answer(record)) == record


@pytest.mark.parametrize("record", [ORDER, Resend(2, "msg_1", "uid:0")])
def test_an_order_comes_back_as_it_was(record: CommandRequest | Resend) -> None:
    assert decode_request(encode_request(record)) == record


@pytest.mark.parametrize(
    "record",
    [
        Accepted(1, "c-1", False),
        StatusChanged("c-1", "refused", "rate", "", 200),
        Rejected(1, "key", "bound"),
    ],
)
def test_an_outcome_comes_back_as_it_was(record: Accepted | StatusChanged | Rejected) -> None:
    assert decode_outcome(encode_outcome(record)) == record


@pytest.mark.parametrize(
    "payload",
    [b"", b"7", b"[]", b'["nobody"]', b'["agent?",1]', b'["agent?",true,"u"]', b'["watch",1,2]'],
)
def test_what_nobody_wrote_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_question(payload)

"""The word in which a shard says that it doubts a session."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.messages.doubts import Doubt, decode_doubt, encode_doubt


@given(client=st.integers(0, 10_000), slot=st.integers(0, 255), session=st.integers(1, 2**40 - 1))
def test_a_doubt_is_read_as_it_was_written(client: int, slot: int, session: int) -> None:
    word = encode_doubt(client, slot, session)
    assert 0 < word < 1 << 63
    assert decode_doubt(word) == Doubt(client, slot, session)


def test_an_empty_word_says_nothing() -> None:
    assert decode_doubt(0) is None

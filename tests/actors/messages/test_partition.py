"""The owner of an agent is fixed for ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages.partition import PARTITIONS, fnv1a_64, partition, shard_of


@pytest.mark.parametrize(
    ("payload", "hashed"),
    [  # from the published test vectors of FNV-1a, 64 bits
        (b"", 0xCBF29CE484222325),
        (b"a", 0xAF63DC4C8601EC8C),
        (b"foobar", 0x85944171F73967E8),
    ],
)
def test_the_hash_is_fnv_1a(payload: bytes, hashed: int) -> None:
    assert fnv1a_64(payload) == hashed


@pytest.mark.parametrize(
    ("user_id", "owner"),
    [
        ("", 0x25),
        ("a", 0x0C),
        ("foobar", 0x28),
        ("3f1c2d4e-0000-4000-8000-000000000001", 10),
        ("Zoë", 60),
    ],
)
def test_golden_partitions(user_id: str, owner: int) -> None:
    assert partition(user_id) == owner


@given(st.text(st.characters()), st.integers(1, PARTITIONS))
def test_every_string_has_one_owner(user_id: str, shards: int) -> None:
    owner = shard_of(user_id, shards)
    assert 0 <= owner < shards
    assert owner == shard_of(user_id.encode("utf-8", "surrogatepass"), shards)


def test_ids_spread_over_all_partitions() -> None:
    owners = {partition(f"agent-{number}") for number in range(2_000)}
    assert owners == set(range(PARTITIONS))

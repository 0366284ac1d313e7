"""Owns which shard an agent belongs to: `partition = fnv1a_64(userId) & 63`, fixed for ever. Pure.

It knows no ring and no shard. FNV-1a because it is three lines here and three in the listener
(`actors/receiver/routing.pyx`), which must agree on every id: a golden and a property test say so.
"""

from __future__ import annotations

PARTITIONS = 64
SHARDS_MAX = PARTITIONS

_OFFSET_BASIS = 0xCBF29CE484222325
_PRIME = 0x100000001B3
_MASK = (1 << 64) - 1


def fnv1a_64(payload: bytes) -> int:
    """The 64-bit FNV-1a hash of the bytes."""
    hashed = _OFFSET_BASIS
    for byte in payload:
        hashed = ((hashed ^ byte) * _PRIME) & _MASK
    return hashed


def partition(user_id: str | bytes) -> int:
    """One of 64 fixed slices of the ids, by the UTF-8 bytes of the id.

    A lone surrogate (JSON may spell one, UTF-8 cannot) hashes as its three-byte form, so that
    every string that a parser can return has an owner.
    """
    encoded = user_id.encode("utf-8", "surrogatepass") if isinstance(user_id, str) else user_id
    return fnv1a_64(encoded) & (PARTITIONS - 1)


def shard_of(user_id: str | bytes, shards: int) -> int:
    """The shard that owns the agent, among 1..64 of them."""
    assert 1 <= shards <= SHARDS_MAX, shards
    return partition(user_id) % shards

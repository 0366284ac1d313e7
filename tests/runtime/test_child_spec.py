from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from runtime.child_spec import ChildSpec, assert_consistent
from runtime.counters import Counters

PAGE = Counters.create("page", ())


def spec(name: str, **fields: Any) -> ChildSpec:
    return ChildSpec(
        name=name, title=name, entry="nowhere:run", arguments=None, counters=PAGE, **fields
    )


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("shard-0", "shard"),
        ("shard-31", "shard"),
        ("web", "web"),
        ("read-model-2", "read-model"),
        ("read-model", "read-model"),
        ("-7", "-7"),
        ("shard-", "shard-"),
    ],
)
def test_a_role_is_the_name_without_its_number(name: str, role: str) -> None:
    assert spec(name).role == role


def test_a_spec_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec("web").intensity = 7  # type: ignore[misc]


def test_a_consistent_list_is_accepted() -> None:
    assert_consistent(
        [spec("web"), spec("shard-0"), spec("shard-1"), spec("receiver-0", needs=("shard-0",))]
    )


@pytest.mark.parametrize(
    ("specs", "complaint"),
    [
        ([spec("web"), spec("web")], "two children"),
        ([spec("receiver-0", needs=("shard-0",)), spec("shard-0")], "which starts later"),
        ([spec("receiver-0", needs=("shrad-0",))], "which starts later"),
        ([spec("a", needs=("a",))], "which starts later"),
        ([spec("shard-0"), spec("web"), spec("shard-1")], "not adjacent"),
        ([spec("web", beat_timeout_s=0.0)], "web"),
        ([spec("web", intensity=-1)], "intensity"),
        ([dataclasses.replace(spec("web"), entry="nowhere")], "module:function"),
    ],
)
def test_a_list_that_could_not_work_is_our_mistake(specs: list[ChildSpec], complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        assert_consistent(specs)

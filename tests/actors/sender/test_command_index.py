from __future__ import annotations

from dataclasses import replace

from actors.messages.commands import CommandRequest
from actors.sender.command_index import ENDED_MAX, CommandIndex
from actors.sender.commands import CommandStep
from tests.actors.sender.drawer import accepted


def order(command_id: str, key: str) -> CommandRequest:
    return CommandRequest(1, command_id, key, "uid:1", "ann", "busy", "", None, False, 0)


def test_a_command_is_found_by_its_id_and_by_its_key() -> None:
    register = CommandIndex()
    command = accepted()
    register.put(command)
    assert register.find(order(command.id, "another"), None) == command
    assert register.find(order("another", command.key or ""), None) == command
    assert register.find(order("another", "another"), None) is None


def test_what_the_store_says_is_older() -> None:
    register = CommandIndex()
    bound = accepted()
    register.put(bound)
    refused = replace(bound, step=CommandStep.REFUSED, key=None)
    register.put(refused)
    assert register.find(order("another", bound.key or ""), bound) is None
    assert register.find(order(bound.id, bound.key or ""), bound) == refused


def test_what_only_the_store_knows_is_believed() -> None:
    bound = replace(accepted(), step=CommandStep.CONFIRMED)
    assert CommandIndex().find(order("another", bound.key or ""), bound) == bound
    assert CommandIndex().find(order(bound.id, "another"), bound) == bound


def test_a_released_key_may_be_bound_again_before_the_first_is_forgotten() -> None:
    register = CommandIndex()
    first = accepted(1)
    register.put(first)
    register.put(replace(first, step=CommandStep.REFUSED, key=None))
    second = replace(accepted(2), key=first.key)
    register.put(second)
    assert register.find(order("another", first.key or ""), None) == second


def test_those_with_an_end_are_forgotten_and_those_without_are_not() -> None:
    register = CommandIndex()
    unsettled = accepted(0)
    register.put(unsettled)
    for number in range(1, ENDED_MAX + 2):
        register.put(accepted(number))
        register.put(replace(accepted(number), step=CommandStep.CONFIRMED))
    assert register.find(order(accepted(1).id, accepted(1).key or ""), None) is None
    assert register.find(order(accepted(2).id, "another"), None) is not None
    assert register.find(order(unsettled.id, "another"), None) == unsettled
    assert len(register._by_key) == ENDED_MAX + 1

"""Register: which commands are known by their id or their idempotency key, without the store. Pure.

Knows no rule. It holds the unsettled ones, and of those that ended enough to cover a batch whose
records are not committed yet: what the store says of them is older.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from actors.messages.commands import CommandRequest
from actors.sender.commands import Command

ENDED_MAX: Final = 4_096  # several batches


class CommandIndex:
    """Commands as they are now."""

    def __init__(self) -> None:
        self._unsettled: dict[str, Command] = {}
        self._ended: OrderedDict[str, Command] = OrderedDict()
        self._by_key: dict[str, str] = {}

    def put(self, command: Command) -> None:
        before = self._get(command.id)
        if before is not None and before.key is not None and command.key is None:
            del self._by_key[before.key]
        if command.key is not None:
            self._by_key[command.key] = command.id
        if command.step.is_end:
            self._unsettled.pop(command.id, None)
            self._ended[command.id] = command
            self._forget_oldest()
        else:
            self._unsettled[command.id] = command

    def find(self, order: CommandRequest, bound: Command | None) -> Command | None:
        """The command that this order names already. `bound`: what the store has of it."""
        if (known := self._get(order.command_id)) is not None:
            return known
        if order.key in self._by_key:
            return self._get(self._by_key[order.key])
        if bound is None:
            return None
        bound = self._get(bound.id) or bound
        return bound if order.command_id == bound.id or order.key == bound.key else None

    def _get(self, command_id: str) -> Command | None:
        return self._unsettled.get(command_id) or self._ended.get(command_id)

    def _forget_oldest(self) -> None:
        while len(self._ended) > ENDED_MAX:
            _, command = self._ended.popitem(last=False)
            if command.key is not None:
                del self._by_key[command.key]

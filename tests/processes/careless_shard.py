"""A shard that is broken on purpose: a successor believes that all in its rings was handled."""

from __future__ import annotations

from actors.shard import process
from actors.shard.actor import StateActor
from actors.shard.arguments import ShardArguments
from runtime.child import Child


class CarelessActor(StateActor):
    """Moves its cursors before, and not with, the transaction."""

    def _load(self) -> None:
        super()._load()
        for consumer in self._consumers:
            consumer.skip_to(consumer.published)


def run(child: Child, arguments: ShardArguments) -> None:
    """The entry of its process."""
    vars(process)["StateActor"] = CarelessActor
    process.run(child, arguments)

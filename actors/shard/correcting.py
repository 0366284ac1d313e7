"""The merge of the cloud dialect with what the roster shows besides: it corrects what no event
told. Pure.

Knows no ring and no clock (`reconciliation` decides what is proven).
"""

from __future__ import annotations

from typing import Any, Final

from actors.messages.control import UNKNOWN
from actors.shard.agent_table import AgentTable
from actors.shard.cloud_decode import Values, told
from actors.shard.cloud_merge import CloudMerge
from actors.shard.decode import InternedNames
from actors.shard.native import PRESENCE, ROUTING, Native
from actors.shard.native_change import note_untimed
from actors.shard.reconciliation import CAUSE, proven

CORRECTIONS: Final = "corrections"
"""Transitions that the roster told, because no event did. None of them was received."""


class CorrectingMerge(CloudMerge):
    """As `CloudMerge`, and `correct`."""

    def __init__(self, agent_table: AgentTable, names: InternedNames | None = None) -> None:
        super().__init__(agent_table, names)
        self.counts[CORRECTIONS] = 0

    def correct(self, value: Any, received_us: int, read_us: int) -> str | None:
        """Applies what the roster proves, read at `read_us` by the gateway's clock; returns the
        scope whose session did not bring it."""
        says = told(value)
        agent = None if isinstance(says, str) else self.agent_table.by_user.get(says.user_id)
        if isinstance(says, str) or agent is None or agent.native is None:
            return None
        native = agent.native
        is_confirmed = native.named != 0 and native.named == self.session_of.get(native.scope)
        if agent.state in (None, UNKNOWN) or not is_confirmed:
            return None  # a snapshot of it is on its way
        news = proven(says, native, read_us)
        if news is None:
            return None
        note_untimed(native, news, (), received_us)
        self._take(agent, native, self._noted(news, native), received_us, CAUSE)
        self.counts["applied"] -= 1
        self.counts[CORRECTIONS] += 1
        return native.scope

    def _noted(self, news: Values, native: Native) -> Values:
        """It was told as a snapshot tells: an event of the same time wins."""
        if news.routing is not None:
            native.from_snapshot |= ROUTING
        if news.presence is None:
            return news
        native.from_snapshot |= PRESENCE
        definition = self._definition(news.presence.definition)
        return news._replace(presence=news.presence._replace(definition=definition))

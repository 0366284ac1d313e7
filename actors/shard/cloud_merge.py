"""The merge of the cloud dialect: no sequences; per agent and field the newer time wins. Pure.

Knows no ring, no journal and no clock. A snapshot never wins a tie, a presence that is not the
primary one is kept apart, and what tells nothing newer changes nothing, in whatever order and
however often it comes (protocol.md §2.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from actors.genesys.cloud import ROUTING_STATUSES, SYSTEM_PRESENCES, USER_TOPIC, mapped
from actors.messages.control import UNKNOWN, session_flags
from actors.shard.agent_table import Agent, AgentTable
from actors.shard.cloud_decode import (
    MESSAGE_CHARS_MAX,
    NOTHING,
    QUEUES_KEPT_MAX,
    AgentReading,
    Values,
    told,
)
from actors.shard.decode import QUEUES_MAX, InternedNames, Times
from actors.shard.event_run import RejectedFrame
from actors.shard.merge import NO_SESSION, Merge
from actors.shard.native import OFFICE, PRESENCE, QUEUES, ROUTING, TIMELESS_US, Native, Presence

EPOCH: Final = 1
"""Positions are times: there is one numbering, for ever."""
AHEAD_US: Final = 30 * 86_400 * 1_000_000
"""A held time this far ahead of the present one is a mistake: any plausible one wins over it."""
SOURCES_MAX: Final = 8
"""Sources of one agent whose presences are kept apart; what a further one tells is not kept."""
DEFINITIONS_MAX: Final = 10_000

_TOPIC_END: Final = ".activity"

Routing = tuple[str, int]
Queues = tuple[tuple[str, ...], int]
Office = tuple[bool, int]
News = tuple[Presence | None, Routing | None, Queues | None, Office | None]
"""The fields of `Values`: the plain tuple is half the cost."""


class CloudMerge(Merge):
    """Judges events and snapshots one after the other and applies what is newer."""

    def __init__(self, agent_table: AgentTable, names: InternedNames | None = None) -> None:
        super().__init__(agent_table, names)
        self.session_of: dict[str, int] = {}
        """The newest session of each scope."""
        self._limit_us = 0
        self._instants = Instants()
        self._definitions: dict[str, str] = {}
        self._spelt = {name: name for name in (*SYSTEM_PRESENCES, *ROUTING_STATUSES)}
        self._mapped = {
            (presence, status): mapped(presence, status)
            for presence in SYSTEM_PRESENCES
            for status in ROUTING_STATUSES
        }

    def events(
        self,
        values: Sequence[Any],
        received_ns: Sequence[int],
        epochs: Sequence[int],  # noqa: ARG002  one numbering
        flags: bytes,
        now_s: float,  # noqa: ARG002  nothing here is forgotten by age
    ) -> list[RejectedFrame]:
        """Judges and applies parsed frames in their order; returns those to quarantine."""
        self.counts["received"] += len(values)
        findings: list[RejectedFrame] = []
        self._run_activity(values, received_ns, flags, findings)
        self.counts["quarantined"] += len(findings)
        return findings

    def _once_more(self, value: Any, received_us: int) -> str | None:
        self._limit_us = received_us + AHEAD_US
        return self._judge_exactly(value, received_us, NO_SESSION)

    def _run_activity(
        self,
        values: Sequence[Any],
        received_ns: Sequence[int],
        flags: bytes,
        findings: list[RejectedFrame],
    ) -> None:
        """The hot loop: a live event of an agent whom this session has confirmed. Only what it says
        anew is read, told by the texts of the times; nothing changes before all of it was read."""
        by_user, session_of = self.agent_table.by_user, self.session_of
        start, end = len(USER_TOPIC), -len(_TOPIC_END)
        for index, value in enumerate(values):
            received_us = received_ns[index] // 1000
            self._limit_us = received_us + AHEAD_US
            news: News | None = None
            try:
                topic = value["topicName"]
                user_id = topic[start:end]
                agent = by_user[user_id]
                native: Native = agent.native  # type: ignore[assignment]  # None: AttributeError
                body = value["eventBody"]
                if (
                    native.named == session_of[native.scope]
                    and not native.from_snapshot
                    and topic[end:] == _TOPIC_END
                    and topic[:start] == USER_TOPIC
                    and body["id"] == user_id
                    and agent.state != UNKNOWN
                    and agent.state is not None
                ):
                    part = body["presence"]
                    presence_stamp = part["modifiedDate"]
                    presence = None
                    if presence_stamp != native.presence_stamp:
                        presence = self._new_presence(part, presence_stamp, native.presence_us)
                    part = body["routingStatus"]
                    routing_stamp = part["startTime"]
                    routing = None
                    if routing_stamp != native.routing_stamp:
                        routing = self._new_routing(part, routing_stamp, native.routing_us)
                    queues_stamp = body["dateActiveQueuesChanged"]
                    queues = None
                    if queues_stamp != native.queues_stamp:
                        queues = self._new_queues(body, queues_stamp, native.queues_us)
                    part = body["outOfOffice"]
                    office_stamp = part["modifiedDate"]
                    office = None
                    if office_stamp != native.office_stamp:
                        office = self._new_office(part, office_stamp, native.office_us)
                    native.presence_stamp, native.routing_stamp = presence_stamp, routing_stamp
                    native.queues_stamp, native.office_stamp = queues_stamp, office_stamp
                    news = presence, routing, queues, office
            except (KeyError, TypeError, ValueError, AttributeError):
                pass  # unusual: looked at slowly and exactly below
            if news is None:
                reason = self._judge_exactly(value, received_us, flags[index])
                if reason is not None:
                    findings.append(RejectedFrame(index, reason))
            elif news == NOTHING:
                self.counts["duplicates"] += 1
            else:
                self._take(agent, native, news, received_us, "live")

    # --- what the usual event says anew ------------------------------------------------------
    # Each returns None if it is not newer, and raises for whatever is not as it usually is.

    def _is_newer(self, at_us: int, held_us: int) -> bool:
        return at_us > held_us or TIMELESS_US < at_us <= self._limit_us < held_us

    def _new_presence(self, part: Any, stamp: Any, held_us: int) -> Presence | None:
        at_us = self._instants[stamp]
        if not self._is_newer(at_us, held_us):
            return None
        definition, message = part["presenceDefinition"], part["presenceMessage"]
        if message.__class__ is not str or len(message) > MESSAGE_CHARS_MAX or "primary" in part:
            raise KeyError
        system = self._spelt[definition["systemPresence"]]
        return Presence(system, self._definitions[definition["id"]], message, at_us)

    def _new_routing(self, part: Any, stamp: Any, held_us: int) -> Routing | None:
        at_us = self._instants[stamp]
        if not self._is_newer(at_us, held_us):
            return None
        return self._spelt[part["status"]], at_us

    def _new_queues(self, body: Any, stamp: Any, held_us: int) -> Queues | None:
        at_us = self._instants[stamp]
        if not self._is_newer(at_us, held_us):
            return None
        queues, known = body["activeQueueIds"], self.names.queues
        if queues.__class__ is not list or len(queues) > QUEUES_KEPT_MAX:
            raise KeyError
        return tuple([known[queue] for queue in queues]), at_us

    def _new_office(self, part: Any, stamp: Any, held_us: int) -> Office | None:
        at_us = self._instants[stamp]
        if not self._is_newer(at_us, held_us):
            return None
        is_active = part["active"]
        if is_active.__class__ is not bool:
            raise KeyError
        return is_active, at_us

    # --- everything else ---------------------------------------------------------------------

    def _judge_exactly(self, value: Any, received_us: int, flags: int) -> str | None:
        """Checks, judges and applies one parsed frame; returns why it is to be quarantined."""
        says = told(value)
        if isinstance(says, str):
            return says
        agent = self.agent_table.by_user.get(says.user_id)
        if agent is None:
            if not self.agent_table.owns(says.user_id):
                return "another shard owns this agent"
            if self.agent_table.is_full:
                return "too many agents"
            agent = self.agent_table.admit(says.user_id)
        native = agent.native
        if native is None:
            native = agent.native = Native()
        is_whole = _is_whole(says, native)
        if is_whole:
            self._name(agent, native, flags)
        if says.apart is not None:
            self._set_apart(agent, native, *says.apart)
            if says.values == NOTHING:  # no state change makes no row, as an appointment makes none
                self.counts["unchanged"] += 1
                return None
        may_restore = is_whole and (says.is_snapshot or not _is_behind(says, native))
        news = self._news(says, native)
        if news != NOTHING or (may_restore and not _is_known(agent)):
            cause = "history" if says.is_snapshot else "live"
            self._take(agent, native, news, received_us, cause, restores=is_whole)
        else:
            self.counts["unchanged" if says.is_snapshot else "duplicates"] += 1
        return None

    def _name(self, agent: Agent, native: Native, flags: int) -> None:
        """Its whole state was told in the newest session of its scope; durable, so that a shard
        that is killed in mid-history still knows whom nobody told of."""
        session = self.session_of.get(native.scope, 0)
        if native.named != session and flags in (0, session_flags(session)):
            native.named = session
            self.agent_table.watch(agent, native.scope, session)

    def _set_apart(self, agent: Agent, native: Native, source: str, presence: Presence) -> None:
        apart = native.apart = native.apart or {}
        held = apart.get(source)
        is_room = held is not None or len(apart) < SOURCES_MAX
        if is_room and (held is None or self._is_newer(presence.at_us, held.at_us)):
            apart[source] = presence._replace(definition=self._definition(presence.definition))
            self.agent_table.touch(agent)

    def _news(self, says: AgentReading, native: Native) -> Values:
        """What of it is newer than what is held."""
        presence, routing, queues, office = says.values
        if presence is not None:
            held = Presence(
                native.system_presence, native.definition, native.message, native.presence_us
            )
            if self._wins(native, PRESENCE, says, presence, held):
                presence = presence._replace(definition=self._definition(presence.definition))
            else:
                presence = None
        if routing is not None and not self._wins(
            native, ROUTING, says, routing, (native.routing_status, native.routing_us)
        ):
            routing = None
        if queues is not None:
            if self._wins(native, QUEUES, says, queues, (native.queues, native.queues_us)):
                queues = (self._shared_queues(queues[0]), queues[1])
            else:
                queues = None
        if office is not None and not self._wins(
            native, OFFICE, says, office, (native.is_out_of_office, native.office_us)
        ):
            office = None
        return Values(presence, routing, queues, office)

    def _wins(
        self,
        native: Native,
        field: int,
        says: AgentReading,
        value: tuple[Any, ...],
        held: tuple[Any, ...],
    ) -> bool:
        """Whether a field's value, its time last, is to replace the held one. Of the same time, an
        event wins over what a snapshot told, and nothing else does."""
        at_us, held_us = value[-1], held[-1]
        if self._is_newer(at_us, held_us):
            if says.is_snapshot:
                native.from_snapshot |= field
            else:
                native.from_snapshot &= ~field
            return True
        if at_us == held_us and not says.is_snapshot and native.from_snapshot & field:
            native.from_snapshot &= ~field
            return value != held
        return False

    def _take(
        self,
        agent: Agent,
        native: Native,
        news: News,
        received_us: int,
        cause: str,
        *,
        restores: bool = False,
    ) -> None:
        """Applies what is new: one row, at the newest time among it. `restores`: the whole state
        was told, which an agent needs whose state is not known."""
        presence, routing, queues, office = news
        is_known = agent.state is not None and agent.state != UNKNOWN
        if (
            queues is not None
            and queues[1] <= agent.sequence
            and is_known
            and presence is None
            and routing is None
            and office is None
        ):
            self._catch_up(agent, native, queues)
            return
        at_us = _put(native, news)
        state: str = UNKNOWN
        held: str | None = None
        if restores or is_known:
            named = native.system_presence, native.routing_status
            state, held = self._mapped.get(named) or mapped(*named)
        self.counts["applied"] += 1
        since_us = at_us or received_us
        queue = native.queues[0] if native.queues else None
        agent_table = self.agent_table
        agent_table.write(
            agent,
            state,
            at_us=since_us,
            received_us=received_us,
            epoch=EPOCH,
            sequence=at_us,
            queue=queue,
            presence=held,
            correlation=None if presence is None else native.correlation,
            cause=cause,
        )
        if agent_table.rows is not None:
            agent_table.natives.append((agent.row, orjson.dumps(native.packed()).decode()))
        agent.state, agent.at_us = state, since_us
        agent.queue, agent.presence = queue, held
        agent.epoch = EPOCH
        agent.sequence = max(agent.sequence, at_us)

    def _catch_up(self, agent: Agent, native: Native, queues: Queues) -> None:
        """Queues, which no snapshot tells, of before the snapshot that told all else: no row, for
        what was then is past. Kept as an appointment is."""
        self.counts["unchanged"] += 1
        native.queues, native.queues_us = queues
        agent.queue = native.queues[0] if native.queues else None
        self.agent_table.touch(agent)

    def _definition(self, definition: str) -> str:
        """The one text of it that is kept."""
        if len(self._definitions) >= DEFINITIONS_MAX:
            self._definitions.clear()
        return self._definitions.setdefault(definition, definition)

    def _shared_queues(self, queues: tuple[str, ...]) -> tuple[str, ...]:
        known = self.names.queues
        if len(known) >= QUEUES_MAX:
            known.clear()  # agents keep theirs; to refuse new ones would punish the innocent
        return tuple([known.setdefault(queue, queue) for queue in queues])


def _put(native: Native, news: News) -> int:
    """Replaces what is new; the newest time among it, or of all if nothing is."""
    presence, routing, queues, office = news
    at_us = TIMELESS_US
    if presence is not None:
        native.system_presence, native.definition, native.message, at_us = presence
        native.presence_us = at_us
    if routing is not None:
        native.routing_status, native.routing_us = routing
        at_us = max(at_us, native.routing_us)
    if queues is not None:
        native.queues, native.queues_us = queues
        at_us = max(at_us, native.queues_us)
    if office is not None:
        native.is_out_of_office, native.office_us = office
        at_us = max(at_us, native.office_us)
    return max(native.newest_us, TIMELESS_US) if news == NOTHING else at_us


class Instants(Times):
    """Times of the platform seen of late, as µs."""

    def __missing__(self, stamp: Any) -> int:
        at_us = super().__missing__(stamp)
        if at_us <= TIMELESS_US:
            del self[stamp]
            raise ValueError("time is before 1970")
        return at_us


def _is_known(agent: Agent) -> bool:
    return agent.state is not None and agent.state != UNKNOWN


def _is_whole(says: AgentReading, native: Native) -> bool:
    """Whether a state follows from it alone. Who never had a routing status (no contact is routed
    to them) needs none."""
    has_routing = says.values.routing is not None or not native.routing_status
    return says.is_of_all and says.values.presence is not None and has_routing


def _is_behind(says: AgentReading, native: Native) -> bool:
    """Whether it tells something older than what is held."""
    presence, routing, _, _ = says.values
    return (presence is not None and presence.at_us < native.presence_us) or (
        routing is not None and routing[1] < native.routing_us
    )

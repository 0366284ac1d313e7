"""The merge of the cloud dialect: no sequences; per agent and field the newer time wins. Pure.

Knows no ring, no journal and no clock. A presence that is not the primary one is kept apart, and
what tells nothing newer changes nothing, in whatever order and however often it comes (protocol.md
§2.3). Which of two values holds where their times do not say is `cloud_order`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from actors.genesys.cloud import ROUTING_STATUSES, SYSTEM_PRESENCES, USER_TOPIC, mapped
from actors.messages.control import UNKNOWN, session_flags
from actors.messages.queues import belonging
from actors.shard.agent_table import Agent, AgentTable
from actors.shard.cloud_decode import (
    MESSAGE_CHARS_MAX,
    NOTHING,
    QUEUES_KEPT_MAX,
    AgentReading,
    Instants,
    Values,
    told,
)
from actors.shard.cloud_order import Telling, wins
from actors.shard.decode import QUEUES_MAX, InternedNames
from actors.shard.event_run import RejectedFrame
from actors.shard.held_time import decides_nothing
from actors.shard.merge import NO_SESSION, Merge
from actors.shard.native import (
    ALL_FIELDS,
    MENTIONED,
    OFFICE,
    PRESENCE,
    QUEUES,
    ROUTING,
    TIMELESS_US,
    Native,
    Presence,
    correlation_of,
    named_by,
    told_in,
)
from actors.shard.native_change import (
    FIELDS,
    News,
    Office,
    Queues,
    Routing,
    held_presence,
    note_untimed,
    put,
)

EPOCH: Final = 1
"""Positions are times: there is one numbering, for ever."""
SOURCES_MAX: Final = 8
"""Sources of one agent whose presences are kept apart; what a further one tells is not kept."""
DEFINITIONS_MAX: Final = 10_000

_TOPIC_END: Final = ".activity"


class CloudMerge(Merge):
    """Judges events and snapshots one after the other and applies what is newer."""

    def __init__(self, agent_table: AgentTable, names: InternedNames | None = None) -> None:
        super().__init__(agent_table, names)
        self.session_of: dict[str, int] = {}
        """The newest session of each scope."""
        self._received_us = 0  # the first of the batch
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
        return self._judge_exactly(value, received_us, NO_SESSION)

    def _run_activity(
        self,
        values: Sequence[Any],
        received_ns: Sequence[int],
        flags: bytes,
        findings: list[RejectedFrame],
    ) -> None:
        """The hot loop: a live event of an agent of whom this session's events have told all. Only
        what it says anew is read, told by the texts of the times and by the values themselves (two
        changes may share a time); nothing changes before all of it was read."""
        by_user, session_of = self.agent_table.by_user, self.session_of
        start, end = len(USER_TOPIC), -len(_TOPIC_END)
        self._received_us = received_ns[0] // 1000 if received_ns else 0
        for index, value in enumerate(values):
            is_read = False
            presence: Presence | None = None
            routing: Routing | None = None
            queues: Queues | None = None
            office: Office | None = None
            try:
                topic = value["topicName"]
                user_id = topic[start:end]
                agent = by_user[user_id]
                native: Native = agent.native  # type: ignore[assignment]  # None: AttributeError
                body = value["eventBody"]
                if (
                    native.usual_in == session_of[native.scope]
                    and topic == f"{USER_TOPIC}{user_id}{_TOPIC_END}"
                    and body["id"] == user_id
                ):
                    part = body["presence"]
                    presence_stamp, named = part["modifiedDate"], part["presenceDefinition"]
                    if (
                        presence_stamp != native.presence_stamp
                        or named["systemPresence"] != native.system_presence
                        or named["id"] != native.definition
                    ):
                        presence = self._new_presence(part, presence_stamp, native)
                    part = body["routingStatus"]
                    routing_stamp = part["startTime"]
                    if (
                        routing_stamp != native.routing_stamp
                        or part["status"] != native.routing_status
                    ):
                        routing = self._new_routing(part, routing_stamp, native)
                    queues_stamp, part = body["dateActiveQueuesChanged"], body["activeQueueIds"]
                    if queues_stamp != native.queues_stamp or part != [*native.queues]:
                        queues = self._new_queues(part, queues_stamp, native)
                    part = body["outOfOffice"]
                    office_stamp = part["modifiedDate"]
                    if (
                        office_stamp != native.office_stamp
                        or part["active"] is not native.is_out_of_office
                    ):
                        office = self._new_office(part, office_stamp, native)
                    native.presence_stamp, native.routing_stamp = presence_stamp, routing_stamp
                    native.queues_stamp, native.office_stamp = queues_stamp, office_stamp
                    is_read = True
            except (KeyError, TypeError, ValueError, AttributeError):
                pass  # unusual: looked at slowly and exactly below
            if not is_read:
                reason = self._judge_exactly(value, received_ns[index] // 1000, flags[index])
                if reason is not None:
                    findings.append(RejectedFrame(index, reason))
            elif presence is None and routing is None and queues is None and office is None:
                self.counts["duplicates"] += 1
            else:
                news = presence, routing, queues, office
                self._take(agent, native, news, received_ns[index] // 1000, "live")

    # --- what the usual event says anew ------------------------------------------------------
    # Each returns None if it is not newer, and raises for whatever is not as it usually is.

    def _not_newer(self, at_us: int, held_us: int, *, is_same: bool) -> None:
        """Nothing new, if a field's time alone says so; else it is judged exactly."""
        if at_us == held_us:
            is_doubtful = not is_same
        else:
            is_doubtful = decides_nothing(held_us, at_us, self._received_us)
        if is_doubtful:
            raise KeyError

    def _new_presence(self, part: Any, stamp: Any, native: Native) -> Presence | None:
        at_us, named = self._instants[stamp], part["presenceDefinition"]
        system, definition = self._spelt[named["systemPresence"]], named["id"]
        if at_us <= native.presence_us:
            is_same = system == native.system_presence and definition == native.definition
            self._not_newer(at_us, native.presence_us, is_same=is_same)
            return None
        message = part["presenceMessage"]
        if message.__class__ is not str or len(message) > MESSAGE_CHARS_MAX or "primary" in part:
            raise KeyError
        return Presence(system, self._definitions[definition], message, at_us)

    def _new_routing(self, part: Any, stamp: Any, native: Native) -> Routing | None:
        at_us, status = self._instants[stamp], self._spelt[part["status"]]
        if at_us <= native.routing_us:
            is_same = status == native.routing_status
            self._not_newer(at_us, native.routing_us, is_same=is_same)
            return None
        return status, at_us

    def _new_queues(self, ids: Any, stamp: Any, native: Native) -> Queues | None:
        at_us, known = self._instants[stamp], self.names.queues
        if ids.__class__ is not list or len(ids) > QUEUES_KEPT_MAX:
            raise KeyError
        queues = tuple([known[queue] for queue in ids])
        if at_us <= native.queues_us:
            self._not_newer(at_us, native.queues_us, is_same=queues == native.queues)
            return None
        return queues, at_us

    def _new_office(self, part: Any, stamp: Any, native: Native) -> Office | None:
        at_us, is_active = self._instants[stamp], part["active"]
        if is_active.__class__ is not bool:
            raise KeyError
        if at_us <= native.office_us:
            is_same = is_active is native.is_out_of_office
            self._not_newer(at_us, native.office_us, is_same=is_same)
            return None
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
        self.unreadable.update(says.odd)
        native = agent.native
        if native is None:
            native = agent.native = Native()
        session = self.session_of.get(native.scope, 0)
        is_complete = self._name(agent, native, says, session, flags) or says.is_whole
        if says.apart is not None:
            self._set_apart(agent, native, *says.apart, received_us)
            if says.values == NOTHING:  # no state change makes no row, as an appointment makes none
                self.counts["unchanged"] += 1
                return None
        may_restore = is_complete and (says.is_snapshot or not says.is_behind(native))
        news, untimed = self._news(says, native, Telling(says.is_snapshot, session, received_us))
        if news != NOTHING or (may_restore and not _is_known(agent)):
            cause = "history" if says.is_snapshot else "live"
            self._take(
                agent, native, news, received_us, cause, restores=is_complete, untimed=untimed
            )
        else:
            self.counts["unchanged" if says.is_snapshot else "duplicates"] += 1
        is_usual = (
            _is_known(agent)
            and native.named == session == native.heard
            and native.heard_fields == ALL_FIELDS
            and not native.from_snapshot
            and not native.untimed
        )
        native.usual_in = session if is_usual else 0
        return None

    def _name(
        self, agent: Agent, native: Native, says: AgentReading, session: int, flags: int
    ) -> bool:
        """Whether its state was told in the newest session of its scope, by this frame and those
        before it; durable, so that a shard that is killed in mid-history still knows of whom
        nobody told what."""
        before = fields = told_in(native.named, session)
        if session and flags in (0, session_flags(session)):
            fields |= MENTIONED if says.is_of_all else 0
            fields |= PRESENCE if says.values.presence is not None else 0
            fields |= ROUTING if says.values.routing is not None else 0
        if fields != before:
            native.named = named_by(fields, session)
            self.agent_table.watch(agent, native.scope, native.named)
        return native.named == session > 0

    def _set_apart(
        self, agent: Agent, native: Native, source: str, presence: Presence, received_us: int
    ) -> None:
        apart = native.apart = native.apart or {}
        held = apart.get(source)
        presence = presence._replace(
            definition=self._definition(presence.definition), at_us=presence.at_us or received_us
        )
        if held is None:
            is_news = len(apart) < SOURCES_MAX
        elif presence.at_us < held.at_us:
            is_news = decides_nothing(held.at_us, presence.at_us, received_us)
        else:
            is_news = presence != held
        if is_news:
            apart[source] = presence
            self.agent_table.touch(agent)

    def _news(
        self, says: AgentReading, native: Native, telling: Telling
    ) -> tuple[Values, tuple[int, ...]]:
        """What of it is to replace what is held, and which of that was told without a time: it
        bears the time of what was held."""
        presence, routing, queues, office = says.values
        held: tuple[Any, ...] = held_presence(native)
        if presence is not None and wins(native, PRESENCE, presence, held, telling):
            presence = presence._replace(definition=self._definition(presence.definition))
        else:
            presence = None
        held = native.routing_status, native.routing_us
        if routing is not None and not wins(native, ROUTING, routing, held, telling):
            routing = None
        held = native.queues, native.queues_us
        if queues is not None and wins(native, QUEUES, queues, held, telling):
            ids, at_us = queues
            queues = (self._shared_queues(ids), at_us)
        else:
            queues = None
        held = native.is_out_of_office, native.office_us
        if office is not None and not wins(native, OFFICE, office, held, telling):
            office = None
        news = Values(presence, routing, queues, office)
        untimed = tuple(
            field
            for field, value in zip(FIELDS, news, strict=True)
            if value is not None and value[-1] == TIMELESS_US
        )
        note_untimed(native, news, untimed, telling.received_us)
        return news, untimed

    def _take(
        self,
        agent: Agent,
        native: Native,
        news: News,
        received_us: int,
        cause: str,
        *,
        restores: bool = False,
        untimed: tuple[int, ...] = (),
    ) -> None:
        """Applies what is new: one row, at the newest time among it, or now if some of it has none
        (`untimed`). `restores`: the whole state was told, which an agent needs whose state is not
        known."""
        presence, routing, queues, office = news
        is_known = agent.state is not None and agent.state != UNKNOWN
        if (
            queues is not None
            and queues[1] <= agent.sequence
            and is_known
            and presence is None
            and routing is None
            and office is None
            and not untimed
        ):
            self._catch_up(agent, native, queues)
            return
        at_us = put(native, news)
        state: str = UNKNOWN
        held: str | None = None
        if restores or is_known:
            named = native.system_presence, native.routing_status
            state, held = self._mapped.get(named) or mapped(*named)
        self.counts["applied"] += 1
        # Queues and out of office without a time say nothing of since when the state is.
        is_untimed = PRESENCE in untimed or ROUTING in untimed
        since_us = received_us if is_untimed else at_us or received_us
        queue = belonging(agent.queue, native.queues, is_read=agent.is_placed)
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
            correlation=(
                None if presence is None or PRESENCE in untimed else correlation_of(presence.at_us)
            ),
            definition=native.definition,
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
        agent.queue = belonging(agent.queue, native.queues, is_read=agent.is_placed)
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


def _is_known(agent: Agent) -> bool:
    return agent.state is not None and agent.state != UNKNOWN

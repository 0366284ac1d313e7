"""Owns what commands are in the cloud dialect: presence definitions, their rule, and modifiedDate.

Pure: knows no call; `actors.sender.cloud_loop` makes them (protocol.md §2.1). The gateway knows no
correlation id of ours. A change is known again by the definition that was wanted and by when it was
made: the detail of the step *acknowledged* begins with the modifiedDate of the answer, that of
*pending* with the time since when it may be made, so that both are as durable as the step. An equal
presence that somebody has set before by hand bears an older time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from actors.genesys.cloud import normal_name, user_id_of
from actors.genesys.definitions import Definition, Definitions, NoSuchDefinition
from actors.genesys.presences import misnamed
from actors.genesys.times import iso_ms
from actors.messages.queries import PRESENCE_AT, AgentRecord, Watch
from actors.sender.commands import Code, Command, CommandStep, Refusal
from actors.sender.presence_answer import (
    CLOCKS_APART_US,
    SHOWN_LATER,
    SHOWN_SINCE,
    is_in,
    modified_us,
    name_of,
)
from actors.sender.settling import refusal_of
from actors.sender.signals import Acknowledged, Patch, Send, StatesKnown
from actors.sender.transitions import AgentStatus, doubt
from actors.settings.sender import SenderSettings

SHOWN_APART_US: Final = 1_000_000
"""So much the time of a change in the stream may differ from that in the answer to it, either way:
one of the two may be written without milliseconds."""
MEANT_KEPT: Final = 1_024
MESSAGE_CHARS_MAX: Final = 250  # the reason is shown to people as the presence's message
PERMISSION_NEEDED: Final = "presence:userPresence:edit"
CHANGED_SINCE: Final = 409  # ours: the presence has been changed since the first try

_ON_QUEUE: Final = "ON_QUEUE"
_INTERACTING: Final = "INTERACTING"


class CloudDialect:
    """Learns the definitions from the loop; before that nothing is judged."""

    checks_users = False  # the stream has shown the agent, and an unknown one is answered with 404

    def __init__(self, settings: SenderSettings) -> None:
        self._settings = settings
        self._definitions: Definitions | None = None
        self._meant: Callable[[str], Definition | NoSuchDefinition] | None = None

    @property
    def is_ready(self) -> bool:
        return self._definitions is not None

    def learn(self, states: StatesKnown) -> None:
        self._definitions = states.definitions
        self._meant = lru_cache(MEANT_KEPT)(states.definitions.meant)

    def spelt(self, user_id: str) -> str:
        return user_id_of(user_id)

    # The rule

    def malformed(self, command: Command) -> Refusal | None:
        for text in (command.to_state, command.expected):
            if text is not None and (why := misnamed(text, "cloud")):
                return Refusal(Code.NO_SUCH_STATE, f"the name of a presence {why}")
        if (chars := len(command.reason)) > MESSAGE_CHARS_MAX:
            why = f"the reason is too long: {chars} characters, at most {MESSAGE_CHARS_MAX}"
            return Refusal(Code.REASON_TOO_LONG, why)
        if self._definitions is not None:
            for text in (command.to_state, command.expected):
                meant = self._definitions.meant(text) if text is not None else None
                if isinstance(meant, NoSuchDefinition):
                    return Refusal(Code.NO_SUCH_STATE, meant.reason)
        return None

    def judge(self, command: Command, told: AgentRecord) -> Refusal | AgentStatus:
        """Any change but to the presence that is held already, or what the settings allow from it;
        who is in an interaction is moved by force only."""
        definitions = self._definitions
        assert definitions is not None, "nobody is judged before it is ready"
        if refusal := self.malformed(command):  # accepted before it was ready
            return refusal
        wanted = definitions.meant(command.to_state)
        assert isinstance(wanted, Definition), wanted
        held = definitions.by_id.get((told.definition or "").lower())
        overridden: list[str] = []
        if reason := doubt(told, told.definition or told.presence):
            if not command.forced:
                return reason
            overridden.append(reason.detail)
        shown = held.label if held is not None else told.definition or told.presence
        if command.expected is not None and definitions.meant(command.expected) != held:
            text = f"expected {command.expected}, but the agent's presence is {shown or 'unknown'}"
            return Refusal(Code.NOT_AS_EXPECTED, text)
        for against in self._against(definitions, held, wanted, told):
            if not command.forced:
                return Refusal(Code.TRANSITION, against)
            overridden.append(against)
        return AgentStatus(shown, told.queue, tuple(overridden), told.is_placed)

    def _against(
        self,
        definitions: Definitions,
        held: Definition | None,
        wanted: Definition,
        told: AgentRecord,
    ) -> list[str]:
        against = []
        allowed = None if held is None else self._allowed(definitions, held)
        if held == wanted:
            against.append(f"the agent is already in {wanted.label}")
        elif held and allowed is not None and not _names(definitions, allowed, wanted):
            ways = ", ".join(allowed) or "none"
            against.append(
                f"transition from {held.label} to {wanted.label} is not allowed; "
                f"allowed from {held.label}: {ways}"
            )
        if told.routing == _INTERACTING or (told.routing is None and told.state == "Talking"):
            against.append(
                "the agent is in an interaction; use force to change the presence anyway"
            )
        return against

    def _allowed(self, definitions: Definitions, held: Definition) -> tuple[str, ...] | None:
        """None: anywhere."""
        table = self._settings.cloud_transitions
        return next((to for name, to in table.items() if definitions.meant(name) == held), None)

    def leaves(self, held: str | None, to_state: str) -> bool:
        """Whoever is on queue is held to be available: before the definitions are known a name in
        another language counts as leaving, which refuses rather one too many than one too few."""
        return self._is_on_queue(held or "") and not self._is_on_queue(to_state)

    def _is_on_queue(self, text: str) -> bool:
        meant = None if self._definitions is None else self._definitions.meant(text)
        if isinstance(meant, Definition):
            return meant.system_presence == _ON_QUEUE
        return normal_name(text) == _ON_QUEUE

    # On the wire

    def awaited(self, command: Command) -> str | None:
        match command.step:
            case CommandStep.ACKNOWLEDGED if command.detail.startswith(PRESENCE_AT):
                return command.detail.partition(" ")[0]
            case CommandStep.PENDING if command.detail.startswith((SHOWN_SINCE, SHOWN_LATER)):
                return command.detail.partition(":")[0]
        return None

    def watch(self, command: Command) -> Watch | None:
        """A change of that very agent to that very definition at that very time: about then, or
        since then. As long as a successor does not know the definitions, by its exact time."""
        awaited = self.awaited(command)
        if awaited is None:
            return None
        if self._meant is None:
            is_named = awaited.startswith(PRESENCE_AT)
            return Watch(command.user_id, awaited) if is_named else None
        wanted = self._meant(command.to_state)
        at = awaited.lstrip("abcdefghijklmnopqrstuvwxyz@>")
        if isinstance(wanted, NoSuchDefinition) or not at.isdecimal():
            return None
        watch = Watch(command.user_id, awaited, wanted.id, int(at))
        if awaited.startswith(PRESENCE_AT):
            since_us, until_us = int(at) - SHOWN_APART_US, int(at) + SHOWN_APART_US
            watch = watch._replace(since_us=since_us, until_us=until_us)
        return watch

    def confirm_within_s(self, command: Command) -> float:
        is_later = command.step is CommandStep.PENDING and command.detail.startswith(SHOWN_LATER)
        return self._settings.pending_s if is_later else self._settings.confirm_s

    def change(self, command: Command, line: int, *, is_in_doubt: bool) -> Send | Patch:
        since_us = command.first_sent_us if is_in_doubt else None
        wanted = (command.user_id, command.to_state, command.reason)
        return Patch(line, command.id, *wanted, since_us)

    def refusal_of(self, answer: Acknowledged) -> Refusal:
        if answer.code == Code.NOT_PRIMARY:
            return Refusal(Code.NOT_PRIMARY, answer.message)
        if answer.status == CHANGED_SINCE:
            return Refusal(Code.NOT_AS_EXPECTED, answer.message)
        return refusal_of(
            answer, f"the roles of the OAuth client lack the permission {PERMISSION_NEEDED}"
        )


def _names(definitions: Definitions, names: tuple[str, ...], wanted: Definition) -> bool:
    return any(definitions.meant(name) == wanted for name in names)


def shown_as(presence: Mapping[str, Any]) -> str:
    """By which the stream shows the change that this answer tells of; "" if it does not say."""
    at_us = modified_us(presence)
    return "" if at_us is None else f"{PRESENCE_AT}{at_us}"


def changed_since(presence: object, wanted: Definition, since_us: int) -> str:
    """Why a change that may have taken at `since_us` or later, by the gateway's clock, is not made
    again; "" if it may be.

    Only a presence that still is as it was before may be changed again. One that has been changed
    to something else would be changed back, against what somebody wanted last. One that is the
    wanted one may be ours, and would be changed twice; or somebody has set it by hand, and then it
    confirms nothing: nobody can tell the two apart, and so the command will be *unknown*.
    """
    if not isinstance(presence, Mapping):
        return ""
    at_us = modified_us(presence)
    if at_us is None or at_us < since_us - CLOCKS_APART_US:
        return ""
    if is_in(presence, wanted):
        name, doubt = wanted.label, "; it is unknown whether by this command or manually"
    else:
        name, doubt = name_of(presence) or "another presence", ""
    return f"the agent was changed to {name} at {iso_ms(at_us)}, after the first attempt{doubt}"

"""Transitions: whether a command may be, by what it says itself and by what its agent is doing.

Pure: knows no shard and no permit (protocol.md §1.3). Force overrides what speaks against a
command, but not its own pin.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from actors.genesys.presences import PRESENCES, held
from actors.genesys.times import iso_ms
from actors.messages.control import UNKNOWN
from actors.messages.queries import AgentRecord
from actors.sender.commands import Code, Command, Refusal
from actors.settings.sender import SenderSettings

REASON_CHARS_MAX: Final = 500


class AgentStatus(NamedTuple):
    """An agent that may be changed: what it is held in, and what force had to override."""

    presence: str | None
    queue: str | None  # the text of its queues (`actors.messages.queues`)
    overridden: tuple[str, ...]
    is_placed: bool = True  # its queues are known


def malformed(command: Command) -> Refusal | None:
    """What is wrong with it whatever its agent does."""
    if command.to_state not in PRESENCES:
        known = ", ".join(PRESENCES)
        return Refusal(
            Code.NO_SUCH_STATE, f"unknown state {command.to_state!r}; expected one of {known}"
        )
    if (chars := len(command.reason)) > REASON_CHARS_MAX:
        text = f"the reason is too long: {chars} characters, at most {REASON_CHARS_MAX}"
        return Refusal(Code.REASON_TOO_LONG, text)
    return None


def judge(command: Command, told: AgentRecord, settings: SenderSettings) -> Refusal | AgentStatus:
    """May this agent go there?"""
    presence = held(told.state, told.presence, settings.presence_of_state)
    overridden: list[str] = []
    if reason := doubt(told, presence):
        if not command.forced:
            return reason
        overridden.append(reason.detail)
    if command.expected is not None and command.expected != presence:
        is_held = presence or "unknown"
        text = f"expected {command.expected}, but the agent's presence is {is_held}"
        return Refusal(Code.NOT_AS_EXPECTED, text)
    if presence is not None and (against := _not_allowed(presence, command.to_state, settings)):
        if not command.forced:
            return against
        overridden.append(against.detail)
    return AgentStatus(presence, told.queue, tuple(overridden), told.is_placed)


def leaves(held: str | None, to_state: str) -> bool:
    """Whether the change takes an agent out of *available*."""
    return held == "available" and to_state != "available"


def doubt(told: AgentRecord, presence: str | None) -> Refusal | None:
    """Why the agent's state is not known, and since when."""
    if told.state is None:
        return Refusal(Code.NEVER_SEEN, "the agent has never appeared in the event stream")
    if told.stale_since_us is not None:
        return Refusal(Code.STALE, not_confirmed(told.stale_since_us))
    since = iso_ms(told.at_us)
    if told.state == UNKNOWN:
        text = f"the agent is Unknown since {since}: the last history did not include it"
        return Refusal(Code.UNKNOWN_AGENT_STATE, text)
    if presence is None:
        text = f"the agent is in state {told.state!r} since {since}, which maps to no presence"
        return Refusal(Code.UNKNOWN_AGENT_STATE, text)
    return None


def not_confirmed(since_us: int) -> str:
    if not since_us:
        return "the agent's state is not confirmed: no session since the start"
    return f"the agent's state is not confirmed since {iso_ms(since_us)}"


def _not_allowed(presence: str, to_state: str, settings: SenderSettings) -> Refusal | None:
    allowed = next(to for frm, to in settings.transitions.items() if frm == presence)
    if to_state in allowed:
        return None
    ways = ", ".join(allowed) or "none"
    text = (
        f"transition from {presence} to {to_state} is not allowed; allowed from {presence}: {ways}"
    )
    return Refusal(Code.TRANSITION, text)

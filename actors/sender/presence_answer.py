"""Presence answer: what the answer to a change of presence means, in the cloud dialect. Pure.

Knows no call. An answer with status 200 is no success by itself: it may hold the presence as it was
and the wanted one as `futurePresenceDefinition`, because the agent is in an interaction; it may say
that the source which was changed is not the agent's primary one; it may be about something else, or
leave out what matters. Whatever it holds, it confirms nothing: only the event stream does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from actors.genesys.cloud import normal_name, parse_time_us
from actors.genesys.definitions import Definition
from actors.genesys.times import iso_ms
from actors.messages.queries import PRESENCE_AT

CLOCKS_APART_US: Final = 2_000_000
"""What is left of the difference between two clocks that are compared by `Date`."""
SHOWN_SINCE: Final = "presence>"
"""The stream is to show it soon, changed at this time (µs) or later."""
SHOWN_LATER: Final = "future>"
"""The same, but not before the agent's interaction has ended."""


class Applied(NamedTuple):
    """The presence is the wanted one. `shown_as`: by what the stream will show it."""

    shown_as: str


class Pending(NamedTuple):
    """The change was accepted, and the answer does not say that it has been made, or when.
    `shown_as`: as above, and after a colon the words for people."""

    shown_as: str

    @property
    def is_future(self) -> bool:
        """It is to be made when the agent's interaction ends."""
        return self.shown_as.startswith(SHOWN_LATER)


class NotPrimary(NamedTuple):
    """Another source decides which presence the agent is shown in."""

    reason: str


class Unclear(NamedTuple):
    """It says nothing that can be relied on."""

    reason: str


Meaning: TypeAlias = Applied | Pending | NotPrimary | Unclear


def meaning_of(
    answer: object, user_id: str, wanted: Definition, asked_us: int, ahead_us: int | None
) -> Meaning:
    """What the answer says of the change of this user to this definition.

    `asked_us`: when the change was sent, by our clock. `ahead_us`: of our clock, the gateway's;
    None: not known, and then no time of the answer is held against ours.
    """
    if not isinstance(answer, Mapping):
        return Unclear("the response is not a presence")
    told_id = answer.get("id")
    if told_id is not None and str(told_id).lower() != user_id.lower():
        return Unclear("the response is about another user")
    if str(answer.get("primary")).lower() == "false":
        return NotPrimary(
            "another presence source is the primary one of this agent, so the presence that was "
            f"set for the source PURECLOUD ({_shown(answer)}) is not the agent's presence"
        )
    at_us = modified_us(answer)
    since_us = asked_us + (ahead_us or 0) - CLOCKS_APART_US
    if is_in(answer, wanted):
        return _applied(wanted, at_us, since_us, is_comparable=ahead_us is not None)
    if is_definition(answer.get("futurePresenceDefinition"), wanted):
        if ahead_us is None and at_us is not None:  # what was before is older than what will be
            since_us = at_us
        why = f"the agent is in an interaction; {wanted.label} is set when it ends"
        return Pending(f"{SHOWN_LATER}{since_us}: {why}")
    return Unclear(f"the response shows {_shown(answer)}, not {wanted.label}")


def _applied(
    wanted: Definition, at_us: int | None, since_us: int, *, is_comparable: bool
) -> Applied | Pending:
    if at_us is None:
        why = f"the response shows {wanted.label}, but not since when"
    elif is_comparable and at_us < since_us:
        why = f"the response shows {wanted.label} since {iso_ms(at_us)}, before it was requested"
    else:
        return Applied(f"{PRESENCE_AT}{at_us}")
    return Pending(f"{SHOWN_SINCE}{since_us}: {why}")


def modified_us(presence: Mapping[str, Any]) -> int | None:
    """When it was changed, by the gateway's clock; None: it does not say."""
    try:
        at_us = parse_time_us(presence.get("modifiedDate"))
    except ValueError:
        return None
    return at_us if at_us > 0 else None


def is_in(presence: Mapping[str, Any], wanted: Definition) -> bool:
    """Whether this is the presence that it shows."""
    return is_definition(presence.get("presenceDefinition"), wanted)


def is_definition(value: object, wanted: Definition) -> bool:
    return isinstance(value, Mapping) and str(value.get("id")).lower() == wanted.id.lower()


def name_of(presence: Mapping[str, Any]) -> str:
    """What it shows, for people; "": it does not say."""
    found = presence.get("presenceDefinition")
    return normal_name(found.get("systemPresence")) if isinstance(found, Mapping) else ""


def _shown(presence: Mapping[str, Any]) -> str:
    return name_of(presence) or "no presence that is known"

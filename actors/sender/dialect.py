"""Owns what commands depend on the dialect in: which states there are, where an agent may go, how a
change is sent, and by what the stream shows it.

Pure: the machine is given one of these, and is the same for both (protocol.md §1.3, §2).
"""

from __future__ import annotations

from typing import Protocol

from actors.genesys.presence import SCOPE_TO_WRITE, update_frame
from actors.messages.queries import AgentRecord, Watch
from actors.sender import transitions
from actors.sender.commands import Command, Refusal
from actors.sender.settling import refusal_of
from actors.sender.signals import Acknowledged, Patch, Send, StatesKnown
from actors.sender.transitions import AgentStatus
from actors.settings.sender import SenderSettings


class Dialect(Protocol):
    """What the machine asks."""

    @property
    def checks_users(self) -> bool:
        """Whether a user is asked for by REST before the change."""
        ...

    @property
    def is_ready(self) -> bool:
        """Whether it is known which states there are."""
        ...

    def learn(self, states: StatesKnown) -> None: ...

    def malformed(self, command: Command) -> Refusal | None:
        """What is wrong with it whatever its agent does."""
        ...

    def judge(self, command: Command, told: AgentRecord) -> Refusal | AgentStatus:
        """May this agent go there? Asked only when it is ready."""
        ...

    def leaves(self, held: str | None, to_state: str) -> bool:
        """Whether the change takes an agent out of *available*."""
        ...

    def spelt(self, user_id: str) -> str:
        """The id of this user as shards have it."""
        ...

    def awaited(self, command: Command) -> str | None:
        """A name of what the stream will show of this command; None: not known yet."""
        ...

    def watch(self, command: Command) -> Watch | None:
        """What its shard is asked to tell; None: not known yet."""
        ...

    def confirm_within_s(self, command: Command) -> float:
        """How long the stream is waited for."""
        ...

    def change(self, command: Command, line: int, *, is_in_doubt: bool) -> Send | Patch:
        """The next try. `is_in_doubt`: an earlier one may have taken."""
        ...

    def refusal_of(self, answer: Acknowledged) -> Refusal:
        """What a negative answer means."""
        ...


class WspDialect:
    """Four presences, a socket, and correlation ids of our own."""

    is_ready = True

    def __init__(self, settings: SenderSettings) -> None:
        self._settings = settings

    @property
    def checks_users(self) -> bool:
        return self._settings.user_check

    def learn(self, states: StatesKnown) -> None:
        raise AssertionError(f"the four presences are known, nobody tells of {states}")

    def malformed(self, command: Command) -> Refusal | None:
        return transitions.malformed(command)

    def judge(self, command: Command, told: AgentRecord) -> Refusal | AgentStatus:
        return transitions.judge(command, told, self._settings)

    def leaves(self, held: str | None, to_state: str) -> bool:
        return transitions.leaves(held, to_state)

    def spelt(self, user_id: str) -> str:
        return user_id

    def awaited(self, command: Command) -> str | None:
        return command.id

    def watch(self, command: Command) -> Watch | None:
        """Nothing but its correlation id is a sign of it."""
        return Watch(command.user_id, command.id)

    def confirm_within_s(self, command: Command) -> float:
        del command
        return self._settings.confirm_s

    def change(self, command: Command, line: int, *, is_in_doubt: bool) -> Send | Patch:
        """In doubt or not: the gateway tells a repeated try by its correlation id."""
        del is_in_doubt
        frame = update_frame(command.user_id, command.to_state, command.reason, command.id)
        return Send(line, command.id, frame)

    def refusal_of(self, answer: Acknowledged) -> Refusal:
        return refusal_of(answer, f"the access token lacks the scope {SCOPE_TO_WRITE}")

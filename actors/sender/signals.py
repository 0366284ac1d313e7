"""Owns what the sender's actor and its loop say to each other. Values only."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from actors.genesys.definitions import Definitions

# What happened: the loop tells the actor.


class LineUp(NamedTuple):
    """This presence socket is bound: what is sent now goes over it."""

    line: int


class LineDown(NamedTuple):
    """This socket is gone, or never came up: no acknowledgement comes over it any more."""

    line: int
    reason: str  # for people, without a secret: "the handshake was refused with 401"


class Acknowledged(NamedTuple):
    """The gateway answers an update: `success`, or else why not."""

    correlation: str
    success: bool
    status: int  # 200 if it succeeded
    code: str
    message: str
    retry_after_ms: int | None
    shown_as: str = ""  # cloud: by which the stream will show it, as the first word of it; "": it
    # cannot be known


class Pending(NamedTuple):
    """Cloud: the gateway has accepted a change that its answer does not show to be made."""

    correlation: str
    shown_as: str  # by which the stream will show it, and after a colon why it is pending


class Unanswered(NamedTuple):
    """No answer will come, and nobody knows whether the gateway has carried it out."""

    correlation: str
    reason: str


class StatesKnown(NamedTuple):
    """Cloud: the presences that there are, as of now."""

    definitions: Definitions


class NotSent(NamedTuple):
    """The line had gone before the frame left this process; or, in the cloud, the line is up, but
    the share of the rate budget is spent until then (monotonic)."""

    correlation: str
    spent_until_s: float | None = None


class UserChecked(NamedTuple):
    """What REST says of a user id; `detail`, why it says nothing that counts: `failed`, or
    `forbidden`, which names the scope."""

    user_id: str
    verdict: Literal["exists", "missing", "forbidden", "failed"]
    detail: str


class Delivered(NamedTuple):
    """How one attempt at a webhook ended. `status` 0: no answer at all."""

    message_id: str
    success: bool
    status: int
    detail: str
    retry_after_s: float | None = None


class Due(NamedTuple):
    """The time that was asked for has come."""


Signal: TypeAlias = (
    LineUp
    | LineDown
    | StatesKnown
    | Acknowledged
    | Pending
    | Unanswered
    | NotSent
    | UserChecked
    | Delivered
    | Due
)

# What to do: the actor tells the loop.


class Send(NamedTuple):
    """One update, as a binary frame over this line."""

    line: int
    correlation: str
    frame: bytes


class Patch(NamedTuple):
    """Cloud: one change, as a call. `doubted_since_us`: an earlier try of it may have taken, the
    first of them at that time; so the presence is read before it is changed again."""

    line: int
    correlation: str
    user_id: str
    state: str  # as it was asked for
    message: str
    doubted_since_us: int | None


class CheckUser(NamedTuple):
    user_id: str


class Deliver(NamedTuple):
    """One attempt at a webhook. `message_id` is the idempotency id, the same at every attempt."""

    message_id: str
    body: bytes
    created_s: int  # UTC; of the attempt, for the signature


class WakeAt(NamedTuple):
    """Tell `Due` at this monotonic time; replaces what was asked for before."""

    due_s: float


Wish: TypeAlias = Send | Patch | CheckUser | Deliver | WakeAt

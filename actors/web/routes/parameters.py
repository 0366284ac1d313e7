"""Parameters: what the routes have in common in what they take. Knows no route."""

from __future__ import annotations

from collections.abc import Container
from typing import Annotated, Final

from fastapi import Depends, Path, Query, Request
from pydantic import Field
from starlette.convertors import Convertor, register_url_convertor

from actors.genesys.cloud import user_id_of
from actors.messages.control import USER_ID_BYTES_MAX
from actors.web.command_submission import WAIT_MAX_S
from actors.web.identity import identity_of

_AS_LONG: Final = "seconds to wait until the command has ended"

Wait = Annotated[float, Query(ge=0, le=WAIT_MAX_S, allow_inf_nan=False, description=_AS_LONG)]
User = Annotated[
    str, Path(alias="id", min_length=1, max_length=USER_ID_BYTES_MAX, description="id of the agent")
]


def as_held(user_id: str, held: Container[str]) -> str:
    """The id as it is held, however it was typed; of whom nobody holds, its one spelling."""
    return user_id if user_id in held else user_id_of(user_id)


Limit = Annotated[int, Query(ge=1, le=1_000, description="maximum number of results")]

FILTER_VALUES_MAX: Final = 50
_Value = Annotated[str, Field(max_length=300)]
StateFilter = Annotated[
    list[_Value],
    Query(
        default_factory=list,
        max_length=FILTER_VALUES_MAX,
        description="only agents in one of these states; may be repeated",
    ),
]
QueueFilter = Annotated[
    list[_Value],
    Query(
        default_factory=list,
        max_length=FILTER_VALUES_MAX,
        description="only agents in one of these queues (ids); may be repeated",
    ),
]


def _who(request: Request) -> str:
    name = identity_of(request.scope).name
    assert name is not None, "whoever may write has a name"
    return name


Who = Annotated[str, Depends(_who)]
"""Who asks, for the audit."""


class _AgentConvertor(Convertor[str]):
    """Any text: what an agent is called is the gateway's affair. Starlette's own converters stop at
    a slash, or at the end of a line."""

    regex = "(?s:.+)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class _LoneAgentConvertor(_AgentConvertor):
    """Behind which nothing else stands. One whose id ends like a route of its own is found in the
    list only."""

    regex = r"(?s:.+)(?<!/history)(?<!/presence)"


register_url_convertor("agent", _AgentConvertor())
register_url_convertor("lone_agent", _LoneAgentConvertor())

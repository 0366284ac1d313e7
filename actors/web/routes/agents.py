"""Agents: the routes that tell of them one by one. Knows no ring and no table.

GET /api/agents                 filtered, sorted, a page at a time
GET /api/agents/{id}            one
GET /api/agents/{id}/history    its transitions, from the journals
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from actors.web.agent_list import Question, Sort, page_of
from actors.web.agent_shapes import Agents, History, OneAgent
from actors.web.answers import TAGGED, JsonAnswer, tag_of, tagged
from actors.web.board import Board
from actors.web.encoding import encode
from actors.web.journals import Journals
from actors.web.paging import CURSOR_CHARS_MAX, OddCursorError
from actors.web.parts import WebParts
from actors.web.problems import Problem, documented
from actors.web.read_model import AgentView
from actors.web.rendering import agent_shown, position_shown, profile_shown, transition_shown
from actors.web.routes.parameters import Limit, QueueFilter, StateFilter, User, as_held

Text = Annotated[str, Query(max_length=200, description="substring of the id or the name")]
After = Annotated[
    str | None,
    Query(max_length=CURSOR_CHARS_MAX, description="`next` of the previous page"),
]
Before = Annotated[
    str | None,
    Query(pattern=r"^[0-9]{1,18}\.[0-9]{1,18}$", description="`next` of the previous page"),
]


def routes(parts: WebParts) -> APIRouter:
    router = APIRouter()
    _list(router, parts)
    _history(router, parts)
    _one(router, parts)  # last: an id may hold a slash
    return router


def _list(router: APIRouter, parts: WebParts) -> None:
    board = parts.board

    @router.get(
        "/api/agents",
        summary="List agents",
        response_model=Agents,
        responses={**TAGGED, **documented(404, 422, 500)},
    )
    async def list_agents(
        *,
        request: Request,
        state: StateFilter,
        queue: QueueFilter,
        stale: Annotated[
            bool | None, Query(description="true: only stale agents; false: only confirmed ones")
        ] = None,
        q: Text = "",
        sort: Annotated[Sort, Query(description="`-since`: latest change first")] = "-since",
        limit: Limit = 100,
        after: After = None,
    ) -> Response:
        question = Question(
            frozenset(state), frozenset(queue), stale, q.strip(), sort, limit, after
        )
        try:
            page = page_of(question, board.model, board.names)
        except OddCursorError:
            raise Problem(
                "no-such-page", "invalid `after`: use `next` of a page with the same `sort`"
            ) from None
        now_us = board.clock.wall_us()
        agents = [_shown(board, view, now_us) for view in page.agents]
        await _add_profiles(parts.journals, agents)
        body = {"agents": agents, "total": page.total, "next": page.following}
        lasting = {
            **body, "agents": [{**each, "seconds_in_state": None} for each in agents]
        }  # fmt: skip
        return tagged(request, body, tag_of(encode(lasting)))


def _one(router: APIRouter, parts: WebParts) -> None:
    board = parts.board

    @router.get(
        "/api/agents/{id:lone_agent}",
        summary="Get an agent",
        response_model=OneAgent,
        responses={**TAGGED, **documented(404, 422, 500)},
    )
    async def get_agent(request: Request, user_id: User) -> Response:
        view = board.model.agents.get(as_held(user_id, board.model.agents))
        if view is None:
            raise _nobody()
        shown = _shown(board, view, board.clock.wall_us())
        shown["position"] = position_shown(view)
        await _add_profiles(parts.journals, [shown])
        return tagged(request, shown, tag_of(encode({**shown, "seconds_in_state": None})))


def _history(router: APIRouter, parts: WebParts) -> None:
    @router.get(
        "/api/agents/{id:agent}/history",
        summary="List an agent's transitions, newest first",
        response_model=History,
        responses=documented(404, 422, 500, 503),
    )
    async def get_history(user_id: User, limit: Limit = 50, before: Before = None) -> Response:
        user_id = as_held(user_id, parts.board.model.agents)
        page = await parts.journals.history(user_id, limit=limit, before=before)
        if not page.is_known and before is None and user_id not in parts.board.model.agents:
            raise _nobody()
        names = parts.board.names
        rows = [transition_shown(row, names) for row in page.rows]
        return JsonAnswer({"transitions": rows, "next": page.following})


def _shown(board: Board, view: AgentView, now_us: int) -> dict[str, Any]:
    return agent_shown(view, board.names, board.model.stale_since_us(view), now_us)


async def _add_profiles(journals: Journals, agents: list[dict[str, Any]]) -> None:
    """To what is shown of them already: while a file is read a view may change."""
    people = await journals.agents([each["id"] for each in agents])
    for each in agents:
        each["profile"] = profile_shown(people.get(each["id"]))


def _nobody() -> Problem:
    return Problem("no-such-agent", "no agent has this id")

"""AgentList: which agents a question means, in which order, a page at a time.

Pure. No page costs more than one look at each agent, whatever is asked.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from actors.messages.spelling import folded
from actors.web.names import Names
from actors.web.paging import OddCursorError, cursor_of, key_of
from actors.web.read_model import AgentView, ReadModel

Sort: TypeAlias = Literal["-since", "since", "name", "state"]
NO_QUEUE: Final = ""
"""As a filter: agents that are in none."""


class Question(NamedTuple):
    """Empty filters take everyone; those given must all hold."""

    states: frozenset[str] = frozenset()
    queues: frozenset[str] = frozenset()
    stale: bool | None = None
    text: str = ""
    """Part of the id or the name, in any case."""
    sort: Sort = "-since"
    """`-since`: who changed last comes first."""
    limit: int = 100
    after: str | None = None
    """Where the page before ended."""


class AgentPage(NamedTuple):
    agents: list[AgentView]
    total: int  # of all pages
    following: str | None  # what to give as `after`


def page_of(question: Question, model: ReadModel, names: Names) -> AgentPage:
    """Raises OddCursorError for an `after` that no page has told."""
    found = _meant(question, model, names)
    key = _key(question.sort, names)
    rest: Iterable[AgentView] = found
    if question.after is not None:
        last = _last(question)
        rest = (view for view in found if key(view) > last)
    # One more, so that the last page knows that it is.
    views = heapq.nsmallest(question.limit + 1, rest, key=key)
    shown = views[: question.limit]
    has_more = len(views) > len(shown)
    following = cursor_of(question.sort, *key(shown[-1])) if has_more else None
    return AgentPage(shown, len(found), following)


def _meant(question: Question, model: ReadModel, names: Names) -> list[AgentView]:
    views: Iterable[AgentView] = model.agents.values()
    if question.states:
        views = [view for view in views if view.state in question.states]
    if question.queues:
        views = [view for view in views if _is_in(view, question.queues)]
    if question.text:
        part = folded(question.text)
        views = [
            view
            for view in views
            if part in names.folded(view.user_id) or part in folded(view.user_id)
        ]
    if question.stale is not None:
        since, wanted = model.stale_since_us, question.stale
        views = [view for view in views if (since(view) is not None) == wanted]
    return list(views)


def _is_in(view: AgentView, queues: frozenset[str]) -> bool:
    """In one of them at least."""
    return not queues.isdisjoint(view.queues or (NO_QUEUE,))


def _last(question: Question) -> tuple[Any, ...]:
    assert question.after is not None
    kinds = {"name": (str, str), "state": (str, int, str)}.get(question.sort, (int, str))
    sort, *last = key_of(question.after, str, *kinds)
    if sort != question.sort:
        raise OddCursorError(question.after)
    return tuple(last)


def _key(sort: Sort, names: Names) -> Callable[[AgentView], tuple[Any, ...]]:
    """Ids make each key the only one of its kind."""
    if sort == "name":
        folded = names.folded
        return lambda view: (folded(view.user_id), view.user_id)
    if sort == "state":
        return lambda view: (view.state, view.since_us, view.user_id)
    if sort == "since":
        return lambda view: (view.since_us, view.user_id)
    return lambda view: (-view.since_us, view.user_id)

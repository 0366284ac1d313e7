"""Owns what stands in the place of each cure while it is switched off: what the product did before.

Each function takes what is replaced. The hook runs this file in processes of the product, so that
it imports nothing of it before it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Function = Callable[..., Any]


def demands_totals(_cured: Function) -> Function:
    """R1: of every listing."""
    from actors.genesys.cloud_errors import OddAnswerError

    def pages_of(answer: Any, _number: int, _size: int) -> int:
        if not isinstance(answer.get("pageCount"), int) or not isinstance(answer.get("total"), int):
            raise OddAnswerError("a page", 200, message="no pageCount and total")
        return int(answer["pageCount"])

    return pages_of


def asks_for_nothing_again(_cured: Function) -> Function:
    """R3: who was left out of an answer in part was told all the same."""
    return lambda _users: {}


def absent_is_told(cured: Function) -> Function:
    """R3: half of an answer makes a state; what is absent is somebody who is off queue, offline."""
    from actors.genesys.cloud import SNAPSHOT
    from actors.shard.native import TIMELESS_US, Presence

    def of(reading: Any, user_id: str, kind: str) -> Any:
        says = cured(reading, user_id, kind)
        if isinstance(says, str) or kind != SNAPSHOT:
            return says
        presence, routing, *rest = says.values
        values = type(says.values)(
            presence or Presence("OFFLINE", "", "", TIMELESS_US),
            routing or ("OFF_QUEUE", TIMELESS_US),
            *rest,
        )
        return says._replace(values=values)

    return of


def halves_nothing(_cured: Function) -> Function:
    """R4: a refused call was refused for all of its topics."""

    def refused(
        search: Any, reason: str, _details: str = "", missing: tuple[str, ...] = ()
    ) -> None:
        search.calls += 1
        search._give_up(reason, missing)

    return refused


def takes_200_for_success(_cured: Function) -> Function:
    """R5."""
    from actors.messages.queries import PRESENCE_AT
    from actors.sender.presence_answer import Applied, modified_us

    def meaning_of(answer: Any, *_: Any) -> Any:
        return Applied(f"{PRESENCE_AT}{modified_us(answer) or 0}")

    return meaning_of


def refuses(_cured: Function) -> Function:
    def refused(*_: Any, **__: Any) -> Any:
        raise ValueError("refused")

    return refused


def never(_cured: Function) -> Function:
    return lambda *_, **__: False


def nothing(_cured: Function) -> Function:
    return lambda *_, **__: None


def as_it_is(_cured: Function) -> Function:
    """R16."""
    return lambda text: text


def only_english(_cured: str) -> str:
    """R8."""
    return "en"


def never_ends(_cured: Function) -> Function:
    """R9."""
    return lambda *_, **__: float("inf")


def odd_part_costs_all(cured: Function) -> Function:
    """R12."""

    def told(value: Any) -> Any:
        says = cured(value)
        return says.odd[0] if not isinstance(says, str) and says.odd else says

    return told


def believes_the_life(_cured: Function) -> Function:
    """R14: `expires_in` must be a whole number."""

    def life_of(told: Any, *_: Any) -> float:
        if not isinstance(told, int):
            raise TypeError(f"expires_in is no integer: {told!r}")
        return float(told)

    return life_of


def waits_as_asked(cured: Function) -> Function:
    """R11: what is asked for takes the place of our own back-off."""

    def wait_s(failures: int, rng: Any, asked_s: float | None, **more: Any) -> float:
        return float(cured(failures, rng, None, **more)) if asked_s is None else asked_s

    return wait_s


def only_404(_cured: dict[str, str]) -> dict[str, str]:
    """R19."""
    return {"404": "404"}


def one_wording(_cured: str) -> str:
    """R19."""
    return "websocket heartbeat"


def shown_by_its_time(_cured: Function) -> Function:
    """R5: whatever the agent was changed to."""
    from actors.messages.queries import PRESENCE_AT

    def is_shown_by(watch: Any, shown: Any) -> bool:
        if not watch.definition:
            return bool(shown.correlation == watch.correlation)
        return bool(watch.correlation == shown.correlation != PRESENCE_AT)

    return is_shown_by


def another_topic(_cured: str) -> str:
    """R18."""
    return "v2.system.nobody_knows"


def only_the_first(cured: Function) -> Function:
    """An agent counts in one of its queues."""
    return lambda text: cured(text)[:1]

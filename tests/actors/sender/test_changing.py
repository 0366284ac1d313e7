"""How changes are made in the cloud dialect, together or alone: of each it is told what is true."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from actors.genesys.cloud_errors import (
    CloudError,
    FailedError,
    ForbiddenError,
    NoAnswerError,
    NotFoundError,
    NoTokenError,
    RateLimitedError,
    RefusedError,
    UnauthorisedError,
)
from actors.genesys.cloud_rest import PRESENCES_AT_ONCE_MAX, NewPresence
from actors.genesys.times import iso_ms
from actors.sender.changing import Changing, together
from actors.sender.signals import Acknowledged, NotSent, Patch, Pending, Signal, Unanswered
from actors.sender.words import LOOP_WORDS
from runtime.clock import SystemClock
from runtime.counters import Counters
from tests.actors.sender.test_cloud_dialect import DEFINITIONS

OF_OLD, NOW = "2001-01-01T00:00:00Z", "2998-01-01T00:00:00Z"
SHOWN_AS = "presence@32440608000000000"  # NOW


def held(user: str, definition: str, modified: str = NOW) -> dict[str, Any]:
    presence = {"id": definition, "systemPresence": "Whatever"}
    return {"id": user, "presenceDefinition": presence, "modifiedDate": modified}


def patch(user: str, state: str = "Meal", **more: Any) -> Patch:
    asked = {"message": "", "doubted_since_us": None} | more
    return Patch(line=1, correlation=f"of {user}", user_id=user, state=state, **asked)


class Platform:
    """Applies what it is told to, but for the users in `passes_over`; `silent` of what it did for
    those in that. What fails does nothing, unless it `fails_late`."""

    def __init__(self) -> None:
        self.held: dict[str, Mapping[str, Any]] = {}
        self.calls: list[str] = []
        self.passes_over: set[str] = set()
        self.silent: set[str] = set()
        self.fails: dict[str, CloudError] = {}  # by call, or by call and user
        self.fails_late = False

    async def presence(self, user_id: str) -> Mapping[str, Any]:
        self._call("GET", user_id)
        return self.held.setdefault(user_id, held(user_id, "d-queue", OF_OLD))

    async def patch_presence(
        self, user_id: str, definition_id: str, message: str | None = None
    ) -> Mapping[str, Any]:
        self._call("PATCH", user_id)
        self.held[user_id] = held(user_id, definition_id)
        return self.held[user_id]

    async def put_presences(self, presences: Sequence[NewPresence]) -> Sequence[Mapping[str, Any]]:
        if not self.fails_late:
            self._call("PUT", " ".join(each.user_id for each in presences))
        applied = [each for each in presences if each.user_id not in self.passes_over]
        for each in applied:
            self.held[each.user_id] = held(each.user_id, each.definition_id)
        if self.fails_late:
            self._call("PUT", "late")
        told = [each.user_id.upper() for each in applied if each.user_id not in self.silent]
        return [{**self.held[user.lower()], "id": user} for user in reversed(told)]

    def _call(self, method: str, users: str) -> None:
        self.calls.append(f"{method} {users}")
        if error := self.fails.get(f"{method} {users}", self.fails.get(method)):
            raise error


class Made:
    """What was told of changes, by user; the platform does as it is told before."""

    def __init__(self, platform: Platform, *rounds: Sequence[Patch], **more: Any) -> None:
        self.told: dict[str, Signal] = {}
        self.without_token: list[str] = []
        self.doubts = 0
        self.changing = Changing(
            platform,
            tell=self._tell,
            counters=Counters.create("sender", LOOP_WORDS),
            clock=SystemClock(),
            on_no_token=self.without_token.append,
            on_doubt=self._doubt,
            **more,
        )
        for changes in rounds:
            asyncio.run(self.changing.make(changes, DEFINITIONS))

    def _tell(self, signal: Signal) -> None:
        assert isinstance(signal, Acknowledged | Unanswered | NotSent | Pending)
        user = signal.correlation.removeprefix("of ")
        assert user not in self.told, "told twice"
        self.told[user] = signal

    def _doubt(self) -> None:
        self.doubts += 1

    def answer(self, user: str) -> Acknowledged:
        told = self.told[user]
        assert isinstance(told, Acknowledged), told
        return told


THREE = [patch("ann"), patch("bob", "Coffee", message="black"), patch("cyd")]


def test_several_are_one_call_and_each_has_its_own_answer() -> None:
    platform = Platform()
    made = Made(platform, THREE)
    assert platform.calls == ["PUT ann bob cyd"]
    assert platform.held["bob"]["presenceDefinition"]["id"] == "d-coffee"
    for user in ("ann", "bob", "cyd"):
        assert made.answer(user) == Acknowledged(
            f"of {user}", True, 200, "", "", None, f"{SHOWN_AS} in a bulk of 3"
        )


def test_one_is_a_patch_as_ever() -> None:
    platform = Platform()
    made = Made(platform, [patch("ann"), patch("../x"), patch("bob", "Lunch")])
    assert platform.calls == ["PATCH ann"], "what cannot be asked for is not"
    assert made.answer("ann").shown_as == SHOWN_AS
    assert (made.answer("../x").status, made.answer("bob").status) == (404, 400)


def test_who_was_passed_over_is_made_alone_and_has_a_refusal_of_its_own() -> None:
    platform = Platform()
    platform.passes_over = {"ann", "bob", "cyd"}
    platform.fails = {
        "GET ann": NotFoundError("presence", 404),
        "PATCH bob": RefusedError("presence", 400),
    }
    made = Made(platform, [*THREE, patch("dan")])
    assert platform.calls == [
        *("PUT ann bob cyd dan", "GET ann", "GET bob", "PATCH bob", "GET cyd", "PATCH cyd")
    ]
    answers = {user: made.answer(user).status for user in made.told}
    assert answers == {"dan": 200, "ann": 404, "bob": 400, "cyd": 200}
    assert made.answer("cyd").shown_as == SHOWN_AS
    assert made.changing.tells_each


@pytest.mark.parametrize(
    "error", [RefusedError("b", 400), ForbiddenError("b", 403), NotFoundError("b", 404)]
)
@pytest.mark.parametrize("fails_late", [False, True])
def test_a_bulk_that_is_refused_refuses_nobody(error: CloudError, fails_late: bool) -> None:
    platform = Platform()
    platform.fails, platform.fails_late = {"PUT": error}, fails_late
    made = Made(platform, THREE)
    if fails_late:  # it had done it
        assert {type(told) for told in made.told.values()} == {Unanswered}
        assert not any(call.startswith("PATCH") for call in platform.calls), "nothing twice"
    else:
        assert all(made.answer(user).success for user in ("ann", "bob", "cyd"))


@pytest.mark.parametrize("error", [NoAnswerError("b", 0), FailedError("b", 503)])
def test_a_bulk_without_an_answer_puts_all_in_doubt(error: CloudError) -> None:
    platform = Platform()
    platform.fails = {"PUT": error}
    made = Made(platform, THREE)
    assert {type(told) for told in made.told.values()} == {Unanswered}
    assert len(made.told) == 3
    assert len(platform.calls) == 1


def test_what_concerns_us_concerns_all_of_them() -> None:
    platform = Platform()
    platform.fails = {"PUT": RateLimitedError("b", 429, retry_after=2.5)}
    made = Made(platform, THREE)
    for user in ("ann", "bob", "cyd"):
        assert (made.answer(user).status, made.answer(user).retry_after_ms) == (429, 2500)
    platform.fails = {"PUT": UnauthorisedError("b", 401)}
    assert {each.status for each in map(Made(platform, THREE).answer, ("ann", "cyd"))} == {401}
    platform.fails = {"PUT": NoTokenError("b", 0, message="none to be had")}
    made = Made(platform, THREE)
    assert list(made.told.values()) == [NotSent(each.correlation) for each in THREE]
    assert made.without_token == ["none to be had"], "said once"
    assert not platform.held


def test_what_is_read_behind_a_bulk_and_cannot_be_is_in_doubt() -> None:
    for error in (RateLimitedError("p", 429), ForbiddenError("p", 403), NoTokenError("p", 0)):
        platform = Platform()
        platform.passes_over, platform.fails = {"ann"}, {"GET": error}
        made = Made(platform, THREE)
        assert isinstance(made.told["ann"], Unanswered)
        assert made.answer("bob").success
        assert platform.calls[-1] == "GET ann"


def test_a_gateway_that_leaves_out_what_it_made_is_not_asked_for_a_bulk_again() -> None:
    platform = Platform()
    platform.silent = {"bob"}
    made = Made(platform, THREE)
    assert isinstance(made.told["bob"], Unanswered)
    assert made.answer("ann").success
    assert not made.changing.tells_each


def test_an_entry_that_holds_something_else_or_no_date_is_no_answer() -> None:
    class Odd(Platform):
        async def put_presences(
            self, presences: Sequence[NewPresence]
        ) -> Sequence[Mapping[str, Any]]:
            self._call("PUT", "")
            return [held("ann", "d-queue"), held("bob", "d-coffee", "today"), {"id": 7}]

    platform = Odd()
    made = Made(platform, THREE)
    assert platform.calls == ["PUT ", *(f"{how} {user}" for user in ("ann", "bob", "cyd")
                                        for how in ("GET", "PATCH"))]  # fmt: skip
    assert all(made.answer(user).success for user in ("ann", "bob", "cyd"))


def test_a_definition_that_is_refused_is_a_reason_to_read_them_again() -> None:
    platform = Platform()
    platform.fails = {"PATCH": RefusedError("p", 400)}
    assert Made(platform, [patch("ann")]).doubts == 1
    platform.fails = {"PATCH": RefusedError("p", 409)}
    assert Made(platform, [patch("ann")]).doubts == 0


def test_of_each_user_one_goes_and_never_more_than_a_call_takes() -> None:
    first, second, other = patch("ann"), patch("ANN", "Coffee"), patch("bob")
    assert together([first, second, other]) == ([first, other], [second])
    many = [patch(f"agent{n}") for n in range(PRESENCES_AT_ONCE_MAX + 7)]
    taken, left = together(many)
    assert taken + left == many
    assert len(taken) == PRESENCES_AT_ONCE_MAX


@pytest.mark.parametrize("ahead_s", [-10, 0, 10])
@pytest.mark.parametrize(("changed_s", "is_made"), [(-5, True), (0.2, False)])
def test_what_was_changed_since_is_judged_by_the_clock_of_the_gateway(
    ahead_s: int, changed_s: float, is_made: bool
) -> None:
    """By hand 5 s before the first try it is made; 0.2 s after it, it may be ours."""
    first_us = 1_795_298_400_000_000
    platform = Platform()
    modified = iso_ms(first_us + round((ahead_s + changed_s) * 1e6))
    platform.held["ann"] = held("ann", "d-queue", modified)
    ours = [patch("ann", doubted_since_us=first_us)]
    made = Made(platform, ours, gateway_ahead_us=lambda: ahead_s * 1_000_000)
    assert made.answer("ann").success is is_made


class Answering(Platform):
    """Answers of each user what it is told to."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        super().__init__()
        self.answers = answers
        self.how: list[Mapping[str, Any]] = []

    async def patch_presence(
        self, user_id: str, definition_id: str, message: str | None = None, **how: Any
    ) -> Any:
        self.how.append(how)
        self._call("PATCH", user_id)
        return self.answers[user_id]

    async def put_presences(
        self, presences: Sequence[NewPresence], **how: Any
    ) -> Sequence[Mapping[str, Any]]:
        self.how.append(how)
        self._call("PUT", " ".join(each.user_id for each in presences))
        return [{**self.answers[each.user_id], "id": each.user_id} for each in presences]


TO_COME = held("ann", "d-queue") | {"futurePresenceDefinition": {"id": "d-meal"}}
NOT_PRIMARY = held("bob", "d-coffee") | {"primary": False}


@pytest.mark.parametrize("together_", [False, True])
def test_what_is_to_come_and_what_is_not_primary_is_told_of_each(together_: bool) -> None:
    answers = {"ann": TO_COME, "bob": NOT_PRIMARY, "cyd": held("cyd", "d-meal")}
    platform = Answering(answers)
    made = Made(platform, THREE) if together_ else Made(platform, *([each] for each in THREE))
    pending = made.told["ann"]
    assert isinstance(pending, Pending)
    assert pending.shown_as.startswith("future>")
    refused = made.answer("bob")
    assert (refused.success, refused.code) == (False, "not-primary")
    assert made.answer("cyd").success
    assert not any(call.startswith("GET") for call in platform.calls), "each has its answer"
    assert platform.how == [{}] * len(platform.how)


@pytest.mark.parametrize("answer", [None, [], "ok", {}, held("ann", "d-queue"), {"id": "bob"}])
def test_an_answer_that_says_nothing_leaves_the_change_unanswered(answer: Any) -> None:
    made = Made(Answering({"ann": answer}), [patch("ann")])
    assert isinstance(made.told["ann"], Unanswered)


def test_a_source_is_made_the_primary_one_only_where_that_is_wanted() -> None:
    platform = Answering({"ann": held("ann", "d-meal"), "bob": held("bob", "d-meal")})
    made = Made(platform, [patch("ann")], takes_primary=True)
    made.told.clear()
    asyncio.run(made.changing.make([patch("ann"), patch("bob")], DEFINITIONS))
    assert platform.how == [{"is_primary": True}] * 2

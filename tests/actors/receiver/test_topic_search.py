"""Which topics a refused subscription is cut down to: any set of invalid ones, in few calls."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actors.genesys.cloud_answers import RejectedTopic, Subscriptions
from actors.receiver.topic_search import CALLS_MAX, HOPELESS_AFTER, TopicCall, TopicSearch

Namer = Callable[[Sequence[str], Collection[str]], str]


def topics_of(count: int) -> list[str]:
    return [f"v2.users.00000000-0000-4000-8000-{number:012}.activity" for number in range(count)]


def names_nobody(_asked: Sequence[str], _bad: Collection[str]) -> str:
    return '{"code":"notification.invalid.topic","message":"a topic is invalid"}'


def names_one(asked: Sequence[str], bad: Collection[str]) -> str:
    return f"topic {next(topic for topic in asked if topic in bad)} is invalid"


def names_one_user(asked: Sequence[str], bad: Collection[str]) -> str:
    return f"unknown user {names_one(asked, bad).split('.')[2]}"


def names_all_invalid(asked: Sequence[str], bad: Collection[str]) -> str:
    return ", ".join(topic for topic in asked if topic in bad)


def names_an_innocent(asked: Sequence[str], bad: Collection[str]) -> str:
    return next((topic for topic in asked if topic not in bad), "")


def repeats_the_request(asked: Sequence[str], _bad: Collection[str]) -> str:
    return str(list(asked))


NAMERS: list[Namer] = [
    names_nobody,
    names_one,
    names_one_user,
    names_all_invalid,
    names_an_innocent,
    repeats_the_request,
]


class Channel:
    """A gateway whose whole call fails for one invalid topic. `denied` ones are only rejected."""

    def __init__(
        self,
        bad: Collection[str],
        denied: Collection[str] = (),
        namer: Namer = names_nobody,
        heard: Collection[str] = (),
    ) -> None:
        self.bad, self.denied, self.namer = bad, denied, namer
        self.heard = set(heard)
        self.calls: list[TopicCall] = []

    def serve(self, search: TopicSearch) -> Subscriptions:
        while (call := search.next_call()) is not None:
            assert call.topics
            self.calls.append(call)
            assert len(self.calls) <= CALLS_MAX + 2
            if any(topic in self.bad for topic in call.topics):
                search.refused("invalid", self.namer(call.topics, self.bad).lower())
                continue
            rejected = tuple(
                RejectedTopic(topic, "denied", ("p",))
                for topic in call.topics
                if topic in self.denied
            )
            taken = {topic for topic in call.topics if topic not in self.denied}
            self.heard = taken if call.replaces else self.heard | taken
            search.accepted(Subscriptions(frozenset(taken), rejected))
        return search.result


@given(
    count=st.integers(1, 120),
    bad=st.frozensets(st.integers(0, 119), max_size=6),
    denied=st.frozensets(st.integers(0, 119), max_size=3),
    suspected=st.frozensets(st.integers(0, 119), max_size=6),
    held=st.integers(0, 120),
    namer=st.sampled_from(NAMERS),
)
@example(
    count=950,
    bad=frozenset({3}),
    denied=frozenset(),
    suspected=frozenset(),
    held=0,
    namer=names_nobody,
)
@example(
    count=950,
    bad=frozenset({3, 400, 401, 949}),
    denied=frozenset(),
    suspected=frozenset(),
    held=950,
    namer=names_nobody,
)
@example(
    count=950,
    bad=frozenset(range(0, 900, 70)),
    denied=frozenset(),
    suspected=frozenset(),
    held=0,
    namer=names_one,
)
def test_whatever_is_invalid_costs_itself_and_few_calls(
    *,
    count: int,
    bad: frozenset[int],
    denied: frozenset[int],
    suspected: frozenset[int],
    held: int,
    namer: Namer,
) -> None:
    topics = topics_of(count)
    invalid = {topics[at] for at in bad if at < count}
    not_permitted = {topics[at] for at in denied if at < count} - invalid
    doubted = {topics[at] for at in suspected if at < count}
    channel = Channel(invalid, not_permitted, namer, topics[:held])
    search = TopicSearch(topics, doubted, channel.heard)
    result = channel.serve(search)
    assert result.permitted == set(topics) - invalid - not_permitted
    assert {each.topic for each in result.rejected} == invalid | not_permitted
    assert search.invalid == invalid
    if result.permitted:
        assert channel.heard == result.permitted
    halvings = math.ceil(math.log2(count)) + 1
    innocent = len(invalid) + 1 if namer is names_an_innocent else 0
    assert len(channel.calls) <= 3 + 2 * (len(invalid) + innocent) * halvings


def test_nothing_that_is_heard_is_let_go_of_while_the_invalid_one_is_looked_for() -> None:
    topics = topics_of(64)
    channel = Channel({topics[9]}, heard=topics[:63])
    search = TopicSearch(topics, heard=channel.heard)
    while (call := search.next_call()) is not None:
        before = set(channel.heard)
        if topics[9] in call.topics:
            search.refused("invalid")
            continue
        channel.heard = set(call.topics) if call.replaces else channel.heard | set(call.topics)
        search.accepted(Subscriptions(frozenset(call.topics), ()))
        assert channel.heard >= before - {topics[9]}


def test_what_was_invalid_before_is_asked_for_last_and_by_itself() -> None:
    topics = topics_of(5)
    search = TopicSearch(topics, suspected={topics[2]})
    call = search.next_call()
    assert call == TopicCall(True, (*topics[:2], *topics[3:]))
    assert search.next_call() == call
    search.accepted(Subscriptions(frozenset(call.topics), ()))
    assert search.next_call() == TopicCall(False, (topics[2],))
    search.refused("still invalid")
    assert search.next_call() is None
    assert search.result.rejected == (RejectedTopic(topics[2], "still invalid", ()),)


def test_a_subscription_without_trouble_is_one_call() -> None:
    topics = topics_of(950)
    channel = Channel(())
    assert channel.serve(TopicSearch(topics)).permitted == set(topics)
    assert channel.calls == [TopicCall(True, tuple(topics))]


def test_a_channel_of_which_nothing_is_taken_is_given_up_after_some_calls() -> None:
    topics = topics_of(950)
    channel = Channel(topics)
    search = TopicSearch(topics)
    channel.serve(search)
    assert search.is_hopeless
    assert len(channel.calls) == HOPELESS_AFTER


def test_more_invalid_topics_than_calls_leave_some_unjudged_and_say_so() -> None:
    topics = topics_of(950)
    channel = Channel(topics[1::2])
    search = TopicSearch(topics[::2] + topics[1::2])
    channel.serve(search)
    assert len(channel.calls) <= CALLS_MAX + 1
    assert not search.is_hopeless
    assert {each.topic for each in search.result.rejected} >= set(topics[1::2])
    assert any(each.reason.startswith("not determined") for each in search.result.rejected)


@pytest.mark.parametrize("held", [60, 1_000])
def test_a_channel_has_room_for_what_is_added(held: int) -> None:
    """Of 1000 topics; what it hears and what it is to hear may be others."""
    others = [f"v2.users.other-{number}.activity" for number in range(held)]
    topics = topics_of(60)
    channel = Channel({topics[7]}, heard=others)
    assert channel.serve(TopicSearch(topics, heard=others)).permitted == set(topics) - {topics[7]}
    assert channel.heard == set(topics) - {topics[7]}

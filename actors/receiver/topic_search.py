"""Owns how a refused subscription is cut down to the topics that are invalid. Pure.

It knows no call and no channel: what to ask next goes out, what was answered comes in.

Theory. `ignoreErrors` forgives missing permissions only; one topic of a user who was deleted a
moment ago may fail the whole call (protocol.md §4, R4). What a refusal names is asked for by itself
next: if it was innocent, names are not believed any more. Else the topics are halved, the largest
part first, until each invalid one is alone. So b invalid topics of n cost some 2·b·log n calls.
Nothing that the channel hears already is let go of meanwhile: parts are added, and the last call
says all.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from actors.genesys.cloud import subscribed_user
from actors.genesys.cloud_answers import RejectedTopic, Subscriptions

TOPICS_MAX: Final = 1_000  # of a channel
CALLS_MAX: Final = 200  # of one search: what is not judged by then waits for the next one
HOPELESS_AFTER: Final = 31  # refusals that name nobody, and no success: no topic is to blame
UNJUDGED: Final = "not determined: too many topics of this channel are invalid"


class TopicCall(NamedTuple):
    """One call. `replaces`: the channel hears these and no others then; else these as well."""

    replaces: bool
    topics: tuple[str, ...]


class TopicSearch:
    """One subscription of a channel. `suspected`: what was refused before, so that it is asked for
    last; `heard`: what the channel hears now.

    Ask for what `next_call` says, and tell `accepted` or `refused`, until it says None.
    """

    def __init__(
        self,
        topics: Sequence[str],
        suspected: Collection[str] = (),
        heard: Collection[str] = (),
    ) -> None:
        self.topics = tuple(topics)
        self.calls = 0
        self.invalid: set[str] = set()
        """Topics for whose sake whole calls were refused: to be suspected the next time."""
        doubtful = tuple(topic for topic in topics if topic in suspected)
        certain = tuple(topic for topic in topics if topic not in suspected)
        # The largest part first: whoever is innocent is heard soon.
        self._parts = [part for part in (certain, doubtful) if part]
        self._adds = bool(heard) and len(set(heard) | set(topics)) <= TOPICS_MAX
        self._is_first = True
        self._is_exact = True
        self._blind = 0  # refusals that named nobody
        self._accused: tuple[str, ...] = ()  # by the last refusal
        self._believes = True
        self._permitted: list[str] = []
        self._rejected: list[RejectedTopic] = []
        self._partly: dict[str, RejectedTopic] = {}

    @property
    def is_hopeless(self) -> bool:
        """Every call was refused: it is the channel's fault, or ours, or every topic is invalid."""
        return not self._parts and len(self.invalid) == len(self.topics) > 0

    @property
    def result(self) -> Subscriptions:
        partly = tuple(self._partly.values())
        return Subscriptions(frozenset(self._permitted), tuple(self._rejected), partly)

    def next_call(self) -> TopicCall | None:
        """The same one until it was answered."""
        if self._parts:
            part = self._parts[0]
            if self._is_first:
                return TopicCall(True, part)
            if self._adds:
                return TopicCall(False, part)
            return TopicCall(True, (*self._permitted, *part))
        if not self._is_exact and self._permitted:
            return TopicCall(True, tuple(self._permitted))
        return None

    def accepted(self, taken: Subscriptions) -> None:
        """Some of them may be rejected by name all the same."""
        self.calls += 1
        self._partly |= {each.topic: each for each in taken.partly}
        if not self._parts:
            self._is_exact = True
            return
        part = self._parts.pop(0)
        if part is self._accused:
            self._believes = False
        told = {each.topic: each for each in taken.rejected}
        self._rejected += [told[topic] for topic in part if topic in told]
        self._permitted += [topic for topic in part if topic not in told]
        if self._is_first:  # from now on there is something to be kept
            self._adds = len(self.topics) <= TOPICS_MAX
        elif self._adds:
            self._is_exact = False
        self._is_first = False

    def refused(self, reason: str, details: str = "", missing: tuple[str, ...] = ()) -> None:
        """The whole call was. `details`: all that the refusal says."""
        self.calls += 1
        self._is_first = False
        if not self._parts:
            self._is_exact = True  # each part was taken by itself: they are heard
            return
        part = self._parts.pop(0)
        if len(part) == 1:
            self.invalid.update(part)
            self._rejected.append(RejectedTopic(part[0], reason, missing))
        else:
            self._cut(part, _named(part, details) if self._believes else frozenset())
        if self._blind >= HOPELESS_AFTER and not self._permitted:
            self._give_up(reason, missing)
        elif self.calls >= CALLS_MAX:
            self._give_up(UNJUDGED, ())

    def _cut(self, part: tuple[str, ...], named: frozenset[str]) -> None:
        """In two: what the refusal names and the rest, or in halves."""
        if named:
            self._accused = tuple(topic for topic in part if topic in named)
            self._put(tuple(topic for topic in part if topic not in named))
            self._parts.insert(0, self._accused)  # the next call is about it
        else:
            self._blind += 1
            middle = (len(part) + 1) // 2
            self._put(part[:middle])
            self._put(part[middle:])

    def _put(self, part: tuple[str, ...]) -> None:
        insort(self._parts, part, key=lambda each: -len(each))

    def _give_up(self, reason: str, missing: tuple[str, ...]) -> None:
        self.invalid.update(topic for part in self._parts for topic in part)
        self._rejected += [
            RejectedTopic(topic, reason, missing) for part in self._parts for topic in part
        ]
        self._parts.clear()


def _named(part: tuple[str, ...], details: str) -> frozenset[str]:
    """Whom of them the refusal speaks of. One that names nearly all only repeats what was asked."""
    named = frozenset(topic for topic in part if is_named(topic, details))
    return named if len(named) <= len(part) // 2 else frozenset()


def is_named(topic: str, details: str) -> bool:
    """Whether a refusal speaks of this topic or of its user. `details` are in lower case."""
    user = subscribed_user(topic)
    return topic.lower() in details or (user is not None and user.lower() in details)
